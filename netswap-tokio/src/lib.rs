//! NetSwap on tokio: a server to embed and a client to share between tasks.
//!
//! The protocol itself and everything that it decides is in `netswap-core`; this crate moves bytes and waits.
#![forbid(unsafe_code)]

mod client;
mod server;
mod socket;

pub use client::{Client, ConnectOptions, ConnectionEvent, Disconnect, Driver, Error, ErrorKind, Events};
pub use netswap_core as core;
pub use server::{Server, ServerBuilder, ServerError, ServerHandle, Statistics, Traffic, default_total};
