//! The signals that end the program: SIGINT (Ctrl-C) and SIGTERM.

use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use netswap_tokio::ServerHandle;
use tracing::{info, warn};

use crate::failure::{Exit, Failure};
use crate::log_writer;

/// When the process ends after the first signal, though the server has not stopped: with all else that is to be done,
/// within 5 s.
const END_AFTER: Duration = Duration::from_millis(4600);

/// What the last log lines may take, and the last question to the server.
const MOMENT: Duration = Duration::from_millis(100);

/// A signal that ends the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    /// The name of the signal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            #[cfg(unix)]
            Self::Terminate => "SIGTERM",
        }
    }

    /// How a program ends that this signal ended.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Signal(2),
            #[cfg(unix)]
            Self::Terminate => Exit::Signal(15),
        }
    }
}

/// Listens for signals. From its creation on, they do not end the program by themselves.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(cannot_listen);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next signal. Several of one kind at once are one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

/// The signals of a server: SIGHUP is ignored, since there is nothing to load again and records would be lost.
#[derive(Debug)]
struct ServerSignals {
    signals: Signals,
    #[cfg(unix)]
    _hangup: tokio::signal::unix::Signal,
}

impl ServerSignals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            signals: Signals::listen()?,
            // From now on it does not end the program, and nobody listens.
            #[cfg(unix)]
            _hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
                .map_err(cannot_listen)?,
        })
    }

    async fn next(&mut self) -> Signal {
        self.signals.next().await
    }
}

/// Listens for Ctrl-C. From its creation on, it does not end the program by itself.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub(crate) fn listen() -> Result<Self, Failure> {
        tokio::signal::windows::ctrl_c().map(Self).map_err(cannot_listen)
    }

    /// The next Ctrl-C.
    pub(crate) async fn next(&mut self) -> Signal {
        self.0.recv().await;
        Signal::Interrupt
    }
}

/// Ends a server at signals, whatever its runtime and its log do.
///
/// One thread does nothing but listen, and ends the process when the time is over or a second signal comes. Another one asks the
/// server to stop: nothing that keeps it waiting keeps the first one.
#[derive(Debug)]
pub(crate) struct SignalThreads {
    server: mpsc::Sender<ServerHandle>,
    logged: mpsc::Receiver<()>,
}

impl SignalThreads {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub(crate) fn start() -> Result<Self, Failure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_listen)?;
        let mut signals = {
            let _runtime = runtime.enter();
            ServerSignals::listen()?
        };
        let (sender, server) = mpsc::channel::<ServerHandle>();
        let (stop, stopping) = mpsc::channel::<Signal>();
        let (stopped, handles) = mpsc::channel::<ServerHandle>();
        let (log, logged) = mpsc::channel();
        let act = move || {
            let Ok(signal) = stopping.recv() else { return };
            // Without a server there is nothing to stop in order.
            let Ok(server) = server.recv() else { end(signal) };
            server.shutdown();
            info!("{} received, stopping; a second signal stops at once", signal.name());
            let _ = (stopped.send(server), log.send(()));
        };
        let listen = move || {
            runtime.block_on(async {
                let signal = signals.next().await;
                let _ = stop.send(signal);
                match tokio::time::timeout(END_AFTER, signals.next()).await {
                    Ok(second) => {
                        warn!("{} received, stopped at once", second.name());
                        end(second);
                    }
                    Err(_) => {
                        let connections = handles.try_recv().ok().and_then(connections);
                        warn!(connections, "the server has not stopped in time: what is left is lost");
                        end(signal);
                    }
                }
            });
        };
        for (name, thread) in
            [("stop", Box::new(act) as Box<dyn FnOnce() + Send>), ("signals", Box::new(listen))]
        {
            thread::Builder::new().name(name.to_owned()).spawn(thread).map_err(cannot_listen)?;
        }
        Ok(Self { server: sender, logged })
    }

    /// Stops the server at the first signal, in order; at the second at once.
    pub(crate) fn stop(&self, server: ServerHandle) {
        // The threads live as long as the program.
        let _ = self.server.send(server);
    }

    /// Waits until the log says why the server has stopped, but only for a moment.
    pub(crate) fn wait_for_log(&self) {
        let _ = self.logged.recv_timeout(MOMENT);
    }
}

/// Ends the process, with what can be logged in a moment.
fn end(signal: Signal) -> ! {
    log_writer::flush_within(MOMENT);
    std::process::exit(signal.exit().code().into());
}

/// How many connections a server has, where it answers in a moment.
fn connections(server: ServerHandle) -> Option<u64> {
    let (sender, connections) = mpsc::channel();
    let ask = move || sender.send(server.statistics().store.connections);
    thread::Builder::new().spawn(ask).ok()?;
    connections.recv_timeout(MOMENT).ok()
}

fn cannot_listen(error: io::Error) -> Failure {
    Failure::failed(format_args!("cannot listen for signals: {error}"))
}
