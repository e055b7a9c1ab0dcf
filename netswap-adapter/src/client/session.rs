//! What a client is, for whoever makes its calls.

use std::sync::Arc;
use std::time::Duration;

use super::Events;
use super::shared::Shared;

/// The calls of a client. Cheap to clone, and shared between tasks as it is. The adapters' `Client` says what each call
/// does.
///
/// When the last clone is dropped, and the last [`Watch`](super::Watch), the connection is closed.
#[derive(Clone, Debug)]
pub struct Session {
    handle: Arc<Handle>,
    idle_timeout: Option<Duration>,
}

/// What all clones of a session have in common; with the last of them it is closed.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle(shared)), idle_timeout: None }
    }

    /// The same session, of which requests fail when none of their bytes move for this long.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { handle: self.handle.clone(), idle_timeout: Some(timeout) }
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared().listen()
    }

    /// Closes the session, for all clones of it: calls that are under way get their answers, but for
    /// [`resolve_wait`](Self::resolve_wait), and new ones get [`Error::Closed`](super::Error). Returns when the connection
    /// is closed.
    pub async fn close(&self) {
        self.shared().close();
        self.shared().closed().await;
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.handle.0
    }

    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }
}
