//! What the commands about parts of records take.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Connection;
use crate::target::Target;
use crate::values;

/// What `read` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Where the record ends earlier there are fewer bytes, or none. The data of a reserved record are waited for. Others \
than the owner need the right r.

Examples:
  netswap read 00c0ffee00c0ffee --length 16                    the first 16 bytes
  netswap read 00c0ffee00c0ffee --offset 0x1000 --length 512
  netswap read 00c0ffee00c0ffee --offset 4096 -o tail.bin      all from byte 4096 on")]
pub(crate) struct Read {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The first byte to read, counted from 0: a number, or 0x and hex digits.
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::position)]
    pub(crate) offset: u32,
    /// The most bytes to read; to the record's end if not told.
    #[arg(long, value_name = "N", value_parser = values::position)]
    pub(crate) length: Option<u32>,
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

/// What `write` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
All bytes are written at one instant, or none. The record grows as far as needed; a gap between its end and the offset is \
filled with zeros. Others than the owner need the right w.

Examples:
  printf AB | netswap write 00c0ffee00c0ffee --offset 1        prints the new version: version 2
  netswap write 00c0ffee00c0ffee --offset 0x100000 chunk.bin")]
pub(crate) struct Write {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The file with the data; `-` is stdin.
    #[arg(default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// Where the data go, counted from 0: a number, or 0x and hex digits.
    #[arg(long, value_name = "N", value_parser = values::position)]
    pub(crate) offset: u32,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `append` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
All bytes are added at one instant, or none; what several clients append at once never mixes. Others than the owner need \
the right w.

Examples:
  date | netswap append 00c0ffee00c0ffee                       prints where they begin: version 2 offset 29
  netswap append 00c0ffee00c0ffee events.log")]
pub(crate) struct Append {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// The file with the data; `-` is stdin.
    #[arg(default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What `add` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The number is 8 bytes of the record, signed and big-endian, and wraps at its ends. Prints what it is then. No two clients \
get the same count. Others than the owner need the rights r and w.

Examples:
  head -c 8 /dev/zero | netswap put - --access rw              a record that is a counter
  netswap add 00c0ffee00c0ffee                                 counts: prints 1, 2, 3 ...
  netswap add 00c0ffee00c0ffee --offset 16 -5                  takes 5 from the number at byte 16
  netswap add 00c0ffee00c0ffee 0                               prints it as it is")]
pub(crate) struct Add {
    /// The record: a pointer or a URL.
    #[arg(value_name = "POINTER")]
    pub(crate) target: Target,
    /// What to add; may be negative.
    #[arg(default_value = "1", allow_negative_numbers = true)]
    pub(crate) delta: i64,
    /// Where in the record the number is, counted from 0: a number, or 0x and hex digits.
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::position)]
    pub(crate) offset: u32,
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
}
