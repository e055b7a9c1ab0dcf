//! Makes TCP connections.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{ConnectOptions, Error};
use crate::Runtime;
use crate::address::with_port;
use crate::runtime::within;

/// Connects to the first of the addresses that answers.
pub(super) async fn dial<R: Runtime>(options: &ConnectOptions) -> Result<(R::Stream, SocketAddr), Error> {
    let mut failure = None;
    for address in &options.addresses {
        let address = with_port(address);
        let time = R::sleep(options.connect_timeout);
        match within(time, dial_one::<R>(&address, options.bind)).await {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(source)) => failure = Some(Error::Connect { address, source }),
            None => failure = Some(Error::no_answer(&address, options.connect_timeout)),
        }
    }
    Err(failure.unwrap_or(Error::Closed))
}

async fn dial_one<R: Runtime>(address: &str, bind: Option<IpAddr>) -> io::Result<(R::Stream, SocketAddr)> {
    let mut failure = None;
    for address in R::lookup(address).await? {
        if bind.is_some_and(|bind| bind.is_ipv4() != address.is_ipv4()) {
            continue;
        }
        match R::connect(address, bind).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => failure = Some(error),
        }
    }
    let nowhere = "no address of the same IP version as the local address";
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, nowhere)))
}
