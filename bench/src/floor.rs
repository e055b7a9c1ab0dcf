//! The floor of the machine: a server that moves as many bytes as a real one and does nothing else.
//!
//! One thread and one epoll: it reads what has come, counts, and writes so many bytes for every request that is
//! complete. What it takes is what the system takes for the same bytes; what a server takes above that is its own.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use crate::speak::floor::{Sizes, answer};

/// What is read at once: more made it slower, since the bytes then leave the nearer caches.
const READ: usize = 64 * 1024;

/// What is written at once, at least: less made it slower, since the system then sends more and smaller segments.
const WRITE: usize = 1 << 20;

/// The token of the listener; connections have those below it.
const LISTENER: u64 = u64::MAX;

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr, sizes: Sizes) -> Result<()> {
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into()).with_context(|| format!("cannot listen on {address}"))?;
    listener.listen(1024)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;

    let said =
        Said { reply: Cyclic::new(sizes.reply), told: Cyclic::new(sizes.told), request: sizes.request };
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; READ];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            count => count?,
        };
        for event in &events[..count] {
            if event.data() == LISTENER {
                // Where there are no descriptors left, the next event tries again.
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    socket.set_tcp_nodelay(true)?;
                    epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, next))?;
                    connections.insert(next, Connection::new(socket.into()));
                    next += 1;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&event.data()) else { continue };
            let requests = match connection.turn(&mut buffer, &said) {
                Ok(requests) => requests,
                Err(_) => {
                    connections.remove(&event.data());
                    continue;
                }
            };
            connection.wait_rightly(&epoll, event.data())?;
            if sizes.told > 0 && requests > 0 {
                tell(&mut connections, event.data(), requests, &said, &epoll)?;
            }
        }
    }
}

/// Tells all connections but one.
fn tell(
    connections: &mut HashMap<u64, Connection>,
    but: u64,
    times: usize,
    said: &Said,
    epoll: &Epoll,
) -> Result<()> {
    let mut lost = Vec::new();
    for (number, connection) in connections.iter_mut().filter(|(number, _)| **number != but) {
        connection.owed_told += times * said.told.len;
        if connection.write(said).is_err() {
            lost.push(*number);
            continue;
        }
        connection.wait_rightly(epoll, *number)?;
    }
    for number in lost {
        connections.remove(&number);
    }
    Ok(())
}

/// What the floor says: the same to everybody.
struct Said {
    request: usize,
    reply: Cyclic,
    told: Cyclic,
}

/// A message that is sent over and over, laid out so that many of them are one write.
struct Cyclic {
    len: usize,
    bytes: Vec<u8>,
}

impl Cyclic {
    fn new(len: usize) -> Self {
        let message = answer(len).bytes();
        let times = if len == 0 { 0 } else { 1 + WRITE.div_ceil(len) };
        Self { len, bytes: message.repeat(times) }
    }

    /// The next bytes of a stream of it of which `owed` are still to be sent.
    fn next(&self, owed: usize) -> &[u8] {
        let at = (self.len - owed % self.len) % self.len;
        &self.bytes[at..][..owed.min(WRITE)]
    }
}

struct Connection {
    stream: TcpStream,
    /// Bytes of an incomplete request.
    partial: usize,
    /// Bytes of replies that are to be written.
    owed: usize,
    /// Bytes of what is told that are to be written.
    owed_told: usize,
    /// Whether epoll says when it can be written to.
    awaits_room: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, partial: 0, owed: 0, owed_told: 0, awaits_room: false }
    }

    /// Reads what there is and writes what is owed for it. Returns how many requests have become complete.
    fn turn(&mut self, buffer: &mut [u8], said: &Said) -> io::Result<usize> {
        let mut requests = 0;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.partial += count;
            requests += self.partial / said.request;
            self.partial %= said.request;
            if count < buffer.len() {
                break;
            }
        }
        self.owed += requests * said.reply.len;
        self.write(said)?;
        Ok(requests)
    }

    fn write(&mut self, said: &Said) -> io::Result<()> {
        while self.owed > 0 || self.owed_told > 0 {
            let (message, owed) =
                if self.owed > 0 { (&said.reply, &mut self.owed) } else { (&said.told, &mut self.owed_told) };
            match self.stream.write(message.next(*owed)) {
                Ok(count) => *owed -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has epoll say when there is room, where something waits for it.
    fn wait_rightly(&mut self, epoll: &Epoll, number: u64) -> Result<()> {
        let waits = self.owed > 0 || self.owed_told > 0;
        if waits != self.awaits_room {
            let room = if waits { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            epoll.modify(&self.stream, &mut EpollEvent::new(EpollFlags::EPOLLIN | room, number))?;
            self.awaits_room = waits;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_comes_in_the_order_of_the_message() {
        for len in [1, 18, 74, 1000, WRITE - 1, WRITE, 3 * WRITE] {
            let message = answer(len).bytes();
            let cyclic = Cyclic::new(len);
            let mut owed = 3 * len;
            let mut sent = Vec::new();
            while owed > 0 {
                let part = cyclic.next(owed);
                let part = &part[..part.len().min(len / 3 + 1)];
                sent.extend_from_slice(part);
                owed -= part.len();
            }
            assert!(sent == message.repeat(3), "{len} bytes");
        }
    }
}
