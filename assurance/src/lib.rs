//! What tests over real sockets need: servers of every adapter, clients that do what no good client does, and links that
//! break. The tests are in `tests/`; README.md says what each of them shows and how to run the long set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // All of it is for tests.

pub mod link;
#[cfg(target_os = "linux")]
pub mod measured;
#[cfg(target_os = "linux")]
pub mod program;
pub mod raw;
pub mod scale;
pub mod servers;
pub mod waits;
