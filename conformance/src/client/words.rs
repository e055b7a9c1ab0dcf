//! The words of client cases: calls with their values, options, and how calls end.

use std::time::Duration;

use super::case::Setting;
use super::line::{self, Data, Line};
use crate::text::{Mistake, duration, without_explanation};

/// The calls that a driver can make: the name, the values that it needs, and those that it may have.
pub const CALLS: [(&str, &[&str], &[&str]); 29] = [
    ("connect", &[], &[]),
    ("create", &["data", "access"], &[]),
    ("create_from", &["data", "access"], &["length"]),
    ("reserve", &["access"], &[]),
    ("resolve", &["pointer"], &[]),
    ("resolve_wait", &["pointer"], &["timeout"]),
    ("resolve_into", &["pointer"], &[]),
    ("resolve_if_changed", &["pointer"], &["version"]),
    ("read_range", &["pointer", "offset", "length"], &[]),
    ("replace", &["pointer", "data"], &[]),
    ("replace_from", &["pointer", "data"], &["length"]),
    ("write_range", &["pointer", "offset", "data"], &[]),
    ("append", &["pointer", "data"], &[]),
    ("compare_and_replace", &["pointer", "version", "data"], &[]),
    ("update", &["pointer", "data"], &[]),
    ("fetch_add", &["pointer", "offset", "delta"], &[]),
    ("stat", &["pointer"], &[]),
    ("set_permissions", &["pointer", "access"], &[]),
    ("set_lifetime", &["pointer", "grace", "ttl", "heir"], &[]),
    ("delete", &["pointer"], &[]),
    ("takeover", &["pointer"], &[]),
    ("transfer", &["pointer", "owner"], &[]),
    ("request_ownership", &["pointer"], &[]),
    ("watch", &["pointer", "push"], &[]),
    ("list", &[], &[]),
    ("identify", &[], &[]),
    ("ping", &["data"], &[]),
    ("events", &[], &[]),
    ("close", &[], &[]),
];

/// What an option's value is.
enum Sort {
    Time,
    Number,
    YesOrNo,
    Address,
}

/// The options of connecting.
const OPTIONS: [(&str, Sort); 8] = [
    ("bind", Sort::Address),
    ("connect-timeout", Sort::Time),
    ("request-timeout", Sort::Time),
    ("reconnect", Sort::YesOrNo),
    ("reconnect-first", Sort::Time),
    ("reconnect-most", Sort::Time),
    ("max-reply", Sort::Number),
    ("max-requests", Sort::Number),
];

/// Reads an option: its key and its value.
pub(super) fn option(text: &str) -> Result<(String, Setting), Mistake> {
    let (key, value) = text.split_once(' ').unwrap_or((text, ""));
    let known = || OPTIONS.map(|(key, _)| key).join("`, `");
    let sort = OPTIONS.iter().find(|(name, _)| *name == key).map(|(_, sort)| sort);
    let setting = match sort.ok_or_else(|| Mistake::new(format!("an option: `{}`", known()), key))? {
        Sort::Time => Setting::Time(duration(value)?),
        Sort::Number if value.parse::<u32>().is_ok() => Setting::Text(value.into()),
        Sort::Number => return Err(Mistake::new("a number", value)),
        Sort::YesOrNo if matches!(value, "yes" | "no") => Setting::Text(value.into()),
        Sort::YesOrNo => return Err(Mistake::new("`yes` or `no`", value)),
        Sort::Address if value.parse::<std::net::IpAddr>().is_ok() => Setting::Text(value.into()),
        Sort::Address => return Err(Mistake::new("an IP address", value)),
    };
    Ok((key.into(), setting))
}

impl Setting {
    /// The value as it is told to a driver.
    #[must_use]
    pub fn told(&self, time: impl Fn(Duration) -> Duration) -> String {
        match self {
            Self::Time(duration) => time(*duration).as_millis().to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Reads a call: what follows `call`.
pub(super) fn call(text: &str) -> Result<Line, Mistake> {
    let line = values(text)?;
    let Some((_, needed, possible)) = CALLS.iter().find(|(name, ..)| *name == line.verb) else {
        return Err(Mistake::new(
            format!("a call: `{}`", CALLS.map(|(name, ..)| name).join("`, `")),
            line.verb,
        ));
    };
    if let Some(missing) = needed.iter().find(|key| line.value(key).is_none()) {
        return Err(Mistake::told(format!("`{missing}=` of {}", line.verb), "none"));
    }
    if let Some((key, _)) =
        line.values.iter().find(|(key, _)| !needed.contains(&&**key) && !possible.contains(&&**key))
    {
        let all = [*needed, *possible].concat().join("=`, `");
        return Err(Mistake::new(format!("a value of {}: `{all}=`", line.verb), key));
    }
    Ok(line)
}

/// Reads a line of the form that drivers read and write; texts in `data` become hex digits.
pub(super) fn values(text: &str) -> Result<Line, Mistake> {
    let plain = without_explanation(text);
    let mut line =
        Line::parse(plain).map_err(|error| Mistake::told(error.to_string(), format!("`{plain}`")))?;
    for index in 0..line.values.len() {
        let (before, after) = line.values.split_at_mut(index);
        let Some((key, value)) = after.first_mut() else { continue };
        if before.iter().any(|(name, _)| name == key) {
            return Err(Mistake::new("every key once", key));
        }
        if key == "data" && !value.starts_with('$') {
            *value = spelled(value)?;
        }
    }
    Ok(line)
}

/// Reads data: as lines have them, and texts between quotes.
pub(super) fn data(text: &str) -> Result<Vec<u8>, Mistake> {
    let mistake =
        || Mistake::new("data such as `68656c6c6f`, `\"hello\"`, `41*1000` or `\"map\"+00*5`", text);
    let mut data = Vec::new();
    for part in text.split('+').filter(|_| !text.is_empty()) {
        match part.strip_prefix('"') {
            Some(text) => data.extend(text.strip_suffix('"').ok_or_else(mistake)?.bytes()),
            None => data.extend(line::data(part).filter(|data| !data.is_empty()).ok_or_else(mistake)?),
        }
    }
    Ok(data)
}

/// Data as drivers read them, without texts; what is long stays short.
fn spelled(text: &str) -> Result<String, Mistake> {
    let part = |part: &str| match part.starts_with('"') {
        true => Ok(Data(&data(part)?).to_string()),
        false => data(part).map(|_| part.to_owned()),
    };
    let parts = text.split('+').filter(|_| !text.is_empty()).map(part);
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("+"))
}

/// Whether two values say the same: data may be written in several ways.
pub(super) fn same(key: &str, one: &str, other: &str) -> bool {
    one == other || (key == "data" && line::data(one).is_some_and(|one| line::data(other) == Some(one)))
}
