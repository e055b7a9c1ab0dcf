//! Makes TCP connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::Error;
use super::options::{ConnectOptions, with_port};
use crate::socket;

/// A server that takes less than this for a connection is near: little is ever under way between it and the client.
const NEAR: Duration = Duration::from_millis(1);

/// Connects to the first of the addresses that answers.
pub(super) async fn dial(options: &ConnectOptions) -> Result<(TcpStream, SocketAddr), Error> {
    let mut failure = None;
    for address in &options.addresses {
        let address = with_port(address);
        let connecting = tokio::time::timeout(options.connect_timeout, dial_one(&address, options.bind));
        match connecting.await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(source)) => failure = Some(Error::Connect { address, source }),
            Err(_) => failure = Some(Error::no_answer(&address, options.connect_timeout)),
        }
    }
    Err(failure.unwrap_or(Error::Closed))
}

async fn dial_one(address: &str, bind: Option<IpAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failure = None;
    for address in lookup_host(address).await? {
        if bind.is_some_and(|bind| bind.is_ipv4() != address.is_ipv4()) {
            continue;
        }
        match connect(address, bind).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failure = Some(error),
        }
    }
    let nowhere = "no address of the same IP version as the local address";
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, nowhere)))
}

async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bind) = bind {
        socket.bind((bind, 0).into())?;
    }
    let start = Instant::now();
    let stream = socket.connect(address).await?;
    let near = address.ip().is_loopback() || start.elapsed() < NEAR;
    socket::prepare(&stream)?;
    if near {
        socket::shorten_receive_queue(&stream)?;
    }
    Ok(stream)
}
