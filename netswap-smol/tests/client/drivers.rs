//! A client over a stream that the caller made, driven by the caller.

use std::pin::pin;
use std::task::Poll;

use futures_util::join;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{HEADER_LEN, Header, Opcode, Reply};
use netswap_smol::{Client, ConnectOptions, Disconnect, Error};
use smol::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use smol::net::TcpStream;

use crate::scripted::encode;
use crate::support::streams::{Both, Pipe, duplex};
use crate::support::{options, run, start, timeout};
use crate::{pattern, soon};

#[test]
fn a_stream_of_ones_own_works_like_any_other() {
    run(async {
        let server = start(options()).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        // A buffered stream: what is written must be flushed too.
        let buffered = Both(BufReader::new(stream.clone()), BufWriter::new(stream));
        let (client, driver) = Client::connect_with(buffered, ConnectOptions::default());
        let driver = smol::spawn(driver.run());
        let pointer = soon(client.create(pattern(300_000), Access::READ)).await.unwrap();
        assert!(soon(client.resolve(pointer)).await.unwrap() == pattern(300_000));
        soon(client.close()).await;
        soon(driver).await.unwrap();
    })
}

#[test]
fn nothing_happens_before_the_driver_runs() {
    run(async {
        let (near, mut far) = duplex(1 << 16);
        let (client, driver) = Client::connect_with(near, ConnectOptions::default());
        let mut call = pin!(client.delete(Pointer(1)));
        assert!(futures_pending(&mut call).await);
        let mut byte = [0];
        assert!(timeout(crate::A_WHILE, far.read(&mut byte)).await.is_err());
        // A driver that is dropped fails the calls that wait for it, and those that come later.
        drop(driver);
        assert!(matches!(soon(call).await, Err(Error::ConnectionLost { cause: Disconnect::Stopped, .. })));
        assert!(matches!(soon(client.ping("?")).await, Err(Error::Closed)));
    })
}

async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

#[test]
fn the_driver_tells_how_the_stream_ended() {
    run(async {
        let (near, far) = duplex(1 << 16);
        let (client, driver) = Client::connect_with(near, ConnectOptions::default());
        drop(far);
        assert!(matches!(soon(driver.run()).await, Err(Disconnect::ServerClosed)));
        assert!(matches!(client.ping("?").await, Err(Error::Closed)));

        let (near, _far) = duplex(1 << 16);
        let (client, driver) = Client::connect_with(near, ConnectOptions::default());
        drop(client);
        soon(driver.run()).await.unwrap();
    })
}

/// Echoes pings.
async fn echo(mut stream: Pipe) {
    loop {
        let mut header = [0; HEADER_LEN];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        let header = Header::decode(&header);
        assert_eq!(header.opcode, Opcode::Ping as u8);
        let mut payload = vec![0; header.payload_len()];
        stream.read_exact(&mut payload).await.unwrap();
        stream.write_all(&encode(header.xid.0, Reply::Echo(payload))).await.unwrap();
    }
}

#[test]
fn any_executor_can_run_it() {
    // The pipe is smaller than a packet, so that reading and writing must wait for each other.
    let (near, far) = duplex(64);
    let (client, driver) = Client::connect_with(near, ConnectOptions::default());
    let calls = async {
        for len in [0, 10, 1390] {
            client.ping(pattern(len)).await.unwrap();
        }
        let (one, other) = join!(client.ping(pattern(1000)), client.ping(pattern(500)));
        one.and(other).unwrap();
        client.close().await;
    };
    let ((), driven, ()) = smol::future::block_on(async { join!(calls, driver.run(), echo(far)) });
    driven.unwrap();
}
