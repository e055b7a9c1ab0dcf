//! The hot paths that are counted.

use anyhow::Result;

use crate::parts::{self, Act};
use crate::whole::{self, Traffic};
use crate::worst;

/// A path through the core.
pub(crate) struct Path {
    /// Its name in the file of bounds.
    pub(crate) name: &'static str,
    /// How often it is gone to be counted: the more, the less a rare event weighs, such as a growing buffer.
    pub(crate) count: u64,
    /// Goes it so many times. Fails where it does not do what it is to do.
    pub(crate) go: fn(u64) -> Result<()>,
}

const SMALL: usize = 64;
const LARGE: usize = 1 << 20;
const OFTEN: u64 = 2000;
const SELDOM: u64 = 16;

/// All paths.
pub(crate) const ALL: [Path; 22] = [
    Path { name: "decode-64B", count: OFTEN, go: |n| parts::decode(SMALL, n) },
    Path { name: "decode-1MiB", count: SELDOM, go: |n| parts::decode(LARGE, n) },
    Path { name: "assemble-64B", count: OFTEN, go: |n| parts::assemble(SMALL, n) },
    Path { name: "assemble-1MiB", count: SELDOM, go: |n| parts::assemble(LARGE, n) },
    Path { name: "execute-read-64B", count: OFTEN, go: |n| parts::execute(Act::Read, SMALL, n) },
    Path { name: "execute-write-64B", count: OFTEN, go: |n| parts::execute(Act::Write, SMALL, n) },
    Path { name: "execute-patch-1MiB", count: OFTEN, go: |n| parts::execute(Act::Patch, LARGE, n) },
    Path {
        name: "execute-create-delete-64B",
        count: OFTEN,
        go: |n| parts::execute(Act::CreateAndDelete, SMALL, n),
    },
    Path { name: "encode-64B", count: OFTEN, go: |n| parts::encode(SMALL, n) },
    Path { name: "encode-1MiB", count: SELDOM, go: |n| parts::encode(LARGE, n) },
    Path { name: "read-64B-d1", count: OFTEN, go: |n| whole::serve(Traffic::Read { depth: 1 }, SMALL, n) },
    Path {
        name: "read-64B-d16",
        count: OFTEN / 8,
        go: |n| whole::serve(Traffic::Read { depth: 16 }, SMALL, n),
    },
    Path { name: "write-64B-d1", count: OFTEN, go: |n| whole::serve(Traffic::Write { depth: 1 }, SMALL, n) },
    Path {
        name: "write-64B-d16",
        count: OFTEN / 8,
        go: |n| whole::serve(Traffic::Write { depth: 16 }, SMALL, n),
    },
    Path { name: "read-1MiB", count: SELDOM, go: |n| whole::serve(Traffic::Read { depth: 1 }, LARGE, n) },
    Path { name: "write-1MiB", count: SELDOM, go: |n| whole::serve(Traffic::Write { depth: 1 }, LARGE, n) },
    Path { name: "patch-1MiB", count: OFTEN, go: |n| whole::serve(Traffic::Patch, LARGE, n) },
    Path {
        name: "fan-out-100",
        count: SELDOM,
        go: |n| whole::serve(Traffic::FanOut { watchers: 100 }, SMALL, n),
    },
    Path { name: "worst-write-held-64MiB", count: 128, go: worst::held },
    Path { name: "worst-gap-64MiB", count: OFTEN, go: worst::gap },
    Path { name: "worst-owner-comes-and-goes", count: OFTEN, go: worst::come_and_go },
    Path { name: "worst-expiry-portion", count: SELDOM, go: worst::expiry },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_gone() {
        for path in ALL {
            (path.go)(3).unwrap_or_else(|error| panic!("{}: {error:#}", path.name));
        }
    }
}
