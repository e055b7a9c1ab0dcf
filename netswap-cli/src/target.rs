//! What a command is about: a server, or a record on it, by pointer or by URL (docs/PROTOCOL.md §1.4).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use netswap_tokio::core::types::Pointer;

use crate::args::Connection;

/// The port where nothing else is said.
const DEFAULT_PORT: u16 = 7420;

const SCHEME: &str = "netswap://";

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

/// A record: its pointer, and its server where a URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The server, if the pointer came as a URL.
    pub(crate) server: Option<Address>,
    /// The pointer.
    pub(crate) pointer: Pointer,
}

/// A text that names no address or no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// Not an address.
    #[error("an address is HOST:PORT, with an IPv6 address in brackets, like [::1]:7420")]
    Address,
    /// Not a pointer.
    #[error("a pointer is 16 hex digits, or a URL: netswap://HOST:PORT/POINTER")]
    Pointer,
    /// A URL with a wrong pointer.
    #[error("the URL does not end with a pointer, which is 16 hex digits: netswap://HOST:PORT/POINTER")]
    PointerInUrl,
    /// A URL with a wrong address.
    #[error("the URL names no server: netswap://HOST:PORT/POINTER, with an IPv6 address in brackets")]
    AddressInUrl,
}

impl FromStr for Address {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (host, port) = split(text).ok_or(TargetError::Address)?;
        let port = match port {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| TargetError::Address)?
            }
            Some(_) => return Err(TargetError::Address),
            None => DEFAULT_PORT,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Splits an address into its host, without brackets, and its port.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        // The zone of a link-local address, as in fe80::1%eth0, is the system's business.
        let (address, _zone) = host.split_once('%').unwrap_or((host, ""));
        address.parse::<Ipv6Addr>().ok()?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((host, port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let plausible = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!host.is_empty() && host.chars().all(plausible)).then_some((host, port))
}

impl Target {
    /// The server of the record: that of the URL, or else that of the flags.
    pub(crate) fn server<'a>(&'a self, options: &'a Connection) -> &'a Address {
        self.server.as_ref().unwrap_or(&options.server)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let url = text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME));
        if !url {
            let pointer = text.parse().map_err(|_| TargetError::Pointer)?;
            return Ok(Self { server: None, pointer });
        }
        let (server, pointer) = text[SCHEME.len()..].split_once('/').ok_or(TargetError::PointerInUrl)?;
        let server = server.parse().map_err(|_| TargetError::AddressInUrl)?;
        let pointer = pointer.parse().map_err(|_| TargetError::PointerInUrl)?;
        Ok(Self { server: Some(server), pointer })
    }
}

/// The URL of a record.
pub(crate) fn url(server: &Address, pointer: Pointer) -> String {
    format!("{SCHEME}{server}/{pointer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_from_their_text() {
        let cases = [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("localhost:7421", "localhost:7421"),
            ("example.org", "example.org:7420"),
            ("[::1]:7", "[::1]:7"),
            ("[::1]", "[::1]:7420"),
            ("10.0.0.1", "10.0.0.1:7420"),
            ("[fe80::1%eth0]:7420", "[fe80::1%eth0]:7420"),
        ];
        for (text, expected) in cases {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(expected.parse(), Ok(address));
        }
        let wrong = [
            "", ":1", "a:", "a:b", "a:65536", "a:+1", "a:1:2", "[::1", "[::1]7", "[a]:1", "a b:1", "a/b",
            "::1", "::1:7420",
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Address>(), Err(TargetError::Address), "{wrong}");
        }
    }

    #[test]
    fn records_are_named_by_pointer_or_url() {
        let pointer = Pointer(0x00c0_ffee_00c0_ffee);
        assert_eq!("00C0ffee00c0ffee".parse(), Ok(Target { server: None, pointer }));
        for server in ["192.0.2.1:7420", "[2001:db8::1]:7421", "localhost:7420"] {
            let server: Address = server.parse().unwrap();
            let target: Target = url(&server, pointer).parse().unwrap();
            assert_eq!(target, Target { server: Some(server), pointer });
        }
        let target: Target = "NetSwap://host/00c0ffee00c0ffee".parse().unwrap();
        assert_eq!(target.server, "host:7420".parse().ok());
    }

    #[test]
    fn what_names_no_record_is_told_why() {
        let cases = [
            ("", TargetError::Pointer),
            ("c0ffee", TargetError::Pointer),
            ("http://host/00c0ffee00c0ffee", TargetError::Pointer),
            ("netswap://host", TargetError::PointerInUrl),
            ("netswap://host/", TargetError::PointerInUrl),
            ("netswap://host/c0ffee", TargetError::PointerInUrl),
            ("netswap:///00c0ffee00c0ffee", TargetError::AddressInUrl),
            ("netswap://::1:7420/00c0ffee00c0ffee", TargetError::AddressInUrl),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Target>(), Err(expected), "{text}");
        }
    }
}
