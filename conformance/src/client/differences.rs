//! Shows how what a client sent differs from what was expected.

use crate::cases::Name;
use crate::pattern::{Pattern, difference};
use crate::report::{self, Speaker};
use crate::server::Difference;

/// How what the server received differs; `pattern` is what it was to be, where it was anything. `ended` tells whether the
/// client has ended the connection.
pub(super) fn differs(
    expected: &[Option<u8>],
    received: &[u8],
    pattern: Option<&Pattern>,
    ended: bool,
) -> String {
    let at = difference(expected, received).unwrap_or(expected.len());
    let note = match (ended, received.len() < expected.len()) {
        (true, _) => Some("the client has ended the connection".into()),
        (false, true) => Some("nothing more has come".into()),
        (false, false) => None,
    };
    let line = pattern.and_then(|pattern| pattern.line_of(at)).cloned();
    let (expected, received) = (expected.to_vec(), received.to_vec());
    report::difference(&Difference { who: Name('S'), expected, received, at, line, note }, Speaker::Client)
}
