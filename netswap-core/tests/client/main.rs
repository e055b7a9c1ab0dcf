//! The client's state machine against a scripted server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aborts;
mod endings;
mod hostile;
mod peer;
mod requests;
mod streams;
mod timeouts;
mod untrue_watches;
mod watches;
