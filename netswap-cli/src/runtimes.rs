//! One server, on whichever runtime.

use std::net::SocketAddr;
use std::thread;

use netswap_tokio::{ServerError, ServerHandle, ServerOptions};

use crate::failure::{Exit, Failure};

/// Why there was no server.
pub(crate) enum NotServed {
    /// It cannot be set up.
    Server(ServerError),
    /// It cannot be run.
    Failure(Failure),
}

impl From<ServerError> for NotServed {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl From<Failure> for NotServed {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Serves on tokio until the server is stopped.
pub(crate) fn tokio(
    options: ServerOptions,
    threads: Option<u16>,
    ready: impl FnOnce(SocketAddr, ServerHandle),
) -> Result<(), NotServed> {
    let mut builder = match threads.map(usize::from) {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start the runtime: {error}")))?;
    let served = runtime.block_on(async {
        let server = netswap_tokio::Server::bind(options).await?;
        ready(server.local_address(), server.handle());
        server.run().await;
        Ok(())
    });
    runtime.shutdown_background();
    served
}

/// Serves on smol's parts until the server is stopped: each thread the connections that it accepts.
pub(crate) fn smol(
    options: ServerOptions,
    threads: Option<u16>,
    ready: impl FnOnce(SocketAddr, ServerHandle),
) -> Result<(), NotServed> {
    let threads = match threads {
        Some(threads) => threads.into(),
        None => thread::available_parallelism().map_or(1, usize::from),
    };
    let server = async_io::block_on(netswap_smol::Server::bind(options))?;
    ready(server.local_address(), server.handle());
    let others: Vec<_> = (1..threads)
        .map(|number| {
            let server = server.clone();
            thread::Builder::new()
                .name(format!("netswap-{number}"))
                .spawn(move || async_io::block_on(server.run()))
                .map_err(|error| Failure::failed(format_args!("cannot start a thread: {error}")))
        })
        .collect::<Result<_, _>>()?;
    async_io::block_on(server.run());
    for other in others {
        // A thread that has panicked has said so.
        let _ = other.join();
    }
    Ok(())
}

/// Serves with a thread for each connection until the server is stopped.
pub(crate) fn blocking(
    options: ServerOptions,
    threads: Option<u16>,
    ready: impl FnOnce(SocketAddr, ServerHandle),
) -> Result<(), NotServed> {
    if threads.is_some() {
        let problem =
            "--threads does not go with --runtime blocking: there every connection has a thread of its own";
        return Err(Failure::new(Exit::Usage, problem).into());
    }
    let server = netswap_blocking::Server::bind(options)?;
    ready(server.local_address(), server.handle());
    server.run();
    Ok(())
}
