//! NetSwap core.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod error;
pub mod identity;
pub mod memory;
pub mod time;
pub mod types;
pub mod wire;
