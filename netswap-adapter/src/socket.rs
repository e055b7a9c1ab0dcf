//! How sockets are set up, on both sides (docs/PROTOCOL.md §5.5).

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// When the kernel holds fewer unsent bytes than this, it asks for more: what has been handed to it can no longer be
/// overtaken by a smaller message.
#[cfg(target_os = "linux")]
const UNSENT_AT_MOST: u32 = 128 * 1024;

/// Bytes that lie in a short receive queue.
const RECEIVED_AT_MOST: usize = 256 * 1024;

/// A server that takes less than this for a connection is near: little is ever under way between it and the client.
const NEAR: Duration = Duration::from_millis(1);

/// A listening socket that does not block, of both IP versions where the address is an IPv6 wildcard.
///
/// # Errors
///
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket that does not block and is about to be connected, from a local address where one is given: it is when it
/// can be written, or has an error then ([`TcpStream::take_error`]).
///
/// # Errors
///
/// What the system says.
pub fn start_connecting(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(bind) = bind {
        socket.bind(&SocketAddr::new(bind, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// When a peer that says nothing is asked whether it is there, how often, and how many times. Together at most 90 s, with
/// timers of the system that may be an eighth late.
const SILENCE: Duration = Duration::from_secs(50);
const PROBES_APART: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Sets up a connected socket: no delay for small packets, dead peers found within 90 s, a short queue of unsent bytes.
///
/// # Errors
///
/// What the system says: the peer may be gone already.
pub fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBES_APART);
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
    let keepalive = keepalive.with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT_AT_MOST)?;
    Ok(())
}

/// Sets up a client's socket, which `took` so long to be connected to the server.
///
/// # Errors
///
/// As [`prepare`].
pub fn prepare_client(socket: SockRef<'_>, server: SocketAddr, took: Duration) -> io::Result<()> {
    if server.ip().is_loopback() || took < NEAR {
        // What has arrived and was not read lies in front of every later reply, a large download's in front of a small
        // one's. A connection that is short needs no more to be fast; a long one does, and is left to the system.
        socket.set_recv_buffer_size(RECEIVED_AT_MOST)?;
    }
    prepare(socket)
}

/// Whether accepting a connection failed because of that connection alone. Otherwise, out of descriptors or memory,
/// accepting again at once would fail again at once.
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_peer_that_vanishes_is_found_out_within_90_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        prepare(SockRef::from(&stream)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let (silence, apart) =
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        let nominal = silence + apart * socket.tcp_keepalive_retries().unwrap();
        // Linux keeps long timers in a wheel that is an eighth late at most.
        assert!(nominal + nominal / 8 <= Duration::from_secs(90), "{nominal:?}");
    }
}
