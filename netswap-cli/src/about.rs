//! Commands about the server and this client's place there: `whoami` and `ping`.

use std::time::Duration;

use serde_json::json;

use crate::args::{Ping, WhoAmI};
use crate::failure::Failure;
use crate::output;
use crate::session::Session;

/// Prints who this address is for the server.
pub(crate) async fn whoami(args: WhoAmI) -> Result<(), Failure> {
    let session = Session::open(&args.connection, &args.connection.server).await?;
    let identity = session.identify().await?;
    session.client.close().await;
    if !args.json {
        return output::line(identity.owner);
    }
    output::json(&json!({
        "owner": identity.owner.to_string(),
        "protocol_version": identity.protocol_version,
        "max_payload": identity.max_payload,
        "max_record": identity.max_record,
        "grace": identity.grace.as_secs(),
    }))
}

/// Measures round-trip times.
pub(crate) async fn ping(args: Ping) -> Result<(), Failure> {
    let session = Session::open(&args.connection, &args.connection.server).await?;
    let count = args.count;
    let mut times = Times::default();
    for at in 1..=count {
        if at > 1 {
            tokio::time::sleep(args.interval).await;
        }
        let pinged = session.client.ping(at.to_be_bytes().to_vec()).await;
        let time = pinged.map_err(|error| session.failure(format_args!("ping {at}"), error))?;
        times.add(time);
        output::line(format_args!("{at} from {}: {}", session.server, milliseconds(time)))?;
    }
    session.client.close().await;
    output::line(format_args!(
        "{count} of {count} answered: min {}, mean {}, max {}",
        milliseconds(times.min),
        milliseconds(times.sum / count),
        milliseconds(times.max),
    ))
}

#[derive(Default)]
struct Times {
    min: Duration,
    max: Duration,
    sum: Duration,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.min = if self.sum.is_zero() { time } else { self.min.min(time) };
        self.max = self.max.max(time);
        self.sum += time;
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}
