//! The smallest server: `cargo run -p netswap-blocking --example serve_blocking [ADDRESS]`.
#![forbid(unsafe_code)]

use netswap_blocking::{Server, ServerError};

fn main() -> Result<(), ServerError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7420".into());
    let server = Server::bind(address)?;
    println!("listening on {}", server.local_address());
    server.run();
    Ok(())
}
