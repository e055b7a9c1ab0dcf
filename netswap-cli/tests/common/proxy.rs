//! A link between client and server that does something when so many bytes have gone over it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Towards whom bytes are counted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Towards {
    Server,
    Client,
}

/// What becomes of the connection afterwards.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// It goes on.
    Pass,
    /// It ends at once, in both directions.
    Cut,
}

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() -> Then + Send>>>>;

/// The link. It connects to the server from 127.0.0.1.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// A link that runs `hook` when `after` bytes have passed towards one side, before it passes the next ones on.
    pub(crate) fn start(
        server: SocketAddr,
        side: Towards,
        after: usize,
        hook: impl FnOnce() -> Then + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let hook: Hook = Arc::new(Mutex::new(Some(Box::new(hook))));
        let streams = open.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(server) else { continue };
                streams.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (from, to, towards) in
                    [(&client, &server, Towards::Server), (&server, &client, Towards::Client)]
                {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let hook = (towards == side).then(|| hook.clone());
                    std::thread::spawn(move || relay(from, to, after, hook));
                }
            }
        });
        Self { address, open }
    }

    /// A link that does nothing by itself.
    pub(crate) fn plain(server: SocketAddr) -> Self {
        Self::start(server, Towards::Server, usize::MAX, || Then::Pass)
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, after: usize, hook: Option<Hook>) {
    let mut buffer = [0; 16 * 1024];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut bytes = &buffer[..count];
        if let Some(hook) = &hook
            && passed + count > after
            && let Some(hook) = hook.lock().unwrap().take()
        {
            let (before, rest) = bytes.split_at(after.saturating_sub(passed));
            if to.write_all(before).is_err() {
                break;
            }
            bytes = rest;
            if hook() == Then::Cut {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                break;
            }
        }
        passed += count;
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
