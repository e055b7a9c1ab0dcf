//! How a server is named.

use std::net::IpAddr;

/// The port of a server where none is named.
const DEFAULT_PORT: u16 = 7420;

/// An address with its port, in the form in which it can be looked up.
pub(crate) fn with_port(address: &str) -> String {
    let bare_v6 = address.parse().is_ok_and(|address: IpAddr| address.is_ipv6());
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    if bare_v6 {
        format!("[{address}]:{DEFAULT_PORT}")
    } else if has_port {
        address.to_owned()
    } else {
        format!("{address}:{DEFAULT_PORT}")
    }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn an_address_without_a_port_gets_the_default() {
        let cases = [
            ("localhost", "localhost:7420"),
            ("localhost:1", "localhost:1"),
            ("192.0.2.1", "192.0.2.1:7420"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("::1", "[::1]:7420"),
            ("2001:db8::7420", "[2001:db8::7420]:7420"),
            ("[::1]", "[::1]:7420"),
            ("[::1]:80", "[::1]:80"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_port(given), expected);
        }
    }
}
