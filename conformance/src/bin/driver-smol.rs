//! The driver of netswap-smol under smol.
#![forbid(unsafe_code)]

fn main() {
    smol::block_on(conformance::client::futures::drive("rust-smol", |task| smol::spawn(task).detach()));
}
