//! NetSwap in simulated time: clients, a server and a bad network in one process, decided by a seed.
//!
//! | part | what it does |
//! |---|---|
//! | [`scenario`] | what a seed decides: limits, times, who takes part |
//! | [`world`] | clients and a network that make things happen |
//! | [`stage`] | a server and its judge, and the tape of what has happened to them |
//! | [`judge`] | knows what a server has to do |
//! | [`shrink`] | the shortest tape that still shows a failure |
//! | [`transcript`] | a tape as a case of the conformance suite |
//! | [`sabotage`] | planted faults, to see that they are found |
#![forbid(unsafe_code)]

pub mod cli;
pub mod failure;
pub mod judge;
pub mod run;
pub mod sabotage;
pub mod scenario;
pub mod shrink;
pub mod stage;
pub mod transcript;
pub mod world;
