//! Plays a client case: the suite is the server, and a driver program makes the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use netswap_tokio::Server as RealServer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::case::{Action, CONNECT, Case, Server, Step};
use super::copy::Copy;
use super::line::Line;
use super::peer::{A_WHILE, Peer};
use super::program::Program;
use super::words::same;
use crate::pattern::Names;
use crate::text::Scale;

/// Calls of which something is told after they have returned.
const GOING_ON: [&str; 2] = ["watch", "events"];

/// Calls that tell how far they are.
const STREAMING: [&str; 3] = ["create_from", "replace_from", "resolve_into"];

/// How cases are played.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// By how much times are divided.
    pub scale: Scale,
    /// How long the suite waits for anything that is to come.
    pub patience: Duration,
}

/// How a case ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as the case says.
    Passed,
    /// The driver says that its client does not have what the case needs.
    Skipped(String),
}

/// Why a case has failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {step}\n{problem}")]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The line of the step that failed.
    pub line: usize,
    /// That line.
    pub step: String,
    /// What is wrong.
    pub problem: String,
}

/// Plays a case with a driver that is started by this command.
///
/// # Errors
///
/// The case has failed.
pub async fn play(case: &Case, command: &[String], settings: Settings) -> Result<Outcome, Failure> {
    let failure =
        |line, step: &str, problem| Failure { file: case.file.clone(), line, step: step.into(), problem };
    let begins = |problem| failure(case.line, &format!("case {} {}", case.id, case.title), problem);
    let program = Program::start(command, settings.patience).await.map_err(begins)?;
    if let Some((need, why)) = case.needs().find_map(|need| program.lacks(need).map(|why| (need, why))) {
        return Ok(Outcome::Skipped(format!("{} has no {need}: {why}", program.name())));
    }
    let mut play = Play::new(case, program, settings).await.map_err(begins)?;
    for step in &case.steps {
        if let Err(mut problem) = play.step(&step.action).await {
            for line in play.program.unheard().await {
                problem = format!("{}\n  and the driver said: {line}", problem.trim_end());
            }
            return Err(failure(step.line, &step.text, problem));
        }
    }
    let last = |problem| {
        let (line, text) = case.steps.last().map_or((case.line, ""), |Step { line, text, .. }| (*line, text));
        failure(line, text, format!("after this, {problem}"))
    };
    play.finish().await.map_err(last)?;
    Ok(Outcome::Passed)
}

struct Play<'a> {
    case: &'a Case,
    settings: Settings,
    program: Program,
    address: SocketAddr,
    listener: Option<TcpListener>,
    real: Option<JoinHandle<()>>,
    peer: Option<Peer>,
    /// The calls that have not ended, with their names.
    open: BTreeMap<u32, String>,
    ended: BTreeSet<u32>,
    /// The calls that were asked for their next change or event, and have not told it.
    asked: BTreeSet<u32>,
    copies: BTreeMap<u32, Copy>,
    /// What the names stand for: bytes on the wire, and values of calls.
    names: Names,
    values: BTreeMap<String, String>,
    /// Bytes of the driver's memory when its client had connected.
    memory: Option<u64>,
}

impl<'a> Play<'a> {
    async fn new(case: &'a Case, program: Program, settings: Settings) -> Result<Self, String> {
        let (address, listener, real) = match case.server {
            Server::Real => {
                let server = RealServer::bind("127.0.0.1:0").await;
                let server = server.map_err(|error| format!("no real server: {error}"))?;
                (server.local_address(), None, Some(tokio::spawn(server.run())))
            }
            Server::Scripted { .. } => {
                let listener = listen(home(case)).await?;
                let address = listener.local_addr().map_err(|error| error.to_string())?;
                (address, Some(listener), None)
            }
        };
        Ok(Self {
            case,
            settings,
            program,
            address,
            listener,
            real,
            peer: None,
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            asked: BTreeSet::new(),
            copies: BTreeMap::new(),
            names: Names::new(),
            values: BTreeMap::new(),
            memory: None,
        })
    }

