//! One connection of a case: what comes is taken from its socket all the time, so that nobody waits for the suite.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// What lies in the receive queue of a client that is going to stop reading.
const SHORT_QUEUE: u32 = 64 * 1024;

/// How a connection has ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a FIN.
    InOrder,
    /// With a reset, or otherwise.
    Lost(io::ErrorKind),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InOrder => f.write_str("the server has ended the connection in order"),
            Self::Lost(kind) => write!(f, "the connection was lost: {kind}"),
        }
    }
}

/// A client.
pub(super) struct Client {
    stream: Arc<TcpStream>,
    inbox: Arc<Inbox>,
    reading: watch::Sender<bool>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Inbox {
    content: Mutex<(Vec<u8>, Option<End>)>,
    changed: Notify,
}

impl Inbox {
    fn content(&self) -> MutexGuard<'_, (Vec<u8>, Option<End>)> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut (Vec<u8>, Option<End>))) {
        change(&mut self.content());
        self.changed.notify_one();
    }
}

impl Client {
    pub(super) async fn open(
        bound: Option<IpAddr>,
        server: SocketAddr,
        short_queue: bool,
    ) -> io::Result<Self> {
        let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if short_queue {
            socket.set_recv_buffer_size(SHORT_QUEUE)?;
        }
        if let Some(bound) = bound {
            socket.bind(SocketAddr::new(bound, 0))?;
        }
        let stream = Arc::new(socket.connect(server).await?);
        stream.set_nodelay(true)?;
        let inbox = Arc::<Inbox>::default();
        let (reading, reads) = watch::channel(true);
        let reader = tokio::spawn(read(stream.clone(), inbox.clone(), reads));
        Ok(Self { stream, inbox, reading, reader })
    }

    /// Sends bytes in pieces. That the server has ended the connection meanwhile is no error here.
    pub(super) async fn send(&self, bytes: &[u8], pieces: &[usize]) {
        let mut rest = bytes;
        for len in pieces {
            let (mut piece, after) = rest.split_at(*len);
            while !piece.is_empty() {
                match self.stream.try_write(piece) {
                    Ok(written) => piece = &piece[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if self.stream.writable().await.is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
            // The server may see each piece by itself.
            tokio::task::yield_now().await;
            rest = after;
        }
    }

    /// Waits until what has come, and how the connection has ended, is enough.
    pub(super) async fn wait_until(&self, mut enough: impl FnMut(&[u8], Option<End>) -> bool) {
        loop {
            {
                let content = self.inbox.content();
                if enough(&content.0, content.1) {
                    return;
                }
            }
            self.inbox.changed.notified().await;
        }
    }

    /// Takes at most so many bytes of what has come; and how the connection has ended, if it has.
    pub(super) fn take(&self, most: usize) -> (Vec<u8>, Option<End>) {
        let mut content = self.inbox.content();
        let len = most.min(content.0.len());
        (content.0.drain(..len).collect(), content.1)
    }

    pub(super) fn set_reading(&self, reads: bool) {
        self.reading.send_replace(reads);
    }

    pub(super) fn half_close(&self) {
        // A connection that has ended already cannot be ended again.
        let _ = SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
    }

    /// Cuts the connection.
    pub(super) async fn reset(mut self) {
        self.reader.abort();
        let _ = (&mut self.reader).await;
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Takes what comes, until the connection ends.
async fn read(stream: Arc<TcpStream>, inbox: Arc<Inbox>, mut reads: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if reads.wait_for(|reads| *reads).await.is_err() {
            return;
        }
        tokio::select! {
            biased;
            stopped = reads.wait_for(|reads| !*reads) => match stopped {
                Ok(_) => continue,
                Err(_) => return,
            },
            readable = stream.readable() => if let Err(error) = readable {
                return inbox.change(|content| content.1 = Some(End::Lost(error.kind())));
            },
        }
        match stream.try_read(&mut buffer) {
            Ok(0) => return inbox.change(|content| content.1 = Some(End::InOrder)),
            Ok(len) => inbox.change(|content| content.0.extend_from_slice(&buffer[..len])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return inbox.change(|content| content.1 = Some(End::Lost(error.kind()))),
        }
    }
}
