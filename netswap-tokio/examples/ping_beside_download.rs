//! How long small requests take on a connection that is downloading a large record: prints percentiles.
//!
//! ```text
//! cargo run --release -- serve &
//! cargo run --release -p netswap-tokio --example ping_beside_download -- 127.0.0.1:7420 200
//! ```
//!
//! The arguments are the server's address and the record's size in MB.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use netswap_tokio::core::types::Access;
use netswap_tokio::{Client, Error};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(run())?)
}

async fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "127.0.0.1:7420".into());
    let size = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200) * 1_000_000;
    let client = Client::connect(server).await?;
    let start = Instant::now();
    let pointer = client.create(vec![0x5a; size], Access::READ).await?;
    println!("upload: {:.0} MB/s", rate(size, start));

    let mut pings = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        let download = tokio::spawn({
            let client = client.clone();
            async move { client.resolve_into(pointer, tokio::io::sink(), |_, _| ()).await }
        });
        while !download.is_finished() {
            pings.push(client.ping("?").await?);
        }
        let _ = download.await;
        println!("download: {:.0} MB/s", rate(size, start));
    }
    client.delete(pointer).await?;
    pings.sort_unstable();
    let percentile = |percent: usize| pings.get((pings.len() * percent / 100).min(pings.len() - 1));
    let [median, high, worst] =
        [50, 99, 100].map(|percent| percentile(percent).copied().unwrap_or(Duration::ZERO));
    println!("{} pings beside it: median {median:?}, 99th percentile {high:?}, worst {worst:?}", pings.len());
    Ok(())
}

fn rate(bytes: usize, start: Instant) -> f64 {
    bytes as f64 / start.elapsed().as_secs_f64() / 1e6
}
