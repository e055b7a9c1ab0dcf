//! NetSwap on tokio: a server to embed and, soon, a client to share between tasks.
//!
//! The protocol itself and everything that it decides is in `netswap-core`; this crate moves bytes and waits.
#![forbid(unsafe_code)]

mod server;
mod socket;

pub use netswap_core as core;
pub use server::{Server, ServerBuilder, ServerError, ServerHandle, Statistics, Traffic, default_total};