    async fn step(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Connect => return self.connect().await,
            Action::Call(line) => return self.call(line).await,
            Action::Cancel(number) => {
                self.program.tell(&Line::new(*number, "cancel")).await?;
                let line = self.hear(*number).await?;
                self.end(*number);
                return if line.verb == "cancelled" {
                    Ok(())
                } else {
                    Err(format!("the driver said `{line}`"))
                };
            }
            Action::Answer(expected) => return self.answer(expected).await,
            Action::Waits(number) => return self.waits(*number).await,
            Action::Reaches { number, version, data, within } => {
                return self.reach(*number, *version, data.as_deref(), *within).await;
            }
            Action::Accept => return self.accept().await,
            Action::Refuse => {
                self.listener = None;
                return Ok(());
            }
            Action::Listen => {
                self.listener = Some(listen(self.address).await?);
                return Ok(());
            }
            Action::Pass(time) => {
                tokio::time::sleep(self.settings.scale.time(*time)).await;
                return Ok(());
            }
            Action::Grows(limit) => return self.grows(*limit),
            _ => {}
        }
        if matches!(action, Action::Close | Action::Reset) {
            let peer = self.peer.take().ok_or("there is no connection")?;
            if *action == Action::Reset {
                peer.reset()
            } else {
                peer.close().await
            }
            return Ok(());
        }
        let Self { peer, names, .. } = self;
        let peer = peer.as_mut().ok_or("there is no connection")?;
        match action {
            Action::Receive(pattern) => peer.receive(pattern, names).await,
            Action::ReceiveAnyOrder(packets) => peer.receive_any_order(packets, names).await,
            Action::ReceiveMessage(message) => peer.receive_message(message, names).await,
            Action::Send(pattern) => peer.send(pattern, names).await,
            Action::SendMessage(message) => peer.send_message(message, names).await,
            Action::Continue { name, byte, to_the_end } => {
                let xid = names.get(name).ok_or_else(|| format!("${name} has not been bound"))?;
                peer.receive_rest(xid, *byte, *to_the_end).await
            }
            Action::HalfClose => peer.half_close().await,
            Action::Closed => peer.is_closed(false).await,
            Action::Dropped => peer.is_closed(true).await,
            Action::Silent => peer.is_silent().await,
            _ => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), String> {
        if let Some(peer) = &mut self.peer {
            peer.has_nothing()?;
        }
        let ended = std::mem::take(&mut self.ended);
        let finished = self.program.finish(|number| ended.contains(&number)).await;
        if let Some(real) = &self.real {
            real.abort();
        }
        finished
    }

    async fn connect(&mut self) -> Result<(), String> {
        self.call(&Line::new(CONNECT, "connect")).await?;
        if self.case.server != Server::Real {
            self.accept_or_fail().await?;
        }
        self.answer(&Line::new(CONNECT, "returns")).await?;
        if let Some(peer) = &mut self.peer {
            peer.is_greeted();
        }
        self.memory = self.program.memory().map(|(now, _)| now);
        Ok(())
    }

    /// Accepts the first connection, unless the driver says before that there will be none, or ends.
    async fn accept_or_fail(&mut self) -> Result<(), String> {
        let Self { program, listener: Some(listener), settings, .. } = self else {
            return Err("nobody listens".into());
        };
        let stream = tokio::select! {
            biased;
            stream = accepted(listener, settings.patience) => stream?,
            line = program.next(CONNECT) => {
                let line = line?;
                if line.verb == "fails" {
                    return Err(format!("the driver said `{line}`"));
                }
                program.put_back(line);
                accepted(listener, settings.patience).await?
            }
        };
        self.meet(stream);
        Ok(())
    }

    async fn accept(&mut self) -> Result<(), String> {
        let listener = self.listener.as_ref().ok_or("nobody listens")?;
        let stream = accepted(listener, self.settings.patience).await?;
        self.meet(stream);
        Ok(())
    }

    fn meet(&mut self, stream: TcpStream) {
        let greets = self.case.server == Server::Scripted { greeting: false };
        self.peer = Some(Peer::new(stream, greets, self.settings.scale, self.settings.patience));
    }

    async fn call(&mut self, line: &Line) -> Result<(), String> {
        let mut line = line.clone();
        for (_, value) in &mut line.values {
            *value = self.known(value)?;
        }
        if line.number == CONNECT {
            line = line.with("address", self.address);
            for (key, setting) in &self.case.options {
                line = line.with(key, setting.told(|time| self.settings.scale.time(time)));
            }
        } else if let Some(timeout) = line.values.iter_mut().find(|(key, _)| key == "timeout") {
            let millis = timeout.1.parse().map_err(|_| "`timeout=` is no number".to_owned())?;
            timeout.1 = self.settings.scale.time(Duration::from_millis(millis)).as_millis().to_string();
        }
        self.open.insert(line.number, line.verb.clone());
        self.program.tell(&line).await
    }

    /// Hears how a call ends, or what it tells, and compares it.
    async fn answer(&mut self, expected: &Line) -> Result<(), String> {
        let number = expected.number;
        let heard = self.next(number).await?;
        let is_same = heard.verb == expected.verb && heard.values.len() == expected.values.len();
        let mut differs = !is_same;
        for (key, value) in &expected.values {
            differs |= !heard.value(key).is_some_and(|heard| self.fits(key, value, heard));
        }
        if differs {
            return Err(format!("  expected: {expected}\n  the driver: {heard}"));
        }
        self.took(&heard)?;
        let name = self.open.get(&number).cloned().unwrap_or_default();
        let goes_on = GOING_ON.contains(&&*name);
        match &*heard.verb {
            "returns" if STREAMING.contains(&&*name) => {
                self.end(number);
                match self.program.progress(number) {
                    Some((done, total)) if done == total => Ok(()),
                    Some((done, total)) => Err(format!("it told of {done} bytes of {total} and no more")),
                    None => Err("it has told of no progress".into()),
                }
            }
            "returns" | "tells" if goes_on => Ok(()),
            _ => {
                self.end(number);
                Ok(())
            }
        }
    }

