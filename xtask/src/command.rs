//! Runs other programs, none of which gets anything to read from standard input.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};

/// Shows and runs `command`, which must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| cannot_run(command))?;
    check(command, status)
}

/// Runs `command`, which must succeed, and returns what it printed to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| cannot_run(command))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no text", name(command)))
}

/// Whether `command` succeeds. What it prints is lost.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Shows and runs `command`, passing on each line it prints to standard output and giving it to `each` too.
pub(crate) fn tee(command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    show(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| cannot_run(command))?;
    let mut lines = BufReader::new(child.stdout.take().context("no pipe from the child")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait()?)
}

/// Prints `command`, with the environment it is given, as one would type it.
fn show(command: &Command) {
    let mut words: Vec<String> = Vec::new();
    for (variable, value) in command.get_envs() {
        let value = value.unwrap_or_default();
        words.push(format!("{}={}", variable.display(), quoted(&value.to_string_lossy())));
    }
    words.push(name(command));
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    println!("$ {}", words.join(" "));
}

/// `word` as a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,+\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// The name of the program that `command` runs, without its directory.
fn name(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Fails when `status` is not success.
fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        let arg = command.get_args().next().unwrap_or_default();
        bail!("`{} {}` failed ({status})", name(command), arg.display());
    }
    Ok(())
}

/// The message for a program that does not start.
fn cannot_run(command: &Command) -> String {
    format!("cannot run `{}`", name(command))
}
