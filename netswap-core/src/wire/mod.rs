//! The wire: packets, messages, requests and replies as bytes, and back.
//!
//! Nothing here knows a store or a socket, and nothing invalid can be represented: a [`Request`] that
//! exists is well formed.

mod answer;
mod lane;
mod message;
mod notification;
mod opcode;
mod output;
mod packet;
mod reply;
mod request;
mod window;

pub(crate) use answer::decode_refusal;
pub use answer::{BadReply, Lengths};
pub use lane::Unsent;
pub use message::{Message, Operands};
pub use notification::{Ending, Notification};
pub use opcode::{ABORT, Code, Opcode};
pub use output::{Output, RUN, WINDOW};
pub use packet::{
    FULL_PACKET, Fragment, HEADER_LEN, Header, MAX_PAYLOAD, PacketReader, READ_AT_MOST, take_run,
};
pub use reply::{Identity, PROTOCOL_VERSION, Reply, Stat};
pub use request::{Lifetime, MAX_OPERANDS, Request};
pub(crate) use window::MOVE_FROM;
