//! NetSwap on tokio: a server to embed and a client to share between tasks.
//!
//! The protocol itself and everything that it decides is in `netswap-core`; what adapters share in `netswap-adapter`; this crate moves
//! bytes and waits.
#![forbid(unsafe_code)]

mod client;
mod runtime;
mod server;
mod stream;
mod timer;

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

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
