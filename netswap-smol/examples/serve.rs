//! The smallest server: `cargo run -p netswap-smol --example serve_smol [ADDRESS [THREADS]]`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::thread;

use netswap_smol::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7420".into());
    let threads: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let server = async_io::block_on(Server::bind(address))?;
    println!("listening on {}", server.local_address());
    for _ in 1..threads {
        let server = server.clone();
        thread::spawn(|| async_io::block_on(server.run()));
    }
    async_io::block_on(server.run());
    Ok(())
}
