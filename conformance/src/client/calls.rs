//! The calls that every Rust driver makes, whichever client it drives.

use netswap_adapter::client::Error;
use netswap_core::types::Version;

use super::{BadLine, Line};

/// Why a driver has no result: the call failed, or there was none that could be made.
#[derive(Debug)]
pub enum Failed {
    /// The client's error.
    Call(Error),
    /// The line's.
    Line(BadLine),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<BadLine> for Failed {
    fn from(error: BadLine) -> Self {
        Self::Line(error)
    }
}

impl Failed {
    /// What the driver says.
    #[must_use]
    pub fn told(&self, line: &Line) -> String {
        match self {
            Self::Call(error) => line.fails(error).to_string(),
            Self::Line(error) => format!("error {error}: {line}"),
        }
    }
}

/// The data of an upload, and how long they are said to be.
///
/// # Errors
///
/// They are not there, or are no data.
pub fn stream(line: &Line) -> Result<(Vec<u8>, u64), BadLine> {
    let data = line.data()?;
    let length = line.optional("length")?.unwrap_or(data.len() as u64);
    Ok((data, length))
}

/// A version, as a line has it.
#[must_use]
pub fn version(number: u64) -> Version {
    Version(number)
}

/// Makes the call of a line that has one result, and gives the line that tells it. The clients have the same calls; what
/// differs is what follows each: `.await`, or nothing. To be used where `?` makes a [`Failed`] of an error.
#[macro_export]
macro_rules! make_call {
    ($client:ident, $line:ident $(, $($wait:tt)+)?) => {{
        use $crate::client::calls::{stream, version};
        let (client, line, done) = ($client, $line, $line.returns());
        let pointer = || line.get("pointer");
        let progress = |done, total| {
            println!("{}", Line::new(line.number, "progress").with("done", done).with("total", total))
        };
        match &*line.verb {
            "create" => {
                done.with("pointer", client.create(line.data()?, line.get("access")?)$($($wait)+)??)
            }
            "create_from" => {
                let (data, length) = stream(line)?;
                let access = line.get("access")?;
                done.with("pointer", client.create_from(&data[..], length, access, progress)$($($wait)+)??)
            }
            "reserve" => done.with("pointer", client.reserve(line.get("access")?)$($($wait)+)??),
            "resolve" => done.with_data("data", &client.resolve(pointer()?)$($($wait)+)??),
            "resolve_wait" => {
                let data = client.resolve_wait(pointer()?, line.millis("timeout")?)$($($wait)+)??;
                done.with_data("data", &data)
            }
            "resolve_into" => {
                let mut data = Vec::new();
                let length = client.resolve_into(pointer()?, &mut data, progress)$($($wait)+)??;
                done.with("length", length).with_data("data", &data)
            }
            "resolve_if_changed" => {
                let has = line.optional("version")?.map(version);
                match client.resolve_if_changed(pointer()?, has)$($($wait)+)?? {
                    Some(new) => {
                        done.with("changed", "yes").with("version", new.version).with_data("data", &new.data)
                    }
                    None => done.with("changed", "no"),
                }
            }
            "read_range" => {
                let (offset, length) = (line.get("offset")?, line.get("length")?);
                let range = client.read_range(pointer()?, offset, length)$($($wait)+)??;
                done.with("version", range.version)
                    .with("length", range.record_len)
                    .with_data("data", &range.data)
            }
            "replace" => done.with("version", client.replace(pointer()?, line.data()?)$($($wait)+)??),
            "replace_from" => {
                let (data, length) = stream(line)?;
                let replaced = client.replace_from(pointer()?, &data[..], length, progress)$($($wait)+)??;
                done.with("version", replaced)
            }
            "write_range" => {
                let written = client.write_range(pointer()?, line.get("offset")?, line.data()?)$($($wait)+)??;
                done.with("version", written)
            }
            "append" => {
                let appended = client.append(pointer()?, line.data()?)$($($wait)+)??;
                done.with("version", appended.version).with("offset", appended.offset)
            }
            "compare_and_replace" => {
                let has = version(line.get("version")?);
                let replaced = client.compare_and_replace(pointer()?, has, line.data()?)$($($wait)+)??;
                done.with("version", replaced)
            }
            "update" => {
                let added = line.data()?;
                let updated = client.update(pointer()?, |old| [old, &added[..]].concat())$($($wait)+)??;
                done.with("version", updated)
            }
            "fetch_add" => {
                let (offset, delta) = (line.get("offset")?, line.get("delta")?);
                let added = client.fetch_add(pointer()?, offset, delta)$($($wait)+)??;
                done.with("version", added.version).with("value", added.value)
            }
            "stat" => done.with_stat(&client.stat(pointer()?)$($($wait)+)??),
            "set_permissions" => {
                client.set_permissions(pointer()?, line.get("access")?)$($($wait)+)??;
                done
            }
            "set_lifetime" => {
                client.set_lifetime(pointer()?, line.lifetime()?)$($($wait)+)??;
                done
            }
            "delete" => {
                client.delete(pointer()?)$($($wait)+)??;
                done
            }
            "takeover" => {
                client.takeover(pointer()?)$($($wait)+)??;
                done
            }
            "transfer" => {
                client.transfer(pointer()?, line.get("owner")?)$($($wait)+)??;
                done
            }
            "request_ownership" => {
                client.request_ownership(pointer()?)$($($wait)+)??;
                done
            }
            "list" => {
                let pointers = client.list()$($($wait)+)??;
                let pointers: Vec<_> = pointers.iter().map(ToString::to_string).collect();
                done.with("pointers", pointers.join(","))
            }
            "identify" => done.with_identity(&client.identify()$($($wait)+)??),
            "ping" => {
                client.ping(line.data()?)$($($wait)+)??;
                done
            }
            "close" => {
                client.close()$($($wait)+)?;
                done
            }
            call => return Err(BadLine::Unknown(call.into()).into()),
        }
    }};
}
