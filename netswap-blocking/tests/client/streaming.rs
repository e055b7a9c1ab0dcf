//! Uploads from a reader and downloads into a writer, against the real server.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use netswap_blocking::{Client, ConnectOptions, Error, ErrorKind};
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Version};

use crate::support::{joined, options, start};
use crate::{A_WHILE, client, client_from, pattern, refusal};

/// Keeps what a progress callback is told, and checks that it grows.
fn record(calls: &mut Vec<(u64, u64)>) -> impl FnMut(u64, u64) {
    |done, total| {
        assert!(done <= total && calls.last().is_none_or(|(before, _)| *before <= done));
        calls.push((done, total));
    }
}

#[test]
fn records_are_streamed_both_ways() {
    let server = start(options());
    let client = client(&server);
    for len in [0, 1, 1390, 65_536, 200_000, 20_000_000] {
        let data = pattern(len);
        let mut calls = Vec::new();
        let created = client.create_from(&data[..], len as u64, Access::READ, record(&mut calls));
        let pointer = created.unwrap();
        assert_eq!(calls.last(), Some(&(len as u64, len as u64)));
        assert!(calls.len() > len / 500_000, "{} calls for {len} bytes", calls.len());

        let mut written = Vec::new();
        let mut calls = Vec::new();
        let resolved = client.resolve_into(pointer, &mut written, record(&mut calls));
        assert_eq!(resolved.unwrap(), len as u64);
        assert!(written == data, "{len} bytes");
        assert_eq!(calls.last(), Some(&(len as u64, len as u64)));
        assert!(calls.len() > len / 500_000, "{} calls for {len} bytes", calls.len());

        let replaced = client.replace_from(pointer, &b"new"[..], 3, |_, _| ());
        assert_eq!(replaced.unwrap(), Version(2));
        assert_eq!(client.resolve(pointer).unwrap(), "new");
    }
}

#[test]
fn what_a_reader_has_beyond_the_length_stays_there() {
    let server = start(options());
    let client = client(&server);
    let mut reader = &b"first second"[..];
    let pointer = client.create_from(&mut reader, 5, Access::empty(), |_, _| ()).unwrap();
    assert_eq!(client.resolve(pointer).unwrap(), "first");
    assert_eq!(reader, b" second");
}

#[test]
fn a_reader_that_ends_early_changes_nothing() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("old data", Access::empty()).unwrap();
    for read in [0, 5, 500_000] {
        let data = pattern(read);
        let result = client.replace_from(pointer, &data[..], 1_000_000, |_, _| ());
        let error = result.unwrap_err();
        let as_expected =
            matches!(error, Error::ReadTooShort { read: got, expected: 1_000_000 } if got == read as u64);
        assert!(as_expected, "{error:?}");
        assert_eq!(client.resolve(pointer).unwrap(), "old data");
    }
    // Nothing of it stays with the server.
    crate::support::soon("the end of the uploads", || server.handle.statistics().store.unfinished_bytes == 0);
}

/// Gives some bytes and then an error.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is on fire"));
        }
        let count = self.0.min(to.len());
        self.0 -= count;
        to[..count].fill(1);
        Ok(count)
    }
}

#[test]
fn a_reader_that_fails_changes_nothing() {
    let server = start(options());
    let client = client(&server);
    for given in [0, 300_000] {
        let result = client.create_from(Failing(given), 1_000_000, Access::empty(), |_, _| ());
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
    }
    assert_eq!(client.list().unwrap(), []);
}

#[test]
fn a_refusal_ends_an_upload_at_once() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create("mine", Access::READ).unwrap();
    // A reader without an end: only a refusal stops this.
    let replaced = other.replace_from(pointer, io::repeat(7), 200_000_000, |_, _| ());
    assert_eq!(refusal(replaced), Refusal::AccessViolation);
    let created = other.create_from(io::repeat(7), 4_000_000_000, Access::READ, |_, _| ());
    assert!(matches!(refusal(created), Refusal::RecordTooLarge { .. }));
    other.ping("the connection lives").unwrap();
    let too_long = other.create_from(io::empty(), 1 << 32, Access::empty(), |_, _| ());
    assert!(matches!(too_long, Err(Error::DataTooLong)));
}

#[test]
fn a_reader_that_blocks_too_long_times_out_when_it_goes_on() {
    let server = start(options());
    let client = client(&server).with_timeout(A_WHILE);
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[1; 500]).unwrap();
    let upload = thread::spawn({
        let client = client.clone();
        move || client.create_from(reader, 10_000, Access::empty(), |_, _| ())
    });
    thread::sleep(A_WHILE * 3);
    assert!(!upload.is_finished());
    client.ping("other calls do not wait").unwrap();
    writer.write_all(&[1; 500]).unwrap();
    let error = joined(upload).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TimedOut, true));
    assert_eq!(client.list().unwrap(), []);
}

#[test]
fn a_writer_that_fails_ends_a_download() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create(pattern(20_000_000), Access::empty()).unwrap();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let result = client.resolve_into(pointer, writer, |_, _| ());
    assert!(matches!(result, Err(Error::Write(_))));
    client.ping("the connection lives").unwrap();
}

#[test]
fn a_slow_writer_holds_up_the_connection_and_nothing_is_lost() {
    let server = start(options());
    let options = ConnectOptions::new(server.address.to_string()).request_timeout(Duration::from_millis(200));
    let client = Client::connect(options).unwrap();
    let data = pattern(30_000_000);
    let pointer = client.create(data.clone(), Access::empty()).unwrap();
    let (mut reader, writer) = io::pipe().unwrap();
    let download = thread::spawn({
        let client = client.clone();
        move || client.resolve_into(pointer, writer, |_, _| ())
    });
    // Far longer than the timeout, nobody takes anything: nothing fails, since it is this side that waits.
    let mut start = vec![0; 500];
    reader.read_exact(&mut start).unwrap();
    thread::sleep(Duration::from_millis(500));
    let received_by_client = server.handle.statistics().traffic.sent;
    assert!(received_by_client < 25_000_000, "{received_by_client} bytes left the server");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(joined(download).unwrap(), 30_000_000);
    assert!([start, rest].concat() == data);
}
