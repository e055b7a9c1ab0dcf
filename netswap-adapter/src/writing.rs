//! How what is to be sent goes to a stream.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use arrayvec::ArrayVec;
use bytes::Buf;
use netswap_core::wire::Output;

use crate::Transport;

/// Slices written at a time: more than the output's window has, of one large message.
const SLICES_AT_MOST: usize = 512;

/// Writes what is in order, and tells how many bytes the stream took.
pub(crate) fn poll_write(
    stream: &mut impl Transport,
    cx: &mut Context<'_>,
    output: &Output,
) -> Poll<io::Result<usize>> {
    let first = output.chunk();
    if first.len() == output.window_len() {
        return stream.poll_write(cx, &[IoSlice::new(first)]);
    }
    let slices: ArrayVec<_, SLICES_AT_MOST> =
        output.slices().take(SLICES_AT_MOST).map(IoSlice::new).collect();
    stream.poll_write(cx, &slices)
}
