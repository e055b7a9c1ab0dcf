//! Every client case fails when one byte that the client is to send, or one word of what a call is to return, is
//! another: no case passes by looking away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use conformance::client::{self, Settings, parse, play};
use conformance::text::Scale;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const DRIVER: &str = env!("CARGO_BIN_EXE_driver-tokio");

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("client");
    directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The texts of the cases of a file, each a file of its own.
fn cases(text: &str) -> Vec<String> {
    let (first, rest) = text.split_once("\ncase ").unwrap();
    let sort = first.lines().next().unwrap();
    rest.split("\ncase ").map(|case| format!("{sort}\ncase {case}\n")).collect()
}

/// Another byte in the first line that the client must send; `None` where there is none.
fn other_byte(case: &str) -> Option<String> {
    let line = case.lines().find(|line| ["S< ", "S<< ", "S<* "].iter().any(|it| line.starts_with(it)))?;
    let (bytes, _) = line.split_once(" | ").unwrap_or((line, ""));
    let mut words: Vec<String> = bytes.split_whitespace().map(Into::into).collect();
    if let [.., byte, star, _] = &mut words[..]
        && star == "*"
    {
        *byte = other(byte);
    } else {
        let last = words.last_mut()?;
        *last = other(last);
    }
    Some(case.replacen(line, &words.join(" "), 1))
}

/// Two hex digits, or a text, of which one is another.
fn other(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters[1] = if letters[1] == '7' { '6' } else { '7' };
    letters.into_iter().collect()
}

/// One value more in the last line that tells what a call must do.
fn other_answer(case: &str) -> Option<String> {
    let is_answer = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|number| number.parse::<u32>().is_ok())
            && matches!(words.next(), Some("returns" | "fails" | "tells"))
    };
    let line = case.lines().rfind(is_answer)?;
    let (answer, _) = line.split_once(" | ").unwrap_or((line, ""));
    let (before, after) = case.rsplit_once(line)?;
    Some(format!("{before}{answer} planted=1{after}"))
}

async fn assert_all_fail(plant: impl Fn(&str) -> Option<String>, at_least: usize) {
    let (room, mut plays) = (Arc::new(Semaphore::new(4)), JoinSet::new());
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for planted in cases(&text).iter().filter_map(|case| plant(case)) {
            let case = parse(name, &planted).unwrap().remove(0);
            let room = room.clone();
            plays.spawn(async move {
                let _place = room.acquire_owned().await;
                let settings = Settings { scale: Scale::divided_by(10), patience: Duration::from_secs(1) };
                let played = play(&case, &[DRIVER.into()], settings).await;
                assert!(played.is_err(), "{} passes, though it should not:\n{planted}", case.id);
            });
        }
    }
    let count = plays.len();
    while let Some(played) = plays.join_next().await {
        played.unwrap();
    }
    assert!(count >= at_least, "{count}");
    assert!(count <= client::read(files()[0].parent().unwrap()).unwrap().len());
}

#[tokio::test]
async fn another_byte_of_a_request() {
    assert_all_fail(other_byte, 200).await;
}

#[tokio::test]
async fn another_answer_of_a_call() {
    assert_all_fail(other_answer, 220).await;
}
