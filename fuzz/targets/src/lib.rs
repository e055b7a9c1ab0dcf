//! What the fuzzer runs: plain functions of bytes that panic where the core breaks a promise.
//!
//! `cargo fuzz` chooses the bytes (README.md in the directory above says how), and a test runs all functions over the
//! corpus that is kept.
#![forbid(unsafe_code)]
// It is all test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod mirrors;
mod packets;
mod round_trip;
mod server;
mod source;
mod stream;

// The worlds that netswap-core's tests live in, and the naive server that they compare the true one with. Not all of
// them is of use here.
#[path = "../../../netswap-core/tests/model/checks.rs"]
mod checks;
#[path = "../../../netswap-core/tests/model/connection.rs"]
mod connection;
#[path = "../../../netswap-core/tests/model/counts.rs"]
mod counts;
#[path = "../../../netswap-core/tests/model/delivery.rs"]
mod delivery;
#[path = "../../../netswap-core/tests/model/expected.rs"]
mod expected;
#[path = "../../../netswap-core/tests/model/lives.rs"]
mod lives;
#[path = "../../../netswap-core/tests/model/machine.rs"]
#[allow(dead_code)]
mod machine;
#[path = "../../../netswap-core/tests/model/memory.rs"]
mod memory;
#[path = "../../../netswap-core/tests/model/naive.rs"]
mod naive;
#[path = "../../../netswap-core/tests/model/operations.rs"]
#[allow(dead_code)]
mod operations;
#[path = "../../../netswap-core/tests/model/requests.rs"]
mod requests;
#[path = "../../../netswap-core/tests/support/mod.rs"]
mod support;
#[path = "../../../netswap-core/tests/model/terms.rs"]
mod terms;
#[path = "../../../netswap-core/tests/support/transcript.rs"]
#[allow(dead_code)]
mod transcript;

pub use client::client;
pub use mirrors::{canary, mirrors};
pub use packets::packets;
pub use round_trip::round_trip;
pub use server::server;
pub use stream::stream;

/// A target: its name, which is that of its corpus too, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets but the canary, which is there to fail.
pub const TARGETS: [Target; 6] = [
    ("packets", packets),
    ("stream", stream),
    ("server", server),
    ("client", client),
    ("round_trip", round_trip),
    ("mirrors", mirrors),
];
