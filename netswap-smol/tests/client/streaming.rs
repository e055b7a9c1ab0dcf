//! Uploads from a reader and downloads into a writer, against the real server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use netswap_core::error::Refusal;
use netswap_core::types::{Access, Version};
use netswap_smol::{ConnectOptions, Error, ErrorKind};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, empty, repeat};

use crate::support::streams::duplex;
use crate::support::{options, run, sleep, start};
use crate::{A_WHILE, client, client_from, connect, pattern, refusal, soon};

/// Keeps what a progress callback is told, and checks that it grows.
fn record(calls: &mut Vec<(u64, u64)>) -> impl FnMut(u64, u64) {
    |done, total| {
        assert!(done <= total && calls.last().is_none_or(|(before, _)| *before <= done));
        calls.push((done, total));
    }
}

#[test]
fn records_are_streamed_both_ways() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        for len in [0, 1, 1390, 65_536, 200_000, 20_000_000] {
            let data = pattern(len);
            let mut calls = Vec::new();
            let created = client.create_from(&data[..], len as u64, Access::READ, record(&mut calls));
            let pointer = soon(created).await.unwrap();
            assert_eq!(calls.last(), Some(&(len as u64, len as u64)));
            assert!(calls.len() > len / 500_000, "{} calls for {len} bytes", calls.len());

            let mut written = Vec::new();
            let mut calls = Vec::new();
            let resolved = client.resolve_into(pointer, &mut written, record(&mut calls));
            assert_eq!(soon(resolved).await.unwrap(), len as u64);
            assert!(written == data, "{len} bytes");
            assert_eq!(calls.last(), Some(&(len as u64, len as u64)));
            assert!(calls.len() > len / 500_000, "{} calls for {len} bytes", calls.len());

            let replaced = client.replace_from(pointer, &b"new"[..], 3, |_, _| ());
            assert_eq!(soon(replaced).await.unwrap(), Version(2));
            assert_eq!(client.resolve(pointer).await.unwrap(), "new");
        }
    })
}

#[test]
fn what_a_reader_has_beyond_the_length_stays_there() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let mut reader = &b"first second"[..];
        let pointer = client.create_from(&mut reader, 5, Access::empty(), |_, _| ()).await.unwrap();
        assert_eq!(client.resolve(pointer).await.unwrap(), "first");
        assert_eq!(reader, b" second");
    })
}

#[test]
fn a_reader_that_ends_early_changes_nothing() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create("old data", Access::empty()).await.unwrap();
        for read in [0, 5, 500_000] {
            let data = pattern(read);
            let result = soon(client.replace_from(pointer, &data[..], 1_000_000, |_, _| ())).await;
            let error = result.unwrap_err();
            let as_expected =
                matches!(error, Error::ReadTooShort { read: got, expected: 1_000_000 } if got == read as u64);
            assert!(as_expected, "{error:?}");
            assert_eq!(client.resolve(pointer).await.unwrap(), "old data");
        }
        // Nothing of it stays with the server.
        crate::support::soon("the end of the uploads", || {
            server.handle.statistics().store.unfinished_bytes == 0
        })
        .await;
    })
}

/// Gives some bytes and then an error.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("the disk is on fire")));
        }
        let count = self.0.min(to.len());
        self.0 -= count;
        to[..count].fill(1);
        Poll::Ready(Ok(count))
    }
}

#[test]
fn a_reader_that_fails_changes_nothing() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        for given in [0, 300_000] {
            let result =
                soon(client.create_from(Failing(given), 1_000_000, Access::empty(), |_, _| ())).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains("the disk is on fire"), "{error}");
        }
        assert_eq!(client.list().await.unwrap(), []);
    })
}

#[test]
fn a_refusal_ends_an_upload_at_once() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = owner.create("mine", Access::READ).await.unwrap();
        // A reader without an end: only a refusal stops this.
        let replaced = other.replace_from(pointer, repeat(7), 200_000_000, |_, _| ());
        assert_eq!(refusal(soon(replaced).await), Refusal::AccessViolation);
        let created = other.create_from(repeat(7), 4_000_000_000, Access::READ, |_, _| ());
        assert!(matches!(refusal(soon(created).await), Refusal::RecordTooLarge { .. }));
        // Even while the reader itself gives nothing any more.
        let (mut writer, reader) = duplex(1000);
        writer.write_all(&[1; 500]).await.unwrap();
        let slow = other.replace_from(pointer, repeat(7).take(300_000).chain(reader), 10_000_000, |_, _| ());
        assert_eq!(refusal(soon(slow).await), Refusal::AccessViolation);
        other.ping("the connection lives").await.unwrap();
        let too_long = other.create_from(empty(), 1 << 32, Access::empty(), |_, _| ());
        assert!(matches!(soon(too_long).await, Err(Error::DataTooLong)));
    })
}

#[test]
fn a_reader_that_gives_nothing_times_out() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await.with_timeout(A_WHILE);
        let (mut writer, reader) = duplex(1000);
        writer.write_all(&[1; 500]).await.unwrap();
        let result = soon(client.create_from(reader, 10_000, Access::empty(), |_, _| ())).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TimedOut, true));
        client.ping("the connection lives").await.unwrap();
    })
}

#[test]
fn a_writer_that_fails_ends_a_download() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create(pattern(20_000_000), Access::empty()).await.unwrap();
        let (writer, reader) = duplex(100_000);
        drop(reader);
        let result = soon(client.resolve_into(pointer, writer, |_, _| ())).await;
        assert!(matches!(result, Err(Error::Write(_))));
        soon(client.ping("the connection lives")).await.unwrap();
    })
}

#[test]
fn a_slow_writer_holds_up_the_connection_and_nothing_is_lost() {
    run(async {
        let server = start(options()).await;
        let options =
            ConnectOptions::new(server.address.to_string()).request_timeout(Duration::from_millis(200));
        let client = soon(connect(options)).await.unwrap();
        let data = pattern(30_000_000);
        let pointer = client.create(data.clone(), Access::empty()).await.unwrap();
        let (writer, mut reader) = duplex(1000);
        let download = smol::spawn({
            let client = client.clone();
            async move { client.resolve_into(pointer, writer, |_, _| ()).await }
        });
        // Far longer than the timeout, nobody takes anything: nothing fails, since it is this side that waits.
        let mut start = vec![0; 500];
        soon(reader.read_exact(&mut start)).await.unwrap();
        sleep(Duration::from_millis(500)).await;
        let received_by_client = server.handle.statistics().traffic.sent;
        assert!(received_by_client < 25_000_000, "{received_by_client} bytes left the server");
        let mut rest = Vec::new();
        soon(copy(&mut reader, &mut rest)).await.unwrap();
        assert_eq!(soon(download).await.unwrap(), 30_000_000);
        assert!([start, rest].concat() == data);
    })
}
