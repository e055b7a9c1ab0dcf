//! What drivers in Rust have in common: how they read the values of a call, and how they write those that the core
//! has types for. What they call, and how they wait for it, stands in each driver itself.

use std::str::FromStr;
use std::time::Duration;

use netswap_core::client::Outcome;
use netswap_core::error::Refusal;
use netswap_core::types::Access;
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

    /// Adds why the server refused a request, or the connection.
    #[must_use]
    pub fn with_refusal(self, refusal: &Refusal) -> Self {
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

    /// Adds what is known of a request that failed: whether it may have been done, and whether the same call may
    /// succeed later.
    #[must_use]
    pub fn with_outcome(self, outcome: Outcome, retryable: bool) -> Self {
        let outcome = match outcome {
            Outcome::NotDone => "not-done",
            Outcome::Unknown => "unknown",
        };
        self.with("outcome", outcome).with("retryable", if retryable { "yes" } else { "no" })
    }

    /// Adds new access bits of a watched record.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        self.with("change", "access").with("access", access)
    }

    /// Adds the end of a watched record.
    #[must_use]
    pub fn with_ending(self, ending: Ending) -> Self {
        self.with(
            "change",
            match ending {
                Ending::Deleted => "deleted",
                Ending::Expired => "expired",
                Ending::AccessLost => "access-lost",
            },
        )
    }

    fn unfit(&self, key: &str, why: impl ToString) -> BadLine {
        let value = self.value(key).unwrap_or_default();
        BadLine::Unfit { key: key.into(), value: value.into(), why: why.to_string() }
    }
}
