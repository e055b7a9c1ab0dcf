//! The machine on which it was measured.

use std::fs;
use std::time::SystemTime;

/// What is to be known of the machine, line by line: what it is, and its value.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned())
    };
    let facts = [
        ("processor", first("/proc/cpuinfo", "model name")),
        ("cores", std::thread::available_parallelism().ok().map(|cores| cores.to_string())),
        ("memory", first("/proc/meminfo", "MemTotal").map(|total| in_gibibytes(&total))),
        ("system", first("/etc/os-release", "PRETTY_NAME")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())),
    ];
    facts.into_iter().map(|(name, value)| (name, value.unwrap_or_else(|| "unknown".into()))).collect()
}

/// Today, as in 2026-11-23.
pub(crate) fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

fn in_gibibytes(kilobytes: &str) -> String {
    let number = kilobytes.trim_end_matches("kB").trim().parse::<f64>();
    number.map_or_else(|_| kilobytes.to_owned(), |number| format!("{:.0} GiB", number / 1024.0 / 1024.0))
}
