//! `netswap serve` with a log pipe that is full and that nobody reads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{Process, RUNTIMES, netswap, signal};

/// PING with the XID 1 and the payload "hi", and its answer.
const PING: &[u8] = b"\0\0\0\x01\0\0\0\x02\x08\0hi";
const PONG: &[u8] = b"\0\0\0\x01\0\0\0\x02\0\0hi";

/// How many threads a runtime has.
fn flags(runtime: &'static str, threads: &'static str) -> Vec<&'static str> {
    match runtime {
        "blocking" => vec!["--runtime", runtime],
        _ => vec!["--runtime", runtime, "--threads", threads],
    }
}

/// A server whose stderr is a pipe that is not read.
struct Server {
    child: Child,
    address: SocketAddr,
    log: PipeReader,
    log_writer: PipeWriter,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let (log, log_writer) = io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_writer.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().expect(&line);
        Self { child, address, log, log_writer }
    }

    fn with(flags: &[&str]) -> Self {
        let mut command = netswap(["serve", "--listen", "127.0.0.1:0"]);
        command.args(flags);
        Self::start(command)
    }

    fn fill_log(&mut self) {
        fill(&mut self.log_writer);
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// How it ends, within the time; `None` when it does not.
    fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            let status = self.child.try_wait().unwrap();
            if status.is_some() || start.elapsed() > time {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has logged. It must have ended.
    fn read_log(&mut self) -> String {
        assert!(self.child.try_wait().unwrap().is_some());
        rustix::io::ioctl_fionbio(&self.log, true).unwrap();
        let mut bytes = vec![0; 1 << 16];
        let read = self.log.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills a pipe: whatever writes to it from now on waits.
fn fill(pipe: &mut PipeWriter) {
    rustix::io::ioctl_fionbio(&*pipe, true).unwrap();
    let full = loop {
        // At the end byte by byte, so that not even a short line has room.
        if let Err(error) = pipe.write(&[b'.'; 4096]).or_else(|_| pipe.write(b".")) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    rustix::io::ioctl_fionbio(&*pipe, false).unwrap();
}

/// A client that takes no answer while the server has something to send.
fn stuck(server: &Server) -> TcpStream {
    common::stuck(server.connect())
}

fn ping(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PING)?;
    let mut pong = [0; PONG.len()];
    stream.read_exact(&mut pong)?;
    assert_eq!(pong, PONG);
    Ok(())
}

#[test]
fn a_signal_ends_it_in_order() {
    for runtime in RUNTIMES {
        for signal in ["TERM", "INT"] {
            let mut server = Server::with(&flags(runtime, "1"));
            let mut client = server.connect();
            ping(&mut client).unwrap();
            server.fill_log();
            server.signal(signal);
            let status = server.ends_within(Duration::from_secs(5));
            assert_eq!(status.and_then(|status| status.code()), Some(0), "{runtime}, SIG{signal}");
        }
    }
}

#[test]
fn a_client_that_reads_nothing_does_not_keep_it_longer() {
    for runtime in RUNTIMES {
        let mut server = Server::with(&flags(runtime, "2"));
        let _client = stuck(&server);
        server.fill_log();
        server.signal("TERM");
        let status = server.ends_within(Duration::from_secs(5));
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{runtime}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for runtime in RUNTIMES {
        let mut server = Server::with(&flags(runtime, "2"));
        let _client = stuck(&server);
        server.fill_log();
        server.signal("TERM");
        assert!(server.ends_within(Duration::from_millis(300)).is_none());
        server.signal("INT");
        let status = server.ends_within(Duration::from_secs(1));
        assert_eq!(status.and_then(|status| status.code()), Some(130), "{runtime}");
    }
}

#[test]
fn it_ends_in_time_though_its_main_thread_does_not() {
    for runtime in RUNTIMES {
        let (_unread, mut stdout) = io::pipe().unwrap();
        fill(&mut stdout);
        let mut command = netswap(["serve", "--listen", "127.0.0.1:0"]);
        // It waits for the reader of its first line.
        command.args(flags(runtime, "1")).stdin(Stdio::null()).stdout(stdout);
        let process = Process::start(&mut command);
        // Long enough to come there.
        std::thread::sleep(Duration::from_millis(1500));
        let start = Instant::now();
        process.signal("TERM");
        let (status, log) = process.ended();
        assert!(start.elapsed() < Duration::from_secs(5), "{runtime}: {:?}", start.elapsed());
        assert_eq!(status.code(), Some(143), "{runtime}: {log}");
        assert!(log.contains("has not stopped in time") && log.contains("connections=0"), "{runtime}: {log}");
    }
}

#[test]
fn lines_that_are_dropped_are_counted_in_the_log() {
    let mut server = Server::with(&["-v", "--log-format", "json"]);
    server.fill_log();
    // Each connection is a line or two.
    for _ in 0..2000 {
        ping(&mut server.connect()).unwrap();
    }
    let mut log = BufReader::new(server.log.try_clone().unwrap()).lines().map(Result::unwrap);
    let start = Instant::now();
    let dropped = log.by_ref().find_map(|line| {
        assert!(start.elapsed() < Duration::from_secs(10));
        // Behind what filled the pipe.
        let line: serde_json::Value = serde_json::from_str(line.trim_start_matches('.')).ok()?;
        line["lines"].as_u64()
    });
    let dropped = dropped.unwrap();
    assert!((500..4000).contains(&dropped), "{dropped}");
    server.signal("TERM");
    assert!(log.any(|line| line.contains("SIGTERM received")));
}

#[test]
fn it_serves_though_descriptors_run_out() {
    for (runtime, threads) in
        [("tokio", "1"), ("tokio", "2"), ("smol", "1"), ("smol", "2"), ("blocking", "1")]
    {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 40; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_netswap")]);
        command.args(["serve", "--listen", "127.0.0.1:0", "-v"]).args(flags(runtime, threads));
        let mut server = Server::start(command);
        let mut first = server.connect();
        ping(&mut first).unwrap();
        server.fill_log();
        // The system accepts them; the server cannot serve all of them.
        let mut others: Vec<_> = (0..60).map(|_| server.connect()).collect();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1500) {
            ping(&mut first).unwrap_or_else(|error| panic!("{runtime}, {threads}: {error}"));
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut last = others.pop().unwrap();
        last.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        last.write_all(PING).unwrap();
        assert!(last.read(&mut [0]).is_err(), "{runtime}, {threads}: there are descriptors for all");
        drop(others);
        last.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        last.read_exact(&mut [0; PONG.len()]).unwrap_or_else(|error| panic!("{runtime}, {threads}: {error}"));
        ping(&mut server.connect()).unwrap();
        server.signal("TERM");
        let status = server.ends_within(Duration::from_secs(5));
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{runtime}, {threads}");
    }
}

#[test]
fn errors_of_accepting_are_logged_once_a_second() {
    for runtime in RUNTIMES {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 30; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_netswap")]);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(flags(runtime, "1"));
        let mut server = Server::start(command);
        let clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
        std::thread::sleep(Duration::from_millis(2500));
        drop(clients);
        server.signal("TERM");
        assert!(server.ends_within(Duration::from_secs(5)).is_some());
        let log = server.read_log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("cannot accept")).collect();
        assert!((2..=4).contains(&lines.len()) && lines[0].contains("failures=1"), "{runtime}: {log}");
        let failures = lines[1].rsplit("failures=").next().unwrap().split(' ').next().unwrap();
        assert!((5..=20).contains(&failures.parse::<u32>().unwrap()), "{runtime}: {log}");
    }
}

#[test]
fn a_terminal_that_closes_does_not_end_it() {
    let mut server = Server::with(&[]);
    server.signal("HUP");
    assert!(server.ends_within(Duration::from_millis(300)).is_none());
    ping(&mut server.connect()).unwrap();
    server.signal("TERM");
    assert_eq!(server.ends_within(Duration::from_secs(5)).and_then(|status| status.code()), Some(0));
}
