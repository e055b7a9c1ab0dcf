//! The cases: what is asked of every contender.

use std::time::Duration;

use crate::contenders::Contender;
use crate::figures::Metric;
use crate::speak::Work;

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name on the command line and in JSON.
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) title: String,
    /// What is counted.
    pub(crate) each: &'static str,
    /// What is done.
    pub(crate) kind: Kind,
    /// What is to be known of the figures.
    pub(crate) note: Option<&'static str>,
    /// What is aimed at, in words of the figures.
    pub(crate) aim: Option<&'static str>,
}

/// What a case does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The same work on many connections, as fast as it goes.
    Steady {
        /// The work of each connection.
        work: Work,
        /// Connections of each load.
        connections: usize,
        /// Requests under way on each.
        depth: usize,
        /// Threads of the server, and loads.
        threads: usize,
    },
    /// Small reads on a connection on which a download is under way at all times.
    BesideDownload {
        /// Bytes of the small record.
        small: usize,
    },
    /// A record changes, and all who watch it are told.
    FanOut {
        /// Bytes of the record.
        len: usize,
    },
    /// Many records are kept.
    Records {
        /// Bytes of each.
        len: usize,
    },
    /// Many connections are kept, each of which has asked for something once.
    Idle,
    /// Connections are made, ask for something once, and are closed.
    Connects {
        /// Connections at a time.
        at_once: usize,
    },
    /// A large record is patched while many download it, each at a steady pace.
    Joiners,
}

/// The size of the joiners' case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiners {
    /// Bytes of the record.
    pub(crate) len: usize,
    /// Downloads of the whole record, each by a connection of its own.
    pub(crate) count: usize,
    /// Downloads begin at random moments within this time.
    pub(crate) spread: Duration,
    /// The most bytes that each joiner reads in a second.
    pub(crate) pace: usize,
}

/// How long and how large everything is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// What counts of a load.
    pub(crate) length: Duration,
    /// What goes before it.
    pub(crate) warm_up: Duration,
    /// Bytes of the download.
    pub(crate) download: usize,
    /// Connections that watch.
    pub(crate) watchers: usize,
    /// Records that are kept.
    pub(crate) records: u64,
    /// Connections that are kept.
    pub(crate) idle: usize,
    /// Downloads of a record that is patched.
    pub(crate) joiners: Joiners,
}

impl Scale {
    /// As the cases are meant.
    pub(crate) fn full(length: Duration) -> Self {
        let warm_up = length / 5;
        let joiners =
            Joiners { len: 30_000_000, count: 100, spread: Duration::from_secs(12), pace: 2_500_000 };
        Self {
            length,
            warm_up,
            download: 64 << 20,
            watchers: 1000,
            records: 1_000_000,
            idle: 10_000,
            joiners,
        }
    }

    /// So small that everything is over at once, and nothing it measures means anything.
    pub(crate) fn smoke() -> Self {
        Self {
            length: Duration::from_millis(60),
            warm_up: Duration::from_millis(20),
            download: 4 << 20,
            watchers: 40,
            records: 50_000,
            idle: 500,
            joiners: Joiners {
                len: 2_000_000,
                count: 8,
                spread: Duration::from_millis(300),
                pace: 5_000_000,
            },
        }
    }
}

