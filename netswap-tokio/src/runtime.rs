//! How tokio looks up names, makes connections and waits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netswap_adapter::{Runtime, Sleep, socket};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::runtime::Handle;

use crate::stream::Stream;

/// The tokio runtime.
#[derive(Debug)]
pub(crate) struct Tokio;

impl Runtime for Tokio {
    type Stream = Stream<TcpStream>;

    async fn lookup(address: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host(address).await?.collect())
    }

    async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self::Stream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bind) = bind {
            socket.bind((bind, 0).into())?;
        }
        let start = Instant::now();
        let stream = socket.connect(address).await?;
        socket::prepare_client(SockRef::from(&stream), address, start.elapsed())?;
        Ok(Stream::new(stream))
    }

    fn sleep(duration: Duration) -> Option<Sleep> {
        // Outside of the runtime there is no time.
        Handle::try_current().ok()?;
        Some(Box::pin(tokio::time::sleep(duration)))
    }
}
