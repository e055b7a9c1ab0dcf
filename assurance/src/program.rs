//! A server in a process of its own, seen from outside: `measured-server`, or the program `netswap` that
//! `NETSWAP_PROGRAM` names, so that the same test judges any build.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::measured::status;
use crate::scale::raise_descriptors;
use crate::servers::Adapter;

/// The environment variable with the path of the `netswap` program to test instead of `measured-server`.
pub const PROGRAM: &str = "NETSWAP_PROGRAM";

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The runtime.
    pub adapter: Adapter,
    /// Its threads; netswap-blocking has one for each connection.
    pub threads: usize,
}

impl Serving {
    /// Its name in what tests print.
    #[must_use]
    pub fn name(self) -> String {
        match self.adapter {
            Adapter::Blocking => "blocking".to_owned(),
            adapter => format!("{}-{}", adapter.name(), self.threads),
        }
    }
}

/// A running server. It is killed with this value.
#[derive(Debug)]
pub struct Program {
    /// Where it listens.
    pub address: SocketAddr,
    /// The bytes that it says it needs at most.
    pub bound: u64,
    child: Child,
    stdin: Option<ChildStdin>,
    is_netswap: bool,
}

impl Program {
    /// Starts `measured`, which only the tests of this package know where to find, or what `NETSWAP_PROGRAM` names, with
    /// limits by the names that `measured-server` gives them.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start(measured: &str, serving: Serving, limits: &[(&str, u64)]) -> Self {
        raise_descriptors();
        match env::var(PROGRAM) {
            Ok(program) => Self::start_netswap(&program, serving, limits),
            Err(_) => Self::start_measured(measured, serving, limits),
        }
    }

    fn start_measured(program: &str, serving: Serving, limits: &[(&str, u64)]) -> Self {
        let mut command = Command::new(program);
        command.arg(serving.adapter.name()).arg(format!("threads={}", serving.threads));
        command.args(limits.iter().map(|(name, number)| format!("{name}={number}")));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        let line = line.trim().strip_prefix("listening on ").expect("it serves");
        let (address, bound) = line.split_once(", at most ").unwrap();
        let (address, bound) = (address.parse().unwrap(), bound.parse().unwrap());
        Self { address, bound, stdin: child.stdin.take(), child, is_netswap: false }
    }

    /// Starts `netswap serve`, with limits by the names that `measured-server` gives them.
    ///
    /// # Panics
    ///
    /// It does not start, or does not print its bound.
    #[must_use]
    pub fn start_netswap(program: &str, serving: Serving, limits: &[(&str, u64)]) -> Self {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "info"]);
        command.args(["--runtime", serving.adapter.name()]);
        if serving.adapter != Adapter::Blocking {
            command.args(["--threads", &serving.threads.to_string()]);
        }
        for (name, number) in limits {
            let (flag, value) = match *name {
                "total" => ("--max-memory", number.to_string()),
                "grace_ms" => ("--grace", format!("{number}ms")),
                "record" => ("--max-record", number.to_string()),
                "unfinished" => ("--max-unfinished", number.to_string()),
                "connection_unfinished" => ("--max-connection-unfinished", number.to_string()),
                "unfinished_requests" => ("--max-unfinished-requests", number.to_string()),
                "places" => ("--max-places", number.to_string()),
                "watches" => ("--max-watches", number.to_string()),
                "connections" => ("--max-connections", number.to_string()),
                name => panic!("{name} is no limit"),
            };
            command.args([flag, &value]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        let address = line.trim().strip_prefix("netswap listening on ").expect("it serves").parse().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let bound = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it says how much memory it needs");
            let bytes = line.split(" bytes=").nth(1).and_then(|rest| rest.split_whitespace().next());
            if line.contains("memory: at most")
                && let Some(bytes) = bytes
            {
                break bytes.parse().unwrap();
            }
        };
        // Nobody waits for somebody who reads.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while matches!(stderr.read(&mut buffer), Ok(1..)) {}
        });
        Self { address, bound, child, stdin: None, is_netswap: true }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        status(self.id(), "VmRSS") * 1024
    }

    /// The most resident bytes that it has had since the last [reset](Self::reset_peak).
    #[must_use]
    pub fn peak(&self) -> u64 {
        status(self.id(), "VmHWM") * 1024
    }

    /// Has [`peak`](Self::peak) begin anew.
    ///
    /// # Panics
    ///
    /// The system does not allow it.
    pub fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
    }

    /// Asks it to end: `netswap` by SIGTERM, `measured-server` by the end of its input. Returns how long that took, or
    /// `None` where it had not ended within `patience`, when it is killed.
    pub fn end(mut self, patience: Duration) -> Option<Duration> {
        let start = Instant::now();
        if self.is_netswap {
            let process = Pid::from_raw(self.id().cast_signed()).expect("a process");
            kill_process(process, Signal::TERM).unwrap();
        } else {
            drop(self.stdin.take());
        }
        while start.elapsed() < patience {
            if self.child.try_wait().unwrap().is_some() {
                return Some(start.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(from: impl Read) -> String {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).unwrap();
    line
}

/// Tests of the same names for every runtime, in modules of their names: tokio and smol on one thread and on two.
#[macro_export]
macro_rules! on_every_runtime {
    ($($test:ident),+ $(,)?) => {
        $crate::on_every_runtime! { @ tokio_1 Tokio 1 $($test)+ }
        $crate::on_every_runtime! { @ tokio_2 Tokio 2 $($test)+ }
        $crate::on_every_runtime! { @ smol_1 Smol 1 $($test)+ }
        $crate::on_every_runtime! { @ smol_2 Smol 2 $($test)+ }
        $crate::on_every_runtime! { @ blocking Blocking 2 $($test)+ }
    };
    (@ $module:ident $adapter:ident $threads:literal $($test:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test($crate::program::Serving {
                        adapter: $crate::servers::Adapter::$adapter,
                        threads: $threads,
                    });
                }
            )+
        }
    };
}