const RECORD: usize = 64;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All cases, where loads and a server can have so many cores each.
pub(crate) fn all(threads: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        ("64B", "64 B", RECORD, 50, 1, ["1.10", "1.10"]),
        ("64B", "64 B", RECORD, 50, 16, ["1.50", "1.60"]),
        ("16KiB", "16 KiB", 16 * KIB, 16, 4, ["1.25", "1.30"]),
        ("1MiB", "1 MiB", MIB, 4, 1, ["1.10", "1.15"]),
    ];
    for (name, title, len, connections, depth, aims) in sizes {
        for ((verb, work), aim) in
            [("read", Work::Read { len }), ("write", Work::Write { len })].into_iter().zip(aims)
        {
            cases.push(Case {
                name: format!("{verb}-{name}-d{depth}"),
                title: format!("{title} {verb}, {connections} connections, depth {depth}"),
                each: verb,
                kind: Kind::Steady { work, connections, depth, threads: 1 },
                note: None,
                aim: Some(aim),
            });
        }
    }
    let work = Work::Patch { len: MIB, patch: 32 };
    cases.push(Case {
        name: "patch".into(),
        title: "32-byte patch in 1 MiB, 16 connections, depth 1".into(),
        each: "patch",
        kind: Kind::Steady { work, connections: 16, depth: 1, threads: 1 },
        note: Some("memcached cannot write a part of a value: it is sent all of it."),
        aim: None,
    });
    cases.push(Case {
        name: "beside-download".into(),
        title: "64 B read on a connection that is downloading 64 MiB records".into(),
        each: "read",
        kind: Kind::BesideDownload { small: RECORD },
        note: Some(
            "Redis and memcached answer in order: a read waits for the download that was asked for before.",
        ),
        aim: Some("tokio: 99 % under 1000 µs"),
    });
    cases.push(Case {
        name: "fan-out".into(),
        title: "a change of 64 B told to 1000 watchers".into(),
        each: "notification",
        kind: Kind::FanOut { len: RECORD },
        note: Some(
            "Times are those from the change to its last notification. Redis: SET, and PUBLISH of the same data. \
             memcached tells nobody.",
        ),
        aim: None,
    });
    cases.push(Case {
        name: "records".into(),
        title: "memory for a million records of 64 B".into(),
        each: "record",
        kind: Kind::Records { len: RECORD },
        note: Some("Pointers and keys of 8 bytes included."),
        aim: Some("at most 128 bytes"),
    });
    cases.push(Case {
        name: "idle".into(),
        title: "memory for 10 000 idle connections".into(),
        each: "connection",
        kind: Kind::Idle,
        note: Some(
            "Of the process; what the system keeps for a socket comes on top. Each has read 64 B once.",
        ),
        aim: Some("tokio: at most 4096 bytes"),
    });
    cases.push(Case {
        name: "connects".into(),
        title: "connect, 64 B read, close; 50 at a time".into(),
        each: "connect",
        kind: Kind::Connects { at_once: 50 },
        note: Some("Times are those from before the connect to the reply."),
        aim: None,
    });
    cases.push(Case {
        name: "joiners".into(),
        title: "a record of 30 MB patched 160 times a second, 100 joiners that read it at 20 Mbit/s".into(),
        each: "joiner",
        kind: Kind::Joiners,
        note: Some(
            "A tick of 16 patches of 512 B goes out each 100 ms; joiners begin within 12 s. Memory is the highest resident \
             size: above what the empty server had and the record, and above what it was before the first joiner. Others \
             send a PING each 4 ms. \"Unpatched\" are the same joiners on a record that nobody writes. Redis: GETRANGE \
             in pieces of 64 KiB, which are not of one state, and SETRANGE.",
        ),
        aim: Some(
            "at most 15 MB above the record, PING 99 % within 1 ms of the unpatched record, 1.10 times its CPU",
        ),
    });
    for threads in (2..=threads).filter(|threads| threads.is_power_of_two()) {
        let work = Work::Read { len: RECORD };
        cases.push(Case {
            name: format!("threads-{threads}"),
            title: format!("64 B read, {threads} threads, {threads} loads of 50 connections, depth 16"),
            each: "read",
            kind: Kind::Steady { work, connections: 50, depth: 16, threads },
            note: Some("One thread: see the case of one thread above."),
            aim: None,
        });
    }
    cases
}

impl Case {
    /// Whether a contender can be asked for this.
    pub(crate) fn is_for(&self, contender: Contender) -> bool {
        match self.kind {
            Kind::Steady { threads, .. } => threads == 1 || contender.has_threads(),
            Kind::BesideDownload { .. } | Kind::Records { .. } | Kind::Idle => contender != Contender::Floor,
            Kind::FanOut { .. } => contender.speaks().fan_out().is_some(),
            Kind::Joiners => contender.speaks().join().is_some(),
            Kind::Connects { .. } => true,
        }
    }

    /// What every contender's figures must have.
    pub(crate) fn metrics(&self) -> &'static [Metric] {
        use Metric::*;
        match self.kind {
            Kind::Steady { .. } | Kind::FanOut { .. } | Kind::Connects { .. } => {
                &[Rate, Cpu, P50, P99, P999, ServerBusy, LoadBusy]
            }
            Kind::BesideDownload { .. } => &[Rate, P50, P99, P999, Download, ServerBusy, LoadBusy],
            Kind::Records { .. } | Kind::Idle => &[Memory],
            Kind::Joiners => &[
                Above,
                Grown,
                PatchP50,
                PatchP99,
                PatchMax,
                PingP99,
                PingMax,
                QuietP99,
                QuietMax,
                JoinerCpu,
                JoinerRatio,
                Download,
                ServerBusy,
                LoadBusy,
            ],
        }
    }

    /// Whether one round tells as much as several.
    pub(crate) fn is_steady_by_itself(&self) -> bool {
        matches!(self.kind, Kind::Records { .. } | Kind::Idle | Kind::Joiners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unlike_each_other() {
        let cases = all(8);
        let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
        assert!(names.iter().any(|name| *name == "threads-8"));
    }
}
