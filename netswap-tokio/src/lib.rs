//! NetSwap on tokio.
#![forbid(unsafe_code)]
