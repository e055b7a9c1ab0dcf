//! The NetSwap conformance suite: what a server has to answer and how a client has to behave, byte by byte.
//!
//! The cases are text files whose format README.md describes: `server/*.txt` are played against servers,
//! `client/*.txt` against clients.
#![forbid(unsafe_code)]

pub mod cases;
pub mod cli;
pub mod client;
pub mod directory;
pub mod junit;
pub mod pattern;
pub mod report;
pub mod run;
pub mod server;
pub mod text;
pub mod verdict;
pub mod wire;

/// The reader of README.md reads all server cases.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
