//! The NetSwap conformance suite.
#![forbid(unsafe_code)]

fn main() {}
