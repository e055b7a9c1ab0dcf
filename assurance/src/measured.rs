//! Servers in processes of their own, and what they need.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::scale::raise_descriptors;
use crate::servers::Adapter;

/// A server whose allocator counts.
#[derive(Debug)]
pub struct Measured {
    /// Where it listens.
    pub address: SocketAddr,
    /// The bytes that its limits promise.
    pub bound: u64,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// What a server needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that are allocated.
    pub allocated: u64,
    /// The most that ever were.
    pub peak: u64,
    /// Open connections.
    pub connections: u64,
    /// Bytes of unfinished requests.
    pub unfinished: u64,
    /// Bytes that count against the total.
    pub counted: u64,
    /// Faults of the server.
    pub panics: u64,
    /// Connections that were closed because they took replies too slowly.
    pub slow_readers: u64,
    /// Places in tables and queues.
    pub places: u64,
    /// Resident bytes.
    pub resident: u64,
    /// Descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

impl Measured {
    /// Starts the program, which only the tests of this package know where to find, with limits.
    #[must_use]
    pub fn start(program: &str, adapter: Adapter, limits: &[(&str, u64)]) -> Self {
        raise_descriptors();
        let limits = limits.iter().map(|(name, number)| format!("{name}={number}"));
        let mut child = Command::new(program)
            .arg(adapter.name())
            .args(limits)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, mut stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let line = line.trim().strip_prefix("listening on ").expect("it serves");
        let (address, bound) = line.split_once(", at most ").unwrap();
        let (address, bound) = (address.parse().unwrap(), bound.parse().unwrap());
        Self { address, bound, child, stdin, stdout }
    }

    /// What it needs now.
    ///
    /// # Panics
    ///
    /// It has died.
    pub fn usage(&mut self) -> Usage {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let numbers: Vec<u64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let &[allocated, peak, connections, unfinished, counted, panics, slow_readers, places] = &numbers[..]
        else {
            panic!("the server says {line:?}")
        };
        let process = self.child.id();
        let resident = status(process, "VmRSS") * 1024;
        let (descriptors, threads) = (descriptors(process), status(process, "Threads"));
        Usage {
            allocated,
            peak,
            connections,
            unfinished,
            counted,
            panics,
            slow_readers,
            places,
            resident,
            descriptors,
            threads,
        }
    }

    /// Stops it in order.
    pub fn stop(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success(), "it ends in order");
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A value of a process's /proc/PID/status, without its unit.
#[must_use]
pub fn status(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The open descriptors of a process.
#[must_use]
pub fn descriptors(process: u32) -> u64 {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count() as u64
}

/// The processor time of a process, in milliseconds.
#[must_use]
pub fn busy(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, numbers) = stat.rsplit_once(") ").unwrap();
    let numbers: Vec<&str> = numbers.split(' ').collect();
    // Clock ticks of 10 ms, in the program and in the system.
    10 * (numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap())
}
