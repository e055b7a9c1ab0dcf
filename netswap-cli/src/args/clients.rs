//! What the commands of clients take.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use netswap_tokio::core::types::{Access, Owner};

use super::Connection;
use crate::target::Target;
use crate::values;

/// What `put` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The record belongs to the address that this program connects from. It is kept while that address has a connection to \
the server, and for the server's grace (5 minutes, if not told otherwise) after its last one has closed. Whoever is to \
have it longer takes it over in that time; --hold keeps the connection open.

What comes from stdin is read to its end before the first byte is sent, since the protocol wants to know the length \
first; beyond 64 MiB it waits in a temporary file.

Examples:
  netswap put level.map                         prints a pointer; only this address can use it
  netswap put level.map --access r --url        everybody who has the URL may read
  netswap put level.map --access rt --hold      stays until Ctrl-C; others may take it over
  tar c saves | netswap put - --access rwt      from a pipe; others may read, write, take over
  netswap put level.map --to 00c0ffee00c0ffee --if-version 2
                                                into a record that there is, if nobody has written since version 2")]
pub(crate) struct Put {
    /// The file to store; `-` is stdin.
    #[arg(default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// What others may do: none, or a choice of r (read), w (write) and t (take over).
    #[arg(long, default_value = "none", value_name = "ACCESS")]
    pub(crate) access: Access,
    /// Keep the record alive until interrupted.
    #[arg(long)]
    pub(crate) hold: bool,
    /// Print netswap://HOST:PORT/POINTER, with the server as --server names it.
    #[arg(long)]
    pub(crate) url: bool,
    /// Put the data in the place of this record's, as `netswap replace` does, instead of making a new record.
    #[arg(long, value_name = "POINTER", conflicts_with_all = ["access", "hold", "url"])]
    pub(crate) to: Option<Target>,
    /// With --to: only if the record has this version.
    #[arg(long, value_name = "VERSION", requires = "to")]
    pub(crate) if_version: Option<u64>,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `get` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
With -o the data go to a temporary file beside FILE that takes its place when it is complete: a transfer that breaks \
leaves the old file whole. Only you can read the temporary file. The new file has the owner, group and permissions of the \
old one, but no setuid or setgid bit; where it cannot have them, the complete data is written into the old file. To stdout they are streamed as they come. Of a record that is reserved (`netswap reserve`) \
the data are waited for, as long as the server is there.

Examples:
  netswap get 00c0ffee00c0ffee -o level.map
  netswap get netswap://192.0.2.1:7420/00c0ffee00c0ffee | tar x
  netswap get 00c0ffee00c0ffee --wait 30s       gives up if a reserved record has no data by then")]
pub(crate) struct Get {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The file to write; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub(crate) output: PathBuf,
    /// The most time to wait for the data of a reserved record; without end if not told.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) wait: Option<Duration>,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `replace` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The record changes at one instant, when all data have arrived: readers get the old data or the new. A transfer that \
breaks changes nothing. Others than the owner need the right w.

Examples:
  netswap replace 00c0ffee00c0ffee level.map    prints the new version: version 2
  date | netswap replace 00c0ffee00c0ffee -
  netswap replace 00c0ffee00c0ffee level.map --if-version 2
                                                only if nobody has written since version 2")]
pub(crate) struct Replace {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The file with the new data; `-` is stdin.
    #[arg(default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// Replace the data only if the record has this version, as `netswap stat` tells it.
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<u64>,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `rm` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Only the owner can delete a record. Each record is tried, also after one that failed.

Examples:
  netswap rm 00c0ffee00c0ffee
  netswap ls | xargs netswap rm                 deletes everything that this address owns")]
pub(crate) struct Remove {
    /// The records: pointers or URLs.
    #[arg(value_name = "POINTER", required = true)]
    pub(crate) targets: Vec<Target>,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `stat` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Others than the owner need the right r. In JSON \"expires\" is whole seconds, or null while nothing runs out.

Examples:
  netswap stat 00c0ffee00c0ffee
  netswap stat 00c0ffee00c0ffee --json | jq .version")]
pub(crate) struct Stat {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `ls` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  netswap ls
  netswap ls --json
  netswap ls --bind 127.0.0.2                   what another address of this machine owns")]
pub(crate) struct List {
    /// Print JSON: an array of pointers.
    #[arg(long)]
    pub(crate) json: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `chmod` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Only the owner can change the rights of others. The owner itself needs none.

Examples:
  netswap chmod rw 00c0ffee00c0ffee             others may read and write
  netswap chmod none 00c0ffee00c0ffee           others may do nothing")]
pub(crate) struct Chmod {
    /// What others may do from now on: none, or a choice of r (read), w (write) and t (take over).
    pub(crate) access: Access,
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `takeover` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Needs the right t, which is gone afterwards: nobody else can take the record over unless the new owner allows it. From \
then on the record lives as long as the new owner has a connection, and for the grace after that.

Examples:
  netswap takeover 00c0ffee00c0ffee
  netswap takeover 00c0ffee00c0ffee --hold      keeps it alive until Ctrl-C")]
pub(crate) struct Takeover {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// Keep the record alive until interrupted.
    #[arg(long)]
    pub(crate) hold: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `transfer` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Only the owner can give a record away. OWNER is what the other one's `netswap whoami` prints. The right t is gone \
afterwards.

Examples:
  netswap transfer 00c0ffee00c0ffee 8899aabbccddeeff")]
pub(crate) struct Transfer {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The new owner: 16 hex digits.
    pub(crate) owner: Owner,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `whoami` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Everybody behind one address, such as a NAT's, has the same hash: they are one owner.

Examples:
  netswap whoami
  netswap whoami --json                         with what the server says of itself: limits and grace
  netswap whoami --bind 127.0.0.2")]
pub(crate) struct WhoAmI {
    /// Print JSON, with the protocol's version, the server's limits and its grace in seconds.
    #[arg(long)]
    pub(crate) json: bool,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `ping` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  netswap ping
  netswap ping -n 100 --interval 10ms --server 192.0.2.1:7420")]
pub(crate) struct Ping {
    /// How many.
    #[arg(short = 'n', long, default_value = "4", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// The pause between two.
    #[arg(long, default_value = "200ms", value_name = "DURATION", value_parser = values::duration)]
    pub(crate) interval: Duration,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}
