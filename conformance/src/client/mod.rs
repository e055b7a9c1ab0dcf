//! Client cases: the suite plays a server, well-behaved or hostile, and a driver program has the client under test make
//! calls (docs/PORTING.md).

pub mod calls;
mod case;
mod command;
mod copy;
mod differences;
pub mod futures;
mod line;
mod peer;
mod play;
mod program;
mod reader;
mod rules;
mod words;

pub(crate) mod cli;
pub mod run;

pub use calls::Failed;
pub use case::{Action, Case, Message, SORT, Server, Setting, Step, read};
pub use line::{BadLine, Data, Line, data};
pub use play::{Failure, Outcome, Settings, play};
pub use reader::parse;
pub use words::CALLS;
