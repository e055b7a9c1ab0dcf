//! What all tests of the program share: servers, commands, processes that end in time.
#![allow(dead_code)] // No test uses all of it.

pub(crate) mod proxy;

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What `--runtime` takes.
pub(crate) const RUNTIMES: [&str; 3] = ["tokio", "smol", "blocking"];

/// No process of a test runs longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// A command of the program, with no environment that could change what it does.
pub(crate) fn netswap<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netswap"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NETSWAP_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

/// A process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a command, stderr kept.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        });
        Self { child, stderr: Some(stderr) }
    }

    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("stdout is piped, and not taken")
    }

    pub(crate) fn take_stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("stdin is piped, and not taken")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the process is killed");
    }

    /// Sends a signal, such as TERM, by the system's `kill`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// How the process ended, and its stderr. It must end within the deadline.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > DEADLINE {
                let _ = self.child.kill();
                let stderr = self.stderr.take().unwrap().join().unwrap();
                panic!("the process did not end in time; stderr: {stderr}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        (status, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, such as TERM, to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// A running server on a port of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// A server with more flags.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::from(netswap(["serve", "--listen", "127.0.0.1:0"]).args(flags))
    }

    /// The server that a command starts.
    pub(crate) fn from(command: &mut Command) -> Self {
        let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let line = first_line(&mut process);
        let address = line.strip_prefix("netswap listening on ").map(str::parse);
        let Some(Ok(address)) = address else {
            panic!("{line:?}: {}", process.ended().1);
        };
        Self { process, address }
    }

    /// A client command from an address, to be run or changed.
    pub(crate) fn client(&self, bind: &str, args: &[&str]) -> Command {
        let mut command = netswap(args[..1].iter().copied());
        command.args(["--server", &self.address.to_string(), "--bind", bind]).args(&args[1..]);
        command
    }

    /// What a client command does.
    pub(crate) fn run(&self, bind: &str, args: &[&str]) -> Run {
        run(&mut self.client(bind, args))
    }

    /// Stores data, and gives their pointer.
    pub(crate) fn put(&self, bind: &str, data: &[u8], flags: &[&str]) -> String {
        let mut command = self.client(bind, &["put", "-"]);
        run_with(command.args(flags), data).line()
    }

    /// A `put --hold` that is running, and its pointer.
    pub(crate) fn put_and_hold(&self, bind: &str, path: &Path, flags: &[&str]) -> (Process, String) {
        let mut command = self.client(bind, &["put", "--hold"]);
        let mut process = Process::start(command.arg(path).args(flags).stdout(Stdio::piped()));
        let pointer = first_line(&mut process);
        assert_eq!(pointer.len(), 16, "{pointer:?}");
        (process, pointer)
    }
}

/// The first line that a process prints to stdout.
pub(crate) fn first_line(process: &mut Process) -> String {
    let mut line = String::new();
    BufReader::new(process.take_stdout()).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// What a command did.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(1000)]);
        let Self { code, stderr, .. } = self;
        write!(f, "code {code:?}, {} bytes on stdout: {stdout:?}, stderr: {stderr:?}", self.stdout.len())
    }
}

impl Run {
    /// The one line that it printed; it must have succeeded.
    pub(crate) fn line(&self) -> String {
        let text = self.success();
        let line = text.strip_suffix('\n').filter(|line| !line.contains('\n'));
        line.unwrap_or_else(|| panic!("not one line: {self:?}")).to_owned()
    }

    /// What it printed; it must have succeeded, with nothing on stderr.
    #[track_caller]
    pub(crate) fn success(&self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        String::from_utf8(self.stdout.clone()).expect("text")
    }

    /// It must have ended with an exit code, and have said so in a single line with these words.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
        if code != 2 {
            assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
            assert!(self.stderr.starts_with("error: "), "{self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }

    /// It must have been refused.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) {
        self.fails(1, words);
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    run_with(command, b"")
}

/// Runs a command to its end, with data for its stdin.
pub(crate) fn run_with(command: &mut Command, stdin: &[u8]) -> Run {
    let output = assert_cmd::Command::from_std(copy(command)).write_stdin(stdin).timeout(DEADLINE).output();
    let Output { status, stdout, stderr } = output.expect("the program runs");
    Run { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

/// Bytes that look like nothing, the same for the same seed.
pub(crate) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.write_all(&state.to_le_bytes()).unwrap();
    }
    bytes.truncate(len);
    bytes
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client that has begun a request, never ends it, and takes no answer.
pub(crate) fn stuck(mut stream: TcpStream) -> TcpStream {
    // A PING of 32 MiB whose echo is never read, so that the server still has something to send.
    let mut remaining: u32 = 32 << 20;
    while remaining > 0 {
        let payload = remaining.min(1390);
        let mut packet = vec![0, 0, 0, 2];
        packet.extend(remaining.to_be_bytes());
        packet.extend([8, 0]);
        packet.resize(10 + payload as usize, 0);
        stream.write_all(&packet).unwrap();
        remaining -= payload;
    }
    stream.write_all(b"\0\0\0\x03\0\0\xff\xff\0\0").unwrap();
    let mut header = [0; 10];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header, *b"\0\0\0\x02\x02\0\0\0\0\0");
    stream
}
