//! `netswap serve`: a server until a signal comes.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use netswap_tokio::core::config::{ConfigError, Limits, Times};
use netswap_tokio::{ServerError, ServerHandle, ServerOptions, default_total};
use tracing::{info, warn};

use crate::args::{LimitArgs, Runtime, Serve};
use crate::descriptors;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::resident;
use crate::runtimes::{self, NotServed};
use crate::signals::SignalThreads;

/// How long connections may take to end after a signal: with all else that is to be done, it stays under 5 s.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(4);

/// Runs a server until a signal stops it.
pub(crate) fn run(args: Serve) -> Result<(), Failure> {
    let limits = limits(&args.limits).map_err(refused_limits)?;
    let mut options = ServerOptions::new(args.listen.to_string())
        .limits(limits.clone())
        .times(Times { grace: args.grace, longest: args.max_lifetime, ..Times::default() })
        .shutdown_deadline(SHUTDOWN_DEADLINE);
    if let Some(key) = &args.identity_key {
        options = options.identity_key(key.0.clone());
    }
    if let Some(seed) = &args.seed {
        options = options.seed(seed.0);
    }
    let descriptors = descriptors::allow(&limits);
    let signals = SignalThreads::start()?;
    let mut running = None;
    let ready = |address: SocketAddr, handle: ServerHandle| {
        tell_limits(&limits, args.grace);
        if let Err(allowed) = descriptors {
            let connections = limits.connections;
            warn!(
                "the system allows {allowed} open files: {connections} connections (--max-connections) do not fit, and \
                 will have to wait (ulimit -n, or LimitNOFILE= of systemd)"
            );
        }
        if !address.ip().to_canonical().is_loopback() {
            warn!(
                %address,
                "other machines may reach this server: clients are known by their address alone, and nothing is encrypted"
            );
        }
        if args.seed.is_some() {
            warn!("pointers follow from --seed, and who knows it can guess them: for tests only");
        }
        signals.stop(handle.clone());
        // That nobody reads the line is no reason not to serve.
        let _ = output::line(format_args!("netswap listening on {address}"));
        if let Err(error) = handle.watch_memory(resident::give_back) {
            warn!(%error, "the memory of the process is not watched");
        }
        running = Some(handle);
    };
    let served = match args.runtime {
        Runtime::Tokio => runtimes::tokio(options, args.threads, ready),
        Runtime::Smol => runtimes::smol(options, args.threads, ready),
        Runtime::Blocking => runtimes::blocking(options, args.threads, ready),
    };
    served.map_err(|error| match error {
        NotServed::Server(ServerError::Config(error)) => refused_limits(error),
        NotServed::Server(error) => Failure::failed(error),
        NotServed::Failure(failure) => failure,
    })?;
    signals.wait_for_log();
    if let Some(handle) = running {
        tell_statistics(&handle);
        // The program ends now: giving millions of records back one by one would only take time.
        std::mem::forget(handle);
    }
    Ok(())
}

fn limits(args: &LimitArgs) -> Result<Limits, ConfigError> {
    let total = args.max_memory.map_or_else(default_total, |total| total.as_u64());
    let default = Limits::new(total);
    let record = args.max_record.map_or(u64::from(default.record), |record| record.as_u64());
    let record = u32::try_from(record).map_err(|_| ConfigError::RecordAboveProtocol { record })?;
    let default = Limits::with_record(total, record);
    let size = |given: Option<ByteSize>, default: u64| given.map_or(default, |size| size.as_u64());
    Ok(Limits {
        record,
        total,
        owner_bytes: args.max_owner_bytes.map(|size| size.as_u64()),
        owner_records: args.max_owner_records,
        unfinished_requests: args.max_unfinished_requests.unwrap_or(default.unfinished_requests),
        // A record that is allowed must be possible to upload.
        connection_unfinished: size(args.max_connection_unfinished, default.connection_unfinished),
        unfinished: size(args.max_unfinished, default.unfinished),
        connections: args.max_connections.unwrap_or(default.connections),
        places: args.max_places.unwrap_or(default.places),
        watches: args.max_watches.unwrap_or(default.watches),
        connections_per_address: args.max_connections_per_address,
        queued_replies: args.max_queued_replies.unwrap_or(default.queued_replies),
        queued_bytes: size(args.max_queued_bytes, default.queued_bytes),
    })
}

fn refused_limits(error: ConfigError) -> Failure {
    let flags = match error {
        ConfigError::RecordAboveTotal { .. } => "--max-record and --max-memory: ",
        ConfigError::RecordAboveProtocol { .. } => "--max-record: ",
        ConfigError::Zero(_) => "",
    };
    Failure::new(Exit::Usage, format_args!("{flags}{error}"))
}

fn tell_limits(limits: &Limits, grace: Duration) {
    let bound = limits.memory_bound();
    let counted = [limits.total, limits.room_bound(), limits.spare_bound(), limits.places_bound()];
    let buffers = counted.into_iter().fold(bound, u64::saturating_sub);
    info!(
        bytes = bound,
        "memory: at most {}: {} for records, unfinished requests and replies under way (--max-memory), {} of room for \
         unfinished requests that grow (--max-unfinished and a half), {} of room that deleted records may leave, {} for the \
         places of watches, requests and replies (--max-places), {} for the buffers of {} connections (--max-connections), \
         {} each; what the system's sockets hold comes on top",
        iec(bound),
        iec(limits.total),
        iec(limits.room_bound()),
        iec(limits.spare_bound()),
        iec(limits.places_bound()),
        iec(buffers),
        limits.connections,
        iec(limits.connection_bound()),
    );
    info!(
        max_record = limits.record,
        "records: at most {} each; they outlive their owner's last connection by {}",
        iec(limits.record.into()),
        humantime::format_duration(grace),
    );
    let upload = limits.connection_unfinished.min(limits.unfinished);
    if upload < u64::from(limits.record) {
        warn!(
            "records of more than {} cannot be uploaded: unfinished requests may not have more bytes \
             (--max-connection-unfinished, --max-unfinished)",
            iec(upload)
        );
    }
}

fn tell_statistics(server: &ServerHandle) {
    let statistics = server.statistics();
    let counters = &statistics.store.counters;
    info!(
        connections = counters.connections,
        connections_refused = counters.connections_refused,
        records_created = counters.records_created,
        records_dropped = statistics.store.records,
        received = statistics.traffic.received,
        sent = statistics.traffic.sent,
        "stopped"
    );
}

fn iec(bytes: u64) -> impl std::fmt::Display {
    ByteSize::b(bytes).display().iec()
}
