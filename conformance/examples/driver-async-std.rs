//! The driver of netswap-smol under async-std.
#![forbid(unsafe_code)]

fn main() {
    async_std::task::block_on(conformance::client::futures::drive("rust-async-std", |task| {
        async_std::task::spawn(task);
    }));
}
