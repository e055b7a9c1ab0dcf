//! How async-io and async-net look up names, make connections and wait.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use async_net::TcpStream;
use netswap_adapter::{Runtime, Sleep, socket};
use socket2::SockRef;

use crate::stream::Stream;

/// The reactor of async-io, which is there under every executor.
#[derive(Debug)]
pub(crate) struct Smol;

impl Runtime for Smol {
    type Stream = Stream<Pin<Box<TcpStream>>>;

    async fn lookup(address: &str) -> io::Result<Vec<SocketAddr>> {
        async_net::resolve(address).await
    }

    async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self::Stream> {
        let start = Instant::now();
        let stream = Async::new_nonblocking(socket::start_connecting(address, bind)?)?;
        stream.writable().await?;
        if let Some(error) = stream.get_ref().take_error()? {
            return Err(error);
        }
        socket::prepare_client(SockRef::from(&stream), address, start.elapsed())?;
        Ok(Stream::new(Box::pin(stream.into())))
    }

    fn sleep(duration: Duration) -> Option<Sleep> {
        Some(Box::pin(async move {
            Timer::after(duration).await;
        }))
    }
}
