//! The signals that end the program: SIGINT (Ctrl-C) and SIGTERM.

use std::sync::mpsc;
use std::{io, thread};

use netswap_tokio::ServerHandle;
use tracing::{info, warn};

use crate::failure::{Exit, Failure};

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

/// A thread of its own that listens for signals, whatever runtime the rest of the program has. From its start on, they
/// do not end the program by themselves.
#[derive(Debug)]
pub(crate) struct SignalThread(mpsc::Sender<ServerHandle>);

impl SignalThread {
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
            Signals::listen()?
        };
        let (sender, server) = mpsc::channel::<ServerHandle>();
        let listen = move || {
            runtime.block_on(async {
                let signal = signals.next().await;
                info!("{} received, stopping; a second signal stops at once", signal.name());
                // Without a server there is nothing to stop in order.
                if let Ok(server) = server.recv() {
                    server.shutdown();
                    let signal = signals.next().await;
                    warn!("{} received, stopped at once", signal.name());
                    std::process::exit(signal.exit().code().into());
                }
                std::process::exit(signal.exit().code().into());
            });
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(cannot_listen)?;
        Ok(Self(sender))
    }

    /// Stops the server at the first signal, in order; at the second at once.
    pub(crate) fn stop(self, server: ServerHandle) {
        // The thread lives as long as the program.
        let _ = self.0.send(server);
    }
}

fn cannot_listen(error: io::Error) -> Failure {
    Failure::failed(format_args!("cannot listen for signals: {error}"))
}
