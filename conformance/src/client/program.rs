//! A driver program: it is started for each case, told what to call, and asked what came of it.

use std::collections::{BTreeMap, VecDeque};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::line::Line;

/// The first words of every driver.
const HELLO: &str = "netswap-driver 1 ";

/// So much of what a driver says to nobody in particular is kept, to be shown when it fails.
const COMPLAINTS: usize = 2000;

/// What a driver has said is here within this time.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How long the last words of a driver may take.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The most lines that are shown beside a failure.
const LINES: usize = 8;

/// A running driver.
pub(super) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// What it said about calls that nobody has asked about yet.
    waiting: BTreeMap<u32, VecDeque<Line>>,
    /// How far its uploads and downloads are: done, and in all.
    progress: BTreeMap<u32, (u64, u64)>,
    complaints: Arc<Mutex<String>>,
    complaining: JoinHandle<()>,
    patience: Duration,
    name: String,
    lacks: BTreeMap<String, String>,
}

impl Program {
    /// Starts a driver, and hears what it is and what it has not.
    pub(super) async fn start(command: &[String], patience: Duration) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("there is no driver's command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the driver {program} does not start: {error}"))?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(output), Some(errors)) = (output, errors) else {
            return Err("the driver has no pipes".into());
        };
        let complaints = Arc::default();
        let complaining = tokio::spawn(keep(errors, Arc::clone(&complaints)));
        let mut program = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
            waiting: BTreeMap::new(),
            progress: BTreeMap::new(),
            complaints,
            complaining,
            patience,
            name: String::new(),
            lacks: BTreeMap::new(),
        };
        program.greet().await?;
        Ok(program)
    }

    async fn greet(&mut self) -> Result<(), String> {
        let hello = self.line("say what it is").await?;
        let name = hello.strip_prefix(HELLO).filter(|name| !name.is_empty() && !name.contains(' '));
        self.name = name.ok_or_else(|| format!("expected `{HELLO}NAME`, the driver said `{hello}`"))?.into();
        loop {
            let line = self.line("say `ready`").await?;
            if line == "ready" {
                return Ok(());
            }
            let lack = line.strip_prefix("lacks ").and_then(|lack| lack.split_once(' '));
            let (what, why) = lack.ok_or_else(|| {
                format!("expected `lacks NAME REASON` or `ready`, the driver said `{line}`")
            })?;
            self.lacks.insert(what.into(), why.into());
        }
    }

    /// The client that it drives.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Why it does not have something, if it does not.
    pub(super) fn lacks(&self, what: &str) -> Option<&str> {
        self.lacks.get(what).map(String::as_str)
    }

    /// Tells it something.
    pub(super) async fn tell(&mut self, line: &Line) -> Result<(), String> {
        let Some(input) = &mut self.input else { return Err("the driver is told nothing any more".into()) };
        let line = format!("{line}\n");
        let told = timeout(self.patience, async {
            input.write_all(line.as_bytes()).await?;
            input.flush().await
        });
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.explain(format!("the driver hears nothing any more: {error}")).await),
            Err(_) => Err(self.explain("the driver does not read what it is told".into()).await),
        }
    }

    /// What it says about a call next. May be dropped and called again.
    pub(super) async fn next(&mut self, number: u32) -> Result<Line, String> {
        loop {
            if let Some(line) = self.waiting.get_mut(&number).and_then(VecDeque::pop_front) {
                return Ok(line);
            }
            let text = self.line(&format!("say anything about call {number}")).await?;
            let line = Line::parse(&text);
            match line {
                Ok(line) if line.verb == "progress" => self.take_progress(&line)?,
                Ok(line) => self.waiting.entry(line.number).or_default().push_back(line),
                Err(_) if text.starts_with("error ") => {
                    return Err(format!("the driver does not understand: {text}"));
                }
                Err(error) => return Err(format!("the driver said `{}`: {error}", cut(&text))),
            }
        }
    }

    /// Takes back what it has said: it is said next again.
    pub(super) fn put_back(&mut self, line: Line) {
        self.waiting.entry(line.number).or_default().push_front(line);
    }

    /// Whether it has nothing to say about a call for a while.
    pub(super) async fn waits(&mut self, number: u32, time: Duration) -> Result<Option<Line>, String> {
        timeout(time, self.next(number)).await.map_or(Ok(None), |line| line.map(Some))
    }

    /// What it has said that nobody has asked about, to be shown beside a failure.
    pub(super) async fn unheard(&mut self) -> Vec<String> {
        let mut said: Vec<String> = self.waiting.values().flatten().map(Line::to_string).collect();
        while let Ok(Ok(Some(line))) = timeout(A_MOMENT, self.output.next_line()).await {
            said.push(line);
        }
        said.iter().take(LINES).map(|line| cut(line)).collect()
    }

    fn take_progress(&mut self, line: &Line) -> Result<(), String> {
        let number = |key| line.value(key).and_then(|value| value.parse::<u64>().ok());
        let (Some(done), Some(total)) = (number("done"), number("total")) else {
            return Err(format!("expected `done=` and `total=`, the driver said `{line}`"));
        };
        let before = self.progress.insert(line.number, (done, total)).map_or(0, |(done, _)| done);
        if done < before || done > total {
            return Err(format!("progress goes back, or too far: `{line}` after {before}"));
        }
        Ok(())
    }

    /// How far an upload or download came, as it told: done, and in all.
    pub(super) fn progress(&self, number: u32) -> Option<(u64, u64)> {
        self.progress.get(&number).copied()
    }

    /// Tells it that this was all, and waits for its end: it must be orderly, and `ended` calls must have said nothing
    /// more.
    pub(super) async fn finish(mut self, ended: impl Fn(u32) -> bool) -> Result<(), String> {
        drop(self.input.take());
        let end = async {
            while let Ok(Some(text)) = self.output.next_line().await {
                match Line::parse(&text) {
                    Ok(line) if line.verb != "progress" => {
                        self.waiting.entry(line.number).or_default().push_back(line);
                    }
                    Ok(_) => {}
                    Err(_) => return Err(format!("the driver said `{}`", cut(&text))),
                }
            }
            self.child.wait().await.map_err(|error| format!("the driver cannot be waited for: {error}"))
        };
        let status = timeout(self.patience, end).await;
        let status = status.map_err(|_| "the driver does not end when its input has ended".to_owned())??;
        let more = self.waiting.iter().filter(|(number, _)| ended(**number));
        if let Some(line) = more.flat_map(|(_, lines)| lines).next() {
            return Err(format!("the call had ended, and the driver said `{}`", cut(&line.to_string())));
        }
        if status.success() {
            Ok(())
        } else {
            Err(self.explain(format!("the driver ended with {status}")).await)
        }
    }

    /// Bytes of memory: those that it has now, and the most that it ever had. `None` where the system does not tell.
    pub(super) fn memory(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let kib = |key: &str| -> Option<u64> {
            status.lines().find_map(|line| line.strip_prefix(key))?.trim().strip_suffix(" kB")?.parse().ok()
        };
        Some((kib("VmRSS:")? << 10, kib("VmHWM:")? << 10))
    }

    async fn line(&mut self, what: &str) -> Result<String, String> {
        match timeout(self.patience, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(self.explain(format!("the driver ended, and was to {what}")).await),
            Ok(Err(error)) => Err(self.explain(format!("the driver cannot be heard: {error}")).await),
            Err(_) => {
                Err(self.explain(format!("the driver did not {what} within {:?}", self.patience)).await)
            }
        }
    }

    /// What has gone wrong, with what the driver complained of.
    async fn explain(&mut self, what: String) -> String {
        // The last words of one that has just died are on their way.
        if !self.complaining.is_finished() {
            let _ = timeout(LAST_WORDS, &mut self.complaining).await;
        }
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.is_empty() {
            what
        } else {
            format!("{what}; it complained:\n{}", complaints.trim_end())
        }
    }
}

/// A line of which the beginning is enough.
fn cut(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text.into(),
    }
}

/// Keeps the beginning of what a driver complains of, and throws away the rest.
async fn keep(mut errors: ChildStderr, complaints: Arc<Mutex<String>>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut buffer).await {
        let mut kept = complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < COMPLAINTS {
            kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
}
