//! A server in a thread of a program, and two clients of it: `cargo run -p netswap-blocking --example quick_start`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::thread;

use netswap_blocking::{Access, Client, ConnectOptions, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0")?;
    let (address, handle) = (server.local_address(), server.handle());
    let serving = thread::spawn(|| server.run());

    // The host puts the map on the server and passes 8 bytes to the others over its own channel ...
    let host = Client::connect(address)?;
    let pointer = host.create(vec![7; 3_000_000], Access::READ)?;
    println!("the host tells the others: {pointer}");

    // ... and a late joiner, who connects from another address, reads the three megabytes and follows what changes.
    let joiner = Client::connect(ConnectOptions::new(address.to_string()).bind("127.0.0.2".parse()?))?;
    let mut map = joiner.mirror(pointer)?;
    println!("the joiner has {} bytes", map.data().len());
    let following = thread::spawn(move || map.changed().map(|version| (version, map.data()[1_000_000])));
    host.write_range(pointer, 1_000_000, "!")?;
    let (version, byte) = following.join().map_err(|_| "the thread does not panic")??;
    println!("version {version} has {:?} in its middle", char::from(byte));

    // What the owner does not allow is refused, and changes nothing.
    if let Err(refused) = joiner.replace(pointer, "mine now") {
        println!("the joiner may not replace it: {refused}");
    }

    host.close();
    handle.shutdown();
    serving.join().map_err(|_| "the server does not panic")?;
    Ok(())
}
