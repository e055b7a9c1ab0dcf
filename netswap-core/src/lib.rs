//! NetSwap without sockets: the wire protocol and the record store as pure state machines.
//!
//! Nothing in this crate reads a clock, opens a socket, spawns anything or draws randomness: time is an argument, a
//! seed comes with the configuration, bytes go in and come out. The adapter crates (`netswap-tokio` and its siblings)
//! move the bytes; tests and simulations do without them.
//!
//! | part | what it does |
//! |---|---|
//! | [`wire`] | packets, messages, requests and replies as bytes, and back |
//! | [`connection`] | the server's side of one connection: requests in, replies out in turn |
//! | [`client`] | the client's side of one connection: requests out, replies in |
//! | [`store`] | records, owners, rights, lifetimes, quotas |
//! | [`engine`] | the seam between a connection and the store |
//! | [`server`] | store and connections under one roof |
//!
//! The protocol is described in docs/PROTOCOL.md, whose sections the documentation here cites.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod config;
pub mod connection;
pub mod engine;
pub mod error;
pub mod identity;
pub mod memory;
mod queue;
pub mod server;
pub mod store;
pub mod time;
pub mod types;
pub mod wire;
