//! What the NetSwap adapters for tokio, smol and blocking sockets have in common: all but the waiting.
//!
//! The protocol and everything that it decides is in `netswap-core`. Around its state machines a server needs a store
//! behind a lock and connections that are woken, and a client needs calls that wait for answers, watches that outlive a
//! connection, and a driver that makes it again. All of that is here, written with [`Waker`](std::task::Waker)s and
//! polls, which no runtime owns. An adapter adds the rest:
//!
//! | an adapter's | is |
//! |---|---|
//! | [`Transport`] | one stream that can be read, written and waited for |
//! | [`Runtime`] | how names are looked up, connections made, times waited for |
//! | `Server::run` | accepting, and a task or a thread for each connection |
//! | `Client` | the calls of [`client::Session`], as the runtime's users expect them |
//!
//! Who uses NetSwap wants `netswap-tokio`, `netswap-smol` or `netswap-blocking`. Who writes a fourth adapter wants this.
#![forbid(unsafe_code)]

mod address;
pub mod client;
mod clock;
mod runtime;
pub mod server;
pub mod socket;
mod writing;

pub use clock::Clock;
pub use runtime::{Runtime, Sleep, Transport, within};
