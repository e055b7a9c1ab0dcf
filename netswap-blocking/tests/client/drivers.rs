//! A client over a stream that the caller made, driven by the caller.

use std::net::{TcpListener, TcpStream};
use std::thread;

use netswap_blocking::{Access, Client, ConnectOptions, Disconnect, Error, Pointer};

use crate::support::{joined, options, start};
use crate::{A_WHILE, pattern};

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn a_stream_of_ones_own_works_like_any_other() {
    let server = start(options());
    let stream = TcpStream::connect(server.address).unwrap();
    let (client, driver) = Client::connect_with(stream, ConnectOptions::default()).unwrap();
    let driver = thread::spawn(|| driver.run());
    let pointer = client.create(pattern(3_000_000), Access::READ).unwrap();
    assert!(client.resolve(pointer).unwrap() == pattern(3_000_000));
    client.close();
    joined(driver).unwrap();
}

#[cfg(unix)]
#[test]
fn a_stream_need_not_be_tcp() {
    use std::os::unix::net::UnixStream;

    let server = start(options());
    let (near, far) = UnixStream::pair().unwrap();
    let tunnel = TcpStream::connect(server.address).unwrap();
    let copies = [(far.try_clone().unwrap(), tunnel.try_clone().unwrap()), (far, tunnel)];
    let [(mut up_from, mut up_to), (mut down_to, mut down_from)] = copies;
    let up = thread::spawn(move || {
        std::io::copy(&mut up_from, &mut up_to).unwrap();
        up_to.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let down = thread::spawn(move || std::io::copy(&mut down_from, &mut down_to).unwrap());
    let (client, driver) = Client::connect_with(near, ConnectOptions::default()).unwrap();
    let driver = thread::spawn(|| driver.run());
    let pointer = client.create(pattern(3_000_000), Access::READ).unwrap();
    assert!(client.resolve(pointer).unwrap() == pattern(3_000_000));
    client.close();
    joined(driver).unwrap();
    joined(up);
    assert!(joined(down) > 3_000_000);
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_waited_for_is_refused() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    assert!(Client::connect_with(file, ConnectOptions::default()).is_err());
}

#[test]
fn nothing_happens_before_the_driver_runs() {
    let (near, far) = pair();
    far.set_read_timeout(Some(A_WHILE)).unwrap();
    let (client, driver) = Client::connect_with(near, ConnectOptions::default()).unwrap();
    let call = thread::spawn({
        let client = client.clone();
        move || client.delete(Pointer(1))
    });
    assert!(far.peek(&mut [0]).is_err() && !call.is_finished());
    // A driver that is dropped fails the calls that wait for it, and those that come later.
    drop(driver);
    assert!(matches!(joined(call), Err(Error::ConnectionLost { cause: Disconnect::Stopped, .. })));
    assert!(matches!(client.ping("?"), Err(Error::Closed)));
}

#[test]
fn the_driver_tells_how_the_stream_ended() {
    let (near, far) = pair();
    let (client, driver) = Client::connect_with(near, ConnectOptions::default()).unwrap();
    let driver = thread::spawn(|| driver.run());
    thread::sleep(A_WHILE);
    assert!(!driver.is_finished());
    drop(far);
    assert!(matches!(joined(driver), Err(Disconnect::ServerClosed)));
    assert!(matches!(client.ping("?"), Err(Error::Closed)));

    let (near, _far) = pair();
    let (client, driver) = Client::connect_with(near, ConnectOptions::default()).unwrap();
    drop(client);
    driver.run().unwrap();
}
