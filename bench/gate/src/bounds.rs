//! The bounds, a file that is committed: with what they were counted, and a number of instructions for each path.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// What counts depend on: the compiler, the C library, the counter.
pub(crate) type Tools = BTreeMap<String, String>;

/// The file's content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// With what they were counted.
    pub(crate) tools: Tools,
    /// Instructions of each path.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// How a count stands to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Near it.
    Kept,
    /// So far below that the bound is to be lowered.
    Lower,
    /// So far above that something has become slower.
    Exceeded,
}

/// What counts may be above their bounds, in percent, where everything is as it was when they were written.
pub(crate) const STRICT: u64 = 5;

/// The same where the compiler, the C library or the counter is another.
pub(crate) const LENIENT: u64 = 25;

impl Verdict {
    /// Holds a count against its bound, which it may miss by so many percent.
    pub(crate) fn of(count: u64, bound: u64, percent: u64) -> Self {
        if count * 100 > bound * (100 + percent) {
            Self::Exceeded
        } else if count * 100 < bound * (100 - percent) {
            Self::Lower
        } else {
            Self::Kept
        }
    }
}

impl Bounds {
    /// Reads the file: lines `# KEY: VALUE` and `PATH INSTRUCTIONS`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut bounds = Self { tools: Tools::new(), instructions: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(remark) = line.strip_prefix('#') {
                if let Some((key, value)) = remark.split_once(": ") {
                    bounds.tools.insert(key.trim().into(), value.trim().into());
                }
                continue;
            }
            let (path, count) = line.split_once(' ').with_context(|| format!("not a bound: {line}"))?;
            let count = count.trim().parse().with_context(|| format!("not a bound: {line}"))?;
            ensure!(bounds.instructions.insert(path.into(), count).is_none(), "two bounds: {line}");
        }
        Ok(bounds)
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = "# Instructions of hot paths, counted by callgrind. `cargo xtask gate --write` writes this file.\n".to_owned();
        for (key, value) in &self.tools {
            text.push_str(&format!("# {key}: {value}\n"));
        }
        text.push('\n');
        for (path, count) in &self.instructions {
            text.push_str(&format!("{path} {count}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let bounds = Bounds {
            tools: Tools::from([("rustc".into(), "1.95.0 (59807616e 2026-04-14)".into())]),
            instructions: BTreeMap::from([("decode-64B".into(), 123), ("read-1MiB".into(), 1_000_000)]),
        };
        assert_eq!(Bounds::parse(&bounds.text()).unwrap(), bounds);
        for wrong in ["decode-64B", "decode-64B many", "a 1\na 2"] {
            assert!(Bounds::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn five_percent_are_kept_and_more_are_not() {
        assert_eq!(Verdict::of(1050, 1000, STRICT), Verdict::Kept);
        assert_eq!(Verdict::of(1051, 1000, STRICT), Verdict::Exceeded);
        assert_eq!(Verdict::of(950, 1000, STRICT), Verdict::Kept);
        assert_eq!(Verdict::of(949, 1000, STRICT), Verdict::Lower);
        assert_eq!(Verdict::of(1200, 1000, LENIENT), Verdict::Kept);
        assert_eq!(Verdict::of(1251, 1000, LENIENT), Verdict::Exceeded);
    }
}
