//! A contender's process, from its start to its end.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::ClockId;
use socket2::{Domain, Socket, Type};

use crate::contenders::{Contender, Needs, Programs};
use crate::cpu;

/// How long a server may take until it accepts connections.
const START: Duration = Duration::from_secs(10);

/// How long a reply may take outside of a load.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. It ends with this value.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    clock: ClockId,
    errors: File,
}

impl Server {
    /// Starts `contender` on `cores` and waits until it accepts connections. This thread then goes on on `own`.
    pub(crate) fn start(
        contender: Contender,
        programs: &Programs,
        needs: Needs,
        cores: &[usize],
        own: &[usize],
    ) -> Result<Self> {
        // Free now, and nobody else is likely to take it before the server does.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let errors = tempfile::tempfile()?;
        let mut command = contender.command(programs, port, needs);
        command.stdin(Stdio::null()).stdout(errors.try_clone()?).stderr(errors.try_clone()?);
        cpu::pin(cores)?;
        let child = command.spawn();
        cpu::pin(own)?;
        let child =
            child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let clock = cpu::clock_of(child.id())?;
        let mut server = Self { address: (Ipv4Addr::LOCALHOST, port).into(), child, clock, errors };
        server.wait_until_it_accepts()?;
        Ok(server)
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended ({status}): {}", self.said());
            }
            if start.elapsed() > START {
                bail!("the server does not accept connections: {}", self.said());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A new connection. Its calls block, but not for ever.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        self.connect_from(Ipv4Addr::LOCALHOST)
    }

    /// A new connection from a loopback address.
    pub(crate) fn connect_from(&self, address: Ipv4Addr) -> Result<TcpStream> {
        self.connect_with(address, None)
    }

    /// A new connection from a loopback address, for which the system keeps at most so many received bytes.
    pub(crate) fn connect_with(&self, address: Ipv4Addr, receive: Option<usize>) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(receive) = receive {
            socket.set_recv_buffer_size(receive)?;
        }
        if address != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((address, 0)).into())?;
        }
        socket.connect(&self.address.into()).context("cannot connect")?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The CPU time that it has taken so far, all threads together.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu::read(self.clock)
    }

    /// The bytes of memory that it has in use, once they no longer change.
    pub(crate) fn settled_memory(&self) -> Result<u64> {
        let start = Instant::now();
        let mut memory = self.memory()?;
        let mut unchanged = 0;
        while unchanged < 5 && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(50));
            let now = self.memory()?;
            unchanged = if now == memory { unchanged + 1 } else { 0 };
            memory = now;
        }
        Ok(memory)
    }

    /// Has [`peak_memory`](Self::peak_memory) begin anew with what is in use now.
    pub(crate) fn reset_peak_memory(&self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
            .context("cannot reset VmHWM of the server")
    }

    /// The most bytes of memory that it has had in use, since the last reset.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn memory(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Bytes of a line of its /proc/PID/status.
    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kilobytes: u64 = kilobytes.with_context(|| format!("no {name} of the server"))?.trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// What the server has said, if anything.
    pub(crate) fn said(&mut self) -> String {
        let mut said = Vec::new();
        let read = self.errors.rewind().and_then(|()| self.errors.read_to_end(&mut said));
        match read {
            Ok(0) => "it has said nothing".to_owned(),
            Ok(_) => String::from_utf8_lossy(&said[said.len().saturating_sub(500)..]).trim().to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
