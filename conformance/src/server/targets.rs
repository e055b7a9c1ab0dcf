//! The servers that can be started in this process.
//!
//! An adapter takes part with its line in [`Target`] and a function that starts it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use netswap_core::config::Config;
use netswap_tokio::ServerOptions;

/// A server that can be started in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Target {
    /// The core, in memory and in simulated time.
    Core,
    /// netswap-tokio, over TCP.
    Tokio,
    /// netswap-smol, over TCP.
    Smol,
    /// netswap-blocking, over TCP.
    Blocking,
}

impl Target {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Core, Self::Tokio, Self::Smol, Self::Blocking];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::Blocking => "blocking",
        }
    }

    /// Starts it, to be reached over TCP; `ipv6` where it is to listen there too.
    ///
    /// # Errors
    ///
    /// It does not start; or it is [`Core`](Self::Core), which has no sockets.
    pub async fn start(self, config: Config, ipv6: bool) -> anyhow::Result<Running> {
        let ip = if ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let Config { limits, times, identity_key, seed, .. } = config;
        let options = ServerOptions::new(SocketAddr::new(ip, 0).to_string()).limits(limits).times(times);
        let options = options.identity_key(identity_key).seed(seed);
        let running = match self {
            Self::Core => anyhow::bail!("the core has no sockets"),
            Self::Tokio => start_tokio(options).await,
            Self::Smol => start_smol(options).await,
            Self::Blocking => start_blocking(options),
        };
        running.context("the server does not start")
    }
}

/// A server that runs until this is dropped.
pub struct Running {
    /// The port that it listens on.
    pub port: u16,
    stop: Box<dyn Fn() + Send + Sync>,
    end: Box<dyn Fn() + Send + Sync>,
}

impl Running {
    /// Tells it to shut down in order.
    pub fn stop(&self) {
        (self.stop)();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        (self.end)();
    }
}

async fn start_tokio(options: ServerOptions) -> anyhow::Result<Running> {
    let server = netswap_tokio::Server::bind(options).await?;
    let (port, handle) = (server.local_address().port(), server.handle());
    let serving = tokio::spawn(server.run()).abort_handle();
    Ok(Running { port, stop: Box::new(move || handle.shutdown()), end: Box::new(move || serving.abort()) })
}

async fn start_smol(options: ServerOptions) -> anyhow::Result<Running> {
    let server = netswap_smol::Server::bind(options).await?;
    let (port, handle) = (server.local_address().port(), server.handle());
    // It runs in any executor.
    let serving = tokio::spawn(server.run()).abort_handle();
    Ok(Running { port, stop: Box::new(move || handle.shutdown()), end: Box::new(move || serving.abort()) })
}

fn start_blocking(options: ServerOptions) -> anyhow::Result<Running> {
    // At the end of a case its server stops in order, and need not wait for anybody.
    let server = netswap_blocking::Server::bind(options)?;
    let (port, handle) = (server.local_address().port(), server.handle());
    std::thread::Builder::new().name("blocking-server".into()).spawn(move || server.run())?;
    let end = handle.clone();
    Ok(Running { port, stop: Box::new(move || handle.shutdown()), end: Box::new(move || end.shutdown()) })
}
