//! A way from a client to the server that can be cut.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::SockRef;

use crate::raw::{Raw, reset};

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The streams end.
    End,
    /// The server's is reset, and the client's with it.
    Reset,
    /// Answers are lost: what the client sends arrives, and then everything ends.
    Answers,
}

/// A link, which reaches the server from an address of its own.
#[derive(Debug)]
pub struct Link {
    /// Where the client connects.
    pub address: SocketAddr,
    open: Arc<Mutex<Vec<(TcpStream, TcpStream)>>>,
}

impl Link {
    /// A link to the server that listens as long as the process lives.
    #[must_use]
    pub fn start(from: IpAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::<Mutex<Vec<_>>>::default();
        let streams = open.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(Raw(server)) = Raw::connect(from, server) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_read_timeout(None).unwrap();
                server.set_write_timeout(None).unwrap();
                relay(&client, &server);
                relay(&server, &client);
                *streams.lock().unwrap() = vec![(client, server)];
            }
        });
        Self { address, open }
    }

    /// Cuts the connection, if there is one.
    pub fn cut(&self, how: Cut) {
        for (client, server) in self.open.lock().unwrap().drain(..) {
            match how {
                Cut::End => {
                    let _ = server.shutdown(Shutdown::Both);
                    let _ = client.shutdown(Shutdown::Both);
                }
                Cut::Reset => {
                    for stream in [&server, &client] {
                        reset(stream);
                        // Tells the peer nothing, and wakes who relays.
                        let _ = stream.shutdown(Shutdown::Read);
                    }
                }
                Cut::Answers => {
                    let _ = client.shutdown(Shutdown::Write);
                }
            }
        }
    }
}

fn relay(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // One that is to be reset is closed as it is.
        if SockRef::from(&to).linger().is_ok_and(|linger| linger.is_none()) {
            let _ = to.shutdown(Shutdown::Write);
        }
        let _ = from.shutdown(Shutdown::Read);
    });
}
