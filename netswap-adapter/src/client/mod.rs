//! A client, but for what its runtime's users see of it.

mod backlog;
mod call;
mod change;
mod connection;
mod delays;
mod dial;
mod driver;
mod error;
mod events;
mod lifetimes;
mod mirror;
mod operations;
mod options;
mod ranges;
mod reserved;
mod session;
mod shared;
mod slot;
mod streaming;
mod watch;
mod watches;

pub use change::Change;
pub use driver::{Driver, connect, connect_with};
pub use error::{Disconnect, Error, ErrorKind};
pub use events::{ConnectionEvent, Events};
pub use mirror::Mirror;
pub use options::ConnectOptions;
pub use ranges::{Added, Appended, Range, Snapshot};
pub use session::Session;
pub use streaming::{Sink, Source};
pub use watch::Watch;
