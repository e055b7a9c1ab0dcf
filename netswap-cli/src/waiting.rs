//! Reads of reserved records, which wait for their data.

use std::time::{Duration, Instant};

use netswap_tokio::{Client, Error, Pointer};

use crate::failure::Failure;
use crate::output;
use crate::session::Session;

/// Waits for a record's data. A read that was not answered in time is made again for as long as the record is
/// reserved; that the server is there shows each time.
pub(crate) struct Patience<'a> {
    session: &'a Session,
    pointer: Pointer,
    limit: Option<(Instant, Duration)>,
    /// Whether it was reserved when it was looked at last. A read may time out just before that ends.
    reserved: bool,
    noted: bool,
}

impl<'a> Patience<'a> {
    /// For a read that begins now; without a limit it waits without end.
    pub(crate) fn new(session: &'a Session, pointer: Pointer, limit: Option<Duration>) -> Self {
        let limit = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { session, pointer, limit, reserved: true, noted: false }
    }

    /// The client to read with.
    pub(crate) fn client(&self) -> Client {
        let timeout = self.session.options.timeout;
        if !self.reserved {
            return self.session.client.clone();
        }
        let left = self.limit.map_or(timeout, |(until, _)| until.saturating_duration_since(Instant::now()));
        // Not nothing: a record that has its data is to be read in any case.
        self.session.client.with_timeout(left.clamp(timeout.min(Duration::from_millis(100)), timeout))
    }

    /// A read has timed out before the first byte. Returns when it is to be made again.
    ///
    /// # Errors
    ///
    /// It is not the record that kept the answer away, or it was waited for long enough.
    pub(crate) async fn outlast(&mut self, error: Error) -> Result<(), Failure> {
        let Self { session, pointer, .. } = *self;
        let stat = session.client.stat(pointer).await.map_err(|error| session.failure(pointer, error))?;
        if !stat.reserved {
            let was_reserved = std::mem::replace(&mut self.reserved, false);
            return if was_reserved { Ok(()) } else { Err(session.failure(pointer, error)) };
        }
        if let Some((until, limit)) = self.limit
            && Instant::now() >= until
        {
            let limit = humantime::format_duration(limit);
            return Err(Failure::failed(format_args!("{pointer}: reserved, and without data after {limit}")));
        }
        if !std::mem::replace(&mut self.noted, true) {
            output::note("the record is reserved; waiting for its data");
        }
        Ok(())
    }
}
