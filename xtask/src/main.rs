//! The netswap program.
#![forbid(unsafe_code)]
fn main() {}
