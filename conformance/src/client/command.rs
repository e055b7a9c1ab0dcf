//! What drivers in Rust have in common: how they read the values of a call, and how they write those that all adapters
//! share. What they call, and how they wait for it, stands in each driver itself.

use std::str::FromStr;
use std::time::Duration;

use netswap_adapter::client::{Change, ConnectOptions, ConnectionEvent, Disconnect, Error, ErrorKind};
use netswap_core::client::Outcome;
use netswap_core::error::{ProtocolError, Refusal};
use netswap_core::wire::{Ending, Identity, Lifetime, Stat};

use super::line::{self, BadLine, Line};

impl Line {
    /// The line that ends this call well.
    #[must_use]
    pub fn returns(&self) -> Self {
        Self::new(self.number, "returns")
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// There is none, or it is not of this type.
    pub fn get<T: FromStr<Err: ToString>>(&self, key: &str) -> Result<T, BadLine> {
        self.optional(key)?.ok_or_else(|| BadLine::Missing(key.into()))
    }

    /// The value of a key that need not be there.
    ///
    /// # Errors
    ///
    /// It is not of this type.
    pub fn optional<T: FromStr<Err: ToString>>(&self, key: &str) -> Result<Option<T>, BadLine> {
        let parse = |value: &str| value.parse().map_err(|why: T::Err| self.unfit(key, why));
        self.value(key).map(parse).transpose()
    }

    /// The value of a key for which `word` stands where there is none.
    ///
    /// # Errors
    ///
    /// It is not there, and is not of this type.
    pub fn unless<T: FromStr<Err: ToString>>(&self, key: &str, word: &str) -> Result<Option<T>, BadLine> {
        if self.value(key) == Some(word) { Ok(None) } else { self.get(key).map(Some) }
    }

    /// Whether a value is `yes`; otherwise it is `no`.
    ///
    /// # Errors
    ///
    /// It is neither, or not there.
    pub fn is(&self, key: &str) -> Result<bool, BadLine> {
        match self.value(key) {
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(_) => Err(self.unfit(key, "neither `yes` nor `no`")),
            None => Err(BadLine::Missing(key.into())),
        }
    }

    /// A time in milliseconds that need not be there.
    ///
    /// # Errors
    ///
    /// It is not a number.
    pub fn millis(&self, key: &str) -> Result<Option<Duration>, BadLine> {
        Ok(self.optional(key)?.map(Duration::from_millis))
    }

    /// The `data` of a call.
    ///
    /// # Errors
    ///
    /// There are none, or they are not written as data are.
    pub fn data(&self) -> Result<Vec<u8>, BadLine> {
        let text = self.value("data").ok_or_else(|| BadLine::Missing("data".into()))?;
        line::data(text).ok_or_else(|| self.unfit("data", "not hex digits, nor `41*1000`"))
    }

    /// The settings of `set_lifetime`.
    ///
    /// # Errors
    ///
    /// One of them is not there, or is not what it should be.
    pub fn lifetime(&self) -> Result<Lifetime, BadLine> {
        Ok(Lifetime {
            grace: self.unless("grace", "default")?,
            ttl: self.unless("ttl", "none")?,
            heir: self.unless("heir", "none")?,
        })
    }

    /// Adds the state of a record.
    #[must_use]
    pub fn with_stat(self, stat: &Stat) -> Self {
        let expires = stat.expires.map_or("none".into(), |seconds| seconds.to_string());
        self.with("length", stat.len)
            .with("version", stat.version)
            .with("owner", stat.owner)
            .with("access", stat.access)
            .with("state", if stat.reserved { "reserved" } else { "live" })
            .with("expires", expires)
    }

    /// Adds what IDENTIFY tells.
    #[must_use]
    pub fn with_identity(self, identity: &Identity) -> Self {
        self.with("owner", identity.owner)
            .with("protocol", identity.protocol_version)
            .with("packet", identity.max_payload)
            .with("record", identity.max_record)
            .with("grace", identity.grace.as_secs())
    }

    /// How a client is to connect.
    ///
    /// # Errors
    ///
    /// An option is not what it should be.
    pub fn options(&self) -> Result<ConnectOptions, BadLine> {
        let mut options = ConnectOptions::new(self.get::<String>("address")?);
        if let Some(address) = self.optional("bind")? {
            options = options.bind(address);
        }
        if let Some(timeout) = self.millis("connect-timeout")? {
            options = options.connect_timeout(timeout);
        }
        if let Some(timeout) = self.millis("request-timeout")? {
            options = options.request_timeout(timeout);
        }
        if self.value("reconnect").is_some() {
            options = options.reconnect(self.is("reconnect")?);
        }
        if let (Some(first), Some(most)) = (self.millis("reconnect-first")?, self.millis("reconnect-most")?) {
            options = options.reconnect_delays(first, most);
        }
        if let Some(bytes) = self.optional("max-reply")? {
            options = options.max_reply(bytes);
        }
        if let Some(requests) = self.optional("max-requests")? {
            options = options.max_requests(requests);
        }
        Ok(options)
    }

    /// The line that says why this call failed.
    #[must_use]
    pub fn fails(&self, error: &Error) -> Self {
        let kind = match error.kind() {
            _ if matches!(error, Error::Aborted { .. }) => "aborted",
            ErrorKind::Refused => "refused",
            ErrorKind::TimedOut => "timed-out",
            ErrorKind::ConnectionLost => "connection-lost",
            ErrorKind::Connect => "connect",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Limit => "limit",
            ErrorKind::Io => "io",
            ErrorKind::Closed => "closed",
            _ => "unknown",
        };
        let fails = Self::new(self.number, "fails").with("error", kind);
        let cause = if let Error::Greeting { source, .. } = error { source } else { error };
        let fails = match cause {
            Error::Refused(refusal) => fails.with_refusal(refusal),
            Error::ConnectionLost { cause: Disconnect::Protocol(cause), .. } => match cause {
                ProtocolError::ConnectionRefused(refusal) => fails.with_refusal(refusal),
                ProtocolError::ViolationReported(violation) => {
                    fails.with("code", "MALFORMED_PACKET").with("detail", *violation as u8)
                }
                _ => fails,
            },
            _ => fails,
        };
        let outcome = match error.outcome() {
            Outcome::NotDone => "not-done",
            Outcome::Unknown => "unknown",
        };
        let retryable = if error.is_retryable() { "yes" } else { "no" };
        fails.with("outcome", outcome).with("retryable", retryable).remarked(error)
    }

    /// The line in which this watch tells of a change.
    #[must_use]
    pub fn tells(&self, change: Change) -> Self {
        let of = |change| Self::new(self.number, "tells").with("change", change);
        match change {
            Change::Changed { version, data: None } => of("changed").with("version", version),
            Change::Changed { version, data: Some(data) } => {
                of("changed").with("version", version).with_data("data", &data)
            }
            Change::RangeChanged { version, offset, data } => {
                of("range").with("version", version).with("offset", offset).with_data("data", &data)
            }
            Change::AccessChanged(access) => of("access").with("access", access),
            Change::OwnerChanged(owner) => of("owner").with("owner", owner),
            Change::OwnershipRequested(owner) => of("requested").with("owner", owner),
            Change::Interrupted => of("interrupted"),
            Change::Resumed { version } => of("resumed").with("version", version),
            Change::Ended(Ending::Deleted) => of("deleted"),
            Change::Ended(Ending::Expired) => of("expired"),
            Change::Ended(Ending::AccessLost) => of("access-lost"),
            other => of("unknown").remarked(format!("{other:?}")),
        }
    }

    /// The line in which `events` tells of one.
    #[must_use]
    pub fn tells_event(&self, event: ConnectionEvent) -> Self {
        let of = |event| Self::new(self.number, "tells").with("event", event);
        match event {
            ConnectionEvent::Connected { address } => of("connected").remarked(address),
            ConnectionEvent::Disconnected { cause } => of("disconnected").remarked(cause),
            ConnectionEvent::Reconnecting { attempt, .. } => of("reconnecting").with("attempt", attempt),
            ConnectionEvent::Closed => of("closed"),
            other => of("unknown").remarked(format!("{other:?}")),
        }
    }

    /// Adds why the server refused a request, or the connection.
    fn with_refusal(self, refusal: &Refusal) -> Self {
        let with_code = |code| self.with("code", code);
        match refusal {
            Refusal::AccessViolation => with_code("ACCESS_VIOLATION"),
            Refusal::AddressFault => with_code("ADDRESS_FAULT"),
            Refusal::InvalidRequest(detail) => with_code("INVALID_REQUEST").with("detail", *detail as u8),
            Refusal::UnsupportedOp => with_code("UNSUPPORTED_OP"),
            Refusal::RecordTooLarge { limit } => with_code("RECORD_TOO_LARGE").with("limit", limit),
            Refusal::QuotaExceeded { quota, limit } => {
                with_code("QUOTA_EXCEEDED").with("detail", *quota as u8).with("limit", limit)
            }
            Refusal::VersionMismatch { current } => with_code("VERSION_MISMATCH").with("version", current),
        }
    }

    fn unfit(&self, key: &str, why: impl ToString) -> BadLine {
        let value = self.value(key).unwrap_or_default();
        BadLine::Unfit { key: key.into(), value: value.into(), why: why.to_string() }
    }
}