    /// What a call says next. A watch is asked for it, once it has returned.
    async fn next(&mut self, number: u32) -> Result<Line, String> {
        let goes_on = self.copies.contains_key(&number);
        if goes_on && self.asked.insert(number) {
            self.program.tell(&Line::new(number, "take")).await?;
        }
        let line = self.hear(number).await?;
        self.asked.remove(&number);
        Ok(line)
    }

    /// What the driver says of a call next; meanwhile the client may greet.
    async fn hear(&mut self, number: u32) -> Result<Line, String> {
        let Self { peer, program, .. } = self;
        if let Some(peer) = peer.as_mut().filter(|peer| peer.greets()) {
            tokio::select! {
                line = program.next(number) => return line,
                greeted = peer.greet() => greeted?,
            }
        }
        program.next(number).await
    }

    async fn waits(&mut self, number: u32) -> Result<(), String> {
        if self.copies.contains_key(&number) && self.asked.insert(number) {
            self.program.tell(&Line::new(number, "take")).await?;
        }
        match self.program.waits(number, A_WHILE).await? {
            None => Ok(()),
            Some(line) => Err(format!("the driver said `{line}`")),
        }
    }

    async fn reach(
        &mut self,
        number: u32,
        version: u64,
        data: Option<&[u8]>,
        within: usize,
    ) -> Result<(), String> {
        for _ in 0..within {
            let told = self.next(number).await?;
            if told.verb != "tells" {
                return Err(format!("the driver said `{told}`"));
            }
            self.took(&told)?;
            let Some(copy) = self.copies.get(&number) else { break };
            if copy.version() < version {
                continue;
            }
            if copy.version() > version {
                return Err(format!("it came to version {}", copy.version()));
            }
            if data.is_some() && copy.data() != data {
                let data = copy.data().map(|data| super::line::Data(data).to_string());
                return Err(format!("a copy made of what it told is {}", data.unwrap_or_default()));
            }
            return Ok(());
        }
        Err(format!("it did not come to version {version} within {within} changes"))
    }

    fn took(&mut self, heard: &Line) -> Result<(), String> {
        let number = heard.number;
        let goes_on = self.open.get(&number).is_some_and(|name| GOING_ON.contains(&&**name));
        match &*heard.verb {
            "returns" if goes_on => {
                self.copies.insert(number, Copy::default());
                Ok(())
            }
            "tells" => self.copies.get_mut(&number).map_or(Ok(()), |copy| copy.take(heard)),
            _ => Ok(()),
        }
    }

    fn end(&mut self, number: u32) {
        self.open.remove(&number);
        self.copies.remove(&number);
        self.ended.insert(number);
    }

    fn grows(&self, limit: u64) -> Result<(), String> {
        let (Some(before), Some((_, most))) = (self.memory, self.program.memory()) else { return Ok(()) };
        let grown = most.saturating_sub(before);
        if grown <= limit {
            return Ok(());
        }
        Err(format!("the driver's memory has grown by {} MiB since its client connected", grown >> 20))
    }

    /// A value with what its names stand for.
    fn known(&self, value: &str) -> Result<String, String> {
        let Some(name) = value.strip_prefix('$') else { return Ok(value.into()) };
        self.values.get(name).cloned().ok_or_else(|| format!("{value} has not been bound"))
    }

    /// Whether a value is the expected one. A new name fits any value, and stands for it from then on.
    fn fits(&mut self, key: &str, expected: &str, heard: &str) -> bool {
        let Some(name) = expected.strip_prefix('$') else { return same(key, expected, heard) };
        match self.values.get(name) {
            Some(value) => value == heard,
            None => {
                self.values.insert(name.into(), heard.into());
                true
            }
        }
    }
}

/// Where the suite listens. A case in which nobody listens for a while has an address to itself where there are many,
/// so that nobody else takes its port meanwhile.
fn home(case: &Case) -> SocketAddr {
    let refuses = case.steps.iter().any(|step| step.action == Action::Refuse);
    let line = (case.line as u16).to_be_bytes();
    let host =
        if refuses && cfg!(target_os = "linux") { [127, 77, line[0], line[1]] } else { [127, 0, 0, 1] };
    (host, 0).into()
}

/// The next connection.
async fn accepted(listener: &TcpListener, patience: Duration) -> Result<TcpStream, String> {
    match timeout(patience, listener.accept()).await {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(error)) => Err(format!("no connection can be accepted: {error}")),
        Err(_) => Err(format!("no connection has come within {patience:?}")),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("the suite cannot listen on {address}: {error}"))
}
