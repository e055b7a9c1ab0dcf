//! Streams that are no sockets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// A stream made of one that is read and one that is written.
pub(crate) struct Both<R, W>(pub(crate) R, pub(crate) W);

/// The ends of a pipe that goes both ways and holds so many bytes.
pub(crate) type Pipe = Both<piper::Reader, piper::Writer>;

/// Two ends of a pipe; what is written to one is read from the other.
pub(crate) fn duplex(bytes: usize) -> (Pipe, Pipe) {
    let ((one, to_one), (other, to_other)) = (piper::pipe(bytes), piper::pipe(bytes));
    (Both(one, to_other), Both(other, to_one))
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Both<R, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Both<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.1).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_close(cx)
    }
}
