//! Plays many cases against many servers, and counts.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cases::Case;
use crate::server::play::Server;
use crate::server::{Failure, Mode};
use crate::verdict::Verdict;

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Arc<Case>>,
    /// The servers.
    pub servers: Vec<Server>,
    /// How what is sent is cut.
    pub modes: Vec<Mode>,
    /// The seed of random cuts, and of the pointers of servers that are started.
    pub seed: u64,
    /// How many cases are played at once; most of them wait most of the time.
    pub at_once: usize,
}

/// A case that was played, or could not be.
#[derive(Clone, Debug)]
pub struct Played {
    /// The case.
    pub case: Arc<Case>,
    /// The server.
    pub server: Server,
    /// How what was sent was cut.
    pub mode: Mode,
    /// How it went.
    pub verdict: Verdict<Box<Failure>>,
    /// How long it took.
    pub took: Duration,
}

impl Plan {
    /// How many plays it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len() * self.servers.len() * self.modes.len()
    }

    /// Whether there is nothing to play.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Plays everything, and tells of each play as it ends. The result is in the order of the plan.
    pub async fn run(self, mut tell: impl FnMut(&Played)) -> Vec<Played> {
        let room = Arc::new(Semaphore::new(self.at_once.max(1)));
        let mut planned = Vec::new();
        for server in self.servers {
            for case in &self.cases {
                planned.extend(self.modes.iter().map(|mode| (server, case.clone(), *mode)));
            }
        }
        let mut planned: Vec<_> = planned.into_iter().enumerate().collect();
        // What takes long begins first.
        planned.sort_by_key(|(_, (_, case, _))| Reverse(case.time()));
        let mut plays = JoinSet::new();
        for (at, (server, case, mode)) in planned {
            let (seed, room) = (self.seed, room.clone());
            plays.spawn(async move {
                let _place = room.acquire_owned().await;
                let start = Instant::now();
                let verdict = server.play(&case, mode, seed).await;
                (at, Played { case, server, mode, verdict, took: start.elapsed() })
            });
        }
        let mut played = Vec::new();
        while let Some(ended) = plays.join_next().await {
            match ended {
                Ok((at, play)) => {
                    tell(&play);
                    played.push((at, play));
                }
                Err(fault) => std::panic::resume_unwind(fault.into_panic()),
            }
        }
        played.sort_by_key(|(at, _)| *at);
        played.into_iter().map(|(_, play)| play).collect()
    }
}
