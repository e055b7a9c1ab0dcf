//! No client has others wait: while one does its worst, another one's PING, sent each 4 ms from another address, is
//! answered within 50 ms, on every runtime, on one thread and on two.
//!
//! `NETSWAP_ASSURANCE_PATIENCE=3` allows three times as long on a machine that is busy with other things;
//! `NETSWAP_PROGRAM=FILE` tries that build of the program `netswap`. Each case prints what it measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod clients;
mod endings;
mod in_time;
mod records;
mod requests;
mod work;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assurance::on_every_runtime;
use assurance::program::{Program, Serving};
use assurance::scale::at_most;
use assurance::waits::Waits;

use in_time::{all_records_end_in_time, all_records_go_to_an_heir_in_time};
use records::{
    a_large_record_is_written_while_a_reply_holds_it, a_record_with_many_watches_is_written,
    gaps_are_filled_and_thrown_away, lists_are_refused, many_records_expire_at_once,
    many_records_go_to_an_heir_at_once, the_owner_of_many_records_comes_and_goes,
};
use work::{many_small_reads_in_pipelines, watches_are_given_up_unread};

on_every_runtime!(
    a_large_record_is_written_while_a_reply_holds_it,
    gaps_are_filled_and_thrown_away,
    the_owner_of_many_records_comes_and_goes,
    lists_are_refused,
    watches_are_given_up_unread,
    many_records_expire_at_once,
    many_records_go_to_an_heir_at_once,
    a_record_with_many_watches_is_written,
    many_small_reads_in_pipelines,
    all_records_end_in_time,
    all_records_go_to_an_heir_in_time,
);

/// What takes longest is tried on three: one thread, threads that do not share their connections, one for each connection.
macro_rules! on_three_runtimes {
    ($($test:ident),+ $(,)?) => {
        $(
            mod $test {
                use assurance::program::Serving;
                use assurance::servers::Adapter::{Blocking, Smol, Tokio};

                #[test]
                fn tokio_1() {
                    super::long::$test(Serving { adapter: Tokio, threads: 1 });
                }

                #[test]
                fn smol_2() {
                    super::long::$test(Serving { adapter: Smol, threads: 2 });
                }

                #[test]
                fn blocking() {
                    super::long::$test(Serving { adapter: Blocking, threads: 1 });
                }
            }
        )+
    };
}

on_three_runtimes!(shutdown_beside_dear_requests, each_request_at_its_worst);

mod long {
    pub(crate) use crate::endings::shutdown_beside_dear_requests;
    pub(crate) use crate::requests::each_request_at_its_worst;
}

const MIB: u64 = 1 << 20;

/// The longest that anybody may wait.
const LONGEST: Duration = Duration::from_millis(50);

/// A wait that is too long counts only where it comes each time: a busy machine has others wait too.
const ATTEMPTS: usize = 3;

/// One after the other: they look at the clock.
static ALONE: Mutex<()> = Mutex::new(());

fn start(serving: Serving, limits: &[(&str, u64)]) -> Program {
    Program::start(env!("CARGO_BIN_EXE_measured-server"), serving, limits)
}

/// Fails where others wait too long each time that `attack` is made.
fn judge(serving: Serving, what: &str, attack: impl Fn() -> Waits) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut longest = Vec::new();
    for _ in 0..ATTEMPTS {
        let waits = attack();
        eprintln!("\n{}: {what}: {waits}", serving.name());
        if waits.max() <= at_most(LONGEST) {
            return;
        }
        longest.push(waits.max());
    }
    panic!("{}: {what}: others wait up to {longest:?}", serving.name());
}
