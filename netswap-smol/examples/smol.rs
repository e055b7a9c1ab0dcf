//! A server and two clients of it under smol: `cargo run -p netswap-smol --example smol`.
#![forbid(unsafe_code)]

use std::error::Error;

use netswap_smol::{Access, Client, ConnectOptions, Server};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0").await?;
    let (address, handle) = (server.local_address().to_string(), server.handle());
    let serving = smol::spawn(server.run());

    // The host puts the map on the server and passes 8 bytes to the others over its own channel ...
    let (host, driver) = Client::connect(&address).await?;
    smol::spawn(driver.run()).detach();
    let pointer = host.create(vec![7; 3_000_000], Access::READ).await?;
    println!("tell the others: {pointer}");

    // ... and a late joiner, who connects from another address, reads the three megabytes.
    let joining = ConnectOptions::new(&address).bind("127.0.0.2".parse()?);
    let (joiner, driver) = Client::connect(joining).await?;
    smol::spawn(driver.run()).detach();
    let map = joiner.resolve(pointer).await?;
    println!("the map has {} bytes", map.len());

    // What the owner does not allow is refused, and changes nothing.
    if let Err(refused) = joiner.replace(pointer, "mine now").await {
        println!("{refused}");
    }

    host.close().await;
    handle.shutdown();
    serving.await;
    Ok(())
}
