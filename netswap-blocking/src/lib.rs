//! NetSwap on blocking calls and threads: a server with a thread for each connection, and a client to share between
//! threads.
//!
//! The protocol itself and everything that it decides is in `netswap-core`; what adapters share in `netswap-adapter`;
//! this crate moves bytes and waits. Its threads are parked while they wait, for whatever it is: an answer, a time, a
//! socket. One more thread of the process waits for all of the sockets and wakes who waits for one that is ready. So a
//! connection costs a thread and one descriptor.
#![forbid(unsafe_code)]

mod client;
mod reactor;
mod runtime;
mod server;
mod stream;
mod threads;
mod timer;
mod wait;

pub use client::{
    Added, Appended, Change, Client, ConnectOptions, ConnectionEvent, Disconnect, Driver, Error, ErrorKind,
    Events, Mirror, Range, Snapshot, Stopper, Watch,
};
pub use netswap_core as core;
pub use netswap_core::client::Outcome;
pub use netswap_core::config::{Limits, Times};
pub use netswap_core::error::{Quota, Refusal};
pub use netswap_core::identity::IdentityKey;
pub use netswap_core::types::{Access, Owner, Pointer, Version};
pub use netswap_core::wire::{Ending, Identity, Lifetime, Stat};
pub use server::{Server, ServerError, ServerHandle, ServerOptions, Statistics, Traffic, default_total};
pub use timer::Elapsed;
