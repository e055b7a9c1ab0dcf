//! How sockets are set up, on both sides (docs/PROTOCOL.md §5.5).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// When the kernel holds fewer unsent bytes than this, it asks for more: what has been handed to it can no longer be
/// overtaken by a smaller message.
#[cfg(target_os = "linux")]
const UNSENT_AT_MOST: u32 = 128 * 1024;

/// Bytes that lie in a short receive queue.
const RECEIVED_AT_MOST: usize = 256 * 1024;

/// A listening socket, of both IP versions where the address is an IPv6 wildcard.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Sets up a connected socket: no delay for small packets, dead peers found within 90 s, a short queue of unsent bytes.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT_AT_MOST)?;
    Ok(())
}

/// Has the system hold fewer bytes that have arrived and were not read. They lie in front of every later reply, a large
/// download's in front of a small one's. A connection that is short needs no more to be fast; a long one does, and is
/// better left to the system.
pub(crate) fn shorten_receive_queue(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_recv_buffer_size(RECEIVED_AT_MOST)
}
