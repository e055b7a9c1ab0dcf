//! Copies of a history that cannot have happened.

use bytes::Bytes;
use fastrand::Rng;

use crate::history::{Entry, History};
use crate::model::{Answer, Ask};

/// What is wrong with a copy. Each is impossible whatever the lost answers would have said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// Of two reads, one after the other, each was told what the other saw: the later one an older version.
    Stale,
    /// Two writes were told that they made the same version.
    SameVersion,
    /// A takeover that was refused at the time when another one won was told that it won too.
    TwoWinners,
    /// What was read was never written.
    Invented,
    /// A write was answered and never done.
    Forgotten,
}

impl Lie {
    pub(crate) const ALL: [Self; 5] =
        [Self::Stale, Self::SameVersion, Self::TwoWinners, Self::Invented, Self::Forgotten];

    /// A falsified copy, where the history has something to be falsified so.
    pub(crate) fn of(self, history: &History, random: &mut Rng) -> Option<History> {
        let mut copy = history.clone();
        let entries = &mut copy.0;
        match self {
            Self::Stale => {
                let all = pairs(entries, |one, two| match (&one.answer, &two.answer) {
                    (Answer::Changed(one_version, _), Answer::Changed(two_version, _)) => {
                        one.answered < two.asked && one_version < two_version && one.ask == two.ask
                    }
                    _ => false,
                });
                let (one, two) = random.choice(all)?;
                let answer = entries[one].answer.clone();
                entries[one].answer = std::mem::replace(&mut entries[two].answer, answer);
            }
            Self::SameVersion => {
                let all = pairs(entries, |one, two| {
                    matches!((&one.answer, &two.answer), (Answer::Written(_), Answer::Written(_)))
                });
                let (one, two) = random.choice(all)?;
                entries[two].answer = entries[one].answer.clone();
            }
            Self::TwoWinners => {
                // Who may take over changes with these, and with a takeover of which nobody knows.
                let permits: Vec<_> = entries.iter().filter(|it| permits(it)).collect();
                let all = pairs(entries, |won, refused| {
                    let (from, to) = (won.asked.min(refused.asked), won.answered.max(refused.answered));
                    let before = permits.iter().filter(|it| it.answered < from);
                    let last = before.clone().max_by_key(|it| it.asked);
                    (&won.ask, &won.answer, &refused.answer)
                        == (&Ask::Takeover, &Answer::Done, &Answer::NotAllowed)
                        && refused.ask == Ask::Takeover
                        && won.client != refused.client
                        && permits.iter().all(|it| it.answered < from || to < it.asked)
                        // Whoever had it before may have asked before it was lost.
                        && last.is_some_and(|last| last.client != refused.client)
                        && last.is_some_and(|last| before.filter(|it| it.answered >= last.asked).count() == 1)
                });
                let (_, refused) = random.choice(all)?;
                entries[refused].answer = Answer::Done;
            }
            Self::Invented => {
                let all = places(entries, |it| match &it.answer {
                    Answer::Data(data) | Answer::Changed(_, data) | Answer::Range(_, _, data) => {
                        !data.is_empty()
                    }
                    _ => false,
                });
                let entry = &mut entries[random.choice(all)?];
                if let Answer::Data(data) | Answer::Changed(_, data) | Answer::Range(_, _, data) =
                    &mut entry.answer
                {
                    let mut wrong = data.to_vec();
                    let at = random.usize(..wrong.len());
                    wrong[at] ^= 1 << random.u8(..8);
                    *data = Bytes::from(wrong);
                }
            }
            Self::Forgotten => {
                // A lost write might have taken its place.
                if history.lost() > 0 {
                    return None;
                }
                let version = |it: &Entry| match it.answer {
                    Answer::Written(version) | Answer::Appended(version, _) | Answer::Added(version, _) => {
                        version
                    }
                    _ => 0,
                };
                let newest = entries.iter().map(version).max()?;
                let all = places(entries, |it| (1..newest).contains(&version(it)));
                entries.remove(random.choice(all)?);
            }
        }
        Some(copy)
    }
}

/// Whether it may have changed who may take over, other than by a takeover that was answered.
fn permits(entry: &Entry) -> bool {
    match entry.ask {
        Ask::SetPermissions(_) => entry.answer != Answer::NotAllowed,
        Ask::Takeover => entry.answer == Answer::Lost,
        _ => false,
    }
}

fn places(entries: &[Entry], fits: impl Fn(&Entry) -> bool) -> Vec<usize> {
    (0..entries.len()).filter(|at| fits(&entries[*at])).collect()
}

/// Pairs that fit, of which the first was asked first; with each first one the next second one alone, or there would be
/// too many.
fn pairs(entries: &[Entry], fits: impl Fn(&Entry, &Entry) -> bool) -> Vec<(usize, usize)> {
    let second = |one: usize| (one + 1..entries.len()).find(|two| fits(&entries[one], &entries[*two]));
    (0..entries.len()).filter_map(|one| Some((one, second(one)?))).collect()
}
