//! How threads look up names, make connections and wait.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use netswap_adapter::{Runtime, Sleep, socket};
use socket2::SockRef;

use crate::stream::Stream;
use crate::threads::beside;
use crate::timer::sleep;

/// Threads that block.
#[derive(Debug)]
pub(crate) struct Blocking;

impl Runtime for Blocking {
    type Stream = Stream<TcpStream>;

    async fn lookup(address: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = address.parse() {
            return Ok(vec![address]);
        }
        // Asking for a name takes the system as long as it takes, and who waits for it may have less time.
        let address = address.to_owned();
        beside("netswap-lookup", move || Ok(address.to_socket_addrs()?.collect())).await
    }

    async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self::Stream> {
        let start = Instant::now();
        let mut stream = Stream::connecting(socket::start_connecting(address, bind)?)?;
        poll_fn(|cx| stream.poll_connected(cx)).await?;
        if let Some(error) = stream.get().take_error()? {
            return Err(error);
        }
        socket::prepare_client(SockRef::from(stream.get()), address, start.elapsed())?;
        Ok(stream)
    }

    fn sleep(duration: Duration) -> Option<Sleep> {
        Some(sleep(duration))
    }
}
