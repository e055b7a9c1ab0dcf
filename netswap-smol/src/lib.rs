//! NetSwap for smol, async-std and any other executor of futures: a server to embed and a client to share between
//! tasks.
//!
//! The protocol itself and everything that it decides is in `netswap-core`; what adapters share in `netswap-adapter`; this crate moves
//! bytes and waits. It waits with `async-io`, whose own thread works under every executor, and spawns no tasks:
//! [`Server::run`] and [`Driver::run`] are futures that the caller runs where it likes.
#![forbid(unsafe_code)]

mod client;
mod runtime;
mod server;
mod stream;
mod timer;

pub use client::{
    Added, Appended, Change, Client, ConnectOptions, ConnectionEvent, Disconnect, Driver, Error, ErrorKind,
    Events, Mirror, Range, Snapshot, Watch,
};
pub use netswap_core as core;
pub use netswap_core::client::Outcome;
pub use netswap_core::config::{Limits, Times};
pub use netswap_core::error::{Quota, Refusal};
pub use netswap_core::identity::IdentityKey;
pub use netswap_core::types::{Access, Owner, Pointer, Version};
pub use netswap_core::wire::{Ending, Identity, Lifetime, Stat};
pub use server::{Server, ServerError, ServerHandle, ServerOptions, Statistics, Traffic, default_total};
