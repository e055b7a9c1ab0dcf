//! What the commands about watches, reserved records and lifetimes take.

use clap::Args;
use netswap_tokio::{Access, Owner};

use super::Connection;
use crate::target::Target;
use crate::values::{self, Setting};

/// What `watch` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Prints a line for each change as it comes, after a first line that says that it watches:
  watching version 1                     every change from here on is told; version 0 has no data yet
  changed version 2                      with --data: changed version 2, 5 bytes: hello
  range version 3, offset 1, 2 bytes: AB (--data only) a part was written, as by write, append and add
  access rw                              what others may do has changed
  owner 8899aabbccddeeff                 the record has another owner
  requested by 8899aabbccddeeff          somebody asks you, the owner, for the record; see transfer
  interrupted                            the connection is lost
  resumed version 7                      and is there again: something may have been missed, but never the newest data
  deleted, expired, access lost          the last line

With --data the record as it is comes first. Data that are no plain text are in hex, as in \"8 bytes, hex: 0001...\"; of \
long data the first 256 bytes are shown. --json has them all: an object a line, with \"kind\" and what belongs to it, \
\"data\" in base64. Who is slow to read misses changes between, never the newest.

Ends with exit code 0 when the record is deleted or expires, with 1 when it may not be read any more, with 3 when the \
connection is lost and not made again within --timeout, and with 130 by Ctrl-C. Others than the owner need the right r.

Examples:
  netswap watch 00c0ffee00c0ffee
  netswap watch 00c0ffee00c0ffee --data
  netswap watch 00c0ffee00c0ffee --data --json | jq -r 'select(.data).data | @base64d'
  netswap watch 00c0ffee00c0ffee | grep --line-buffered ^requested")]
pub(crate) struct Watch {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// Show the data too.
    #[arg(long)]
    pub(crate) data: bool,
    /// Print JSON: an object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `reserve` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The record gets its data from the first replace, write or append; until then `netswap get` of it waits. So the pointer \
can be passed on before the data are there. It lives and belongs to you as one that `netswap put` makes.

Examples:
  netswap reserve --access r                    prints a pointer; who gets it waits for its data
  netswap replace 00c0ffee00c0ffee level.map    gives it its data
  netswap reserve --access rw --hold --url      stays until Ctrl-C; others may give it its data")]
pub(crate) struct Reserve {
    /// What others may do: none, or a choice of r (read), w (write) and t (take over).
    #[arg(long, default_value = "none", value_name = "ACCESS")]
    pub(crate) access: Access,
    /// Keep the record alive until interrupted.
    #[arg(long)]
    pub(crate) hold: bool,
    /// Print netswap://HOST:PORT/POINTER, with the server as --server names it.
    #[arg(long)]
    pub(crate) url: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `lifetime` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Sets all three anew: what is not given becomes as it was when the record was made, the server's grace, no ttl and no \
heir. Times are whole seconds; the server has a maximum for both, 24 hours. A change of owner clears the heir. At the end \
of its ttl a record is removed, heir or not. Only the owner can set these.

Examples:
  netswap lifetime 00c0ffee00c0ffee --grace 1h                 outlives your last connection by an hour
  netswap lifetime 00c0ffee00c0ffee --grace 0s                 ends with your last connection
  netswap lifetime 00c0ffee00c0ffee --ttl 10m                  ends in ten minutes, whoever is connected
  netswap lifetime 00c0ffee00c0ffee --heir 8899aabbccddeeff    is another's after your grace, instead of ending
  netswap lifetime 00c0ffee00c0ffee                            as it was made")]
pub(crate) struct Lifetime {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// How long it outlives its owner's last connection; `default` is the server's grace.
    #[arg(long, value_name = "DURATION", default_value = "default", value_parser = values::grace)]
    pub(crate) grace: Setting<u32>,
    /// In what time it ends, whoever is connected, counted from now; `none` is never.
    #[arg(long, value_name = "DURATION", default_value = "none", value_parser = values::ttl)]
    pub(crate) ttl: Setting<std::num::NonZeroU32>,
    /// Whose it becomes when the grace ends, as the other one's `netswap whoami` prints it; `none` is nobody's.
    #[arg(long, value_name = "OWNER", default_value = "none", value_parser = values::heir)]
    pub(crate) heir: Setting<Owner>,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `request` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The owner is told if it watches the record (`netswap watch` prints a line), and may then give it to you with `netswap \
transfer`. That this succeeds does not say that anybody heard it. Needs the right r.

Examples:
  netswap request 00c0ffee00c0ffee")]
pub(crate) struct Request {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}
