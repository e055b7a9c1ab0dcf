//! A server, but for its accepting and its tasks.

mod accept_errors;
mod bell;
mod connection;
mod excess;
mod fair_mutex;
mod handle;
mod memory;
mod options;
mod resident;
mod shared;

pub use accept_errors::AcceptErrors;
pub use connection::{Connection, release_read_buffer};
pub use handle::{ServerHandle, Statistics};
pub use options::{Bound, ServerError, ServerOptions, default_total};
pub use shared::{Shared, Traffic, panic_message};
