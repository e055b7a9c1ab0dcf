//! The lines that the suite and a driver program say to each other (docs/PORTING.md §4).

use std::fmt;

/// One line: `7 returns version=2 | a remark`. What says it and what reads it is the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The call that it is about.
    pub number: u32,
    /// What happens: the name of a call, or `returns`, `fails`, `tells` and the like.
    pub verb: String,
    /// The values, in their order.
    pub values: Vec<(String, String)>,
    /// What people may want to read; nobody compares it.
    pub remark: Option<String>,
}

/// A line that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It does not begin with the number of a call.
    #[error("a line begins with the number of its call")]
    Number,
    /// There is nothing behind the number.
    #[error("a word follows the number of the call")]
    Verb,
    /// A value has no name, or no `=`.
    #[error("`{0}` is not KEY=VALUE")]
    Value(String),
    /// A value that is needed is not there.
    #[error("`{0}=` is missing")]
    Missing(String),
    /// A value is not what it should be.
    #[error("`{key}={value}`: {why}")]
    Unfit {
        /// Its key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody knows such a call.
    #[error("`{0}` is no call that this driver knows")]
    Unknown(String),
}

impl Line {
    /// A line without values.
    pub fn new(number: u32, verb: impl Into<String>) -> Self {
        Self { number, verb: verb.into(), values: Vec::new(), remark: None }
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.values.push((key.into(), value.to_string()));
        self
    }

    /// Adds a value that is bytes.
    #[must_use]
    pub fn with_data(self, key: &str, data: &[u8]) -> Self {
        self.with(key, Data(data))
    }

    /// Adds what people may want to read.
    #[must_use]
    pub fn remarked(mut self, remark: impl fmt::Display) -> Self {
        self.remark = Some(remark.to_string().replace(['\n', '\r'], " "));
        self
    }

    /// The value of a key, where there is one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let (text, remark) = match text.split_once(" | ") {
            Some((text, remark)) => (text, Some(remark.into())),
            None => (text, None),
        };
        let mut words = text.split_whitespace();
        let number = words.next().and_then(|word| word.parse().ok()).ok_or(BadLine::Number)?;
        let verb = words.next().ok_or(BadLine::Verb)?.into();
        let value = |word: &str| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
            _ => Err(BadLine::Value(word.into())),
        };
        Ok(Self { number, verb, values: words.map(value).collect::<Result<_, _>>()?, remark })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.verb)?;
        self.values.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))?;
        self.remark.iter().try_for_each(|remark| write!(f, " | {remark}"))
    }
}

/// Bytes as lines write them: hex digits, with `41*1000` for many equal bytes.
pub struct Data<'a>(pub &'a [u8]);

/// Fewer equal bytes are written one by one.
const MANY: usize = 32;

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut after_run = None;
        for run in self.0.chunk_by(|one, other| one == other) {
            let is_long = run.len() >= MANY;
            if after_run.is_some_and(|after_run| after_run || is_long) {
                f.write_str("+")?;
            }
            if is_long {
                write!(f, "{:02x}*{}", run[0], run.len())?;
            } else {
                run.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            }
            after_run = Some(is_long);
        }
        Ok(())
    }
}

/// Reads bytes: parts with `+` between them, each of them hex digits, or `41*1000` for so many of a byte.
#[must_use]
pub fn data(text: &str) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for part in text.split('+').filter(|_| !text.is_empty()) {
        match part.split_once('*') {
            Some((byte, count)) => {
                let [byte] = hex(byte)?[..] else { return None };
                data.resize(data.len().checked_add(count.parse().ok()?)?, byte);
            }
            None => data.extend(hex(part)?),
        }
    }
    Some(data)
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = Line::new(7, "returns").with("version", 2).with_data("data", b"").remarked("two\nlines");
        assert_eq!(line.to_string(), "7 returns version=2 data= | two lines");
        assert_eq!(Line::parse(&line.to_string()), Ok(line));
        assert_eq!(Line::parse("0  ready"), Ok(Line::new(0, "ready")));
    }

    #[test]
    fn what_is_no_line_is_named() {
        for (text, expected) in [
            ("", BadLine::Number),
            ("ping", BadLine::Number),
            ("-1 ping", BadLine::Number),
            ("1", BadLine::Verb),
            ("1 ping data", BadLine::Value("data".into())),
            ("1 ping =41", BadLine::Value("=41".into())),
        ] {
            assert_eq!(Line::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn data_are_hex_digits_and_runs() {
        let long = [&[1, 2][..], &[0x41; 40], &[3, 3], &[0; 32], &[9; 32]].concat();
        assert_eq!(Data(&long).to_string(), "0102+41*40+0303+00*32+09*32");
        for bytes in [&long[..], b"", b"a", b"hello", &[7; 31], &[7; 32]] {
            assert_eq!(data(&Data(bytes).to_string()).as_deref(), Some(bytes));
        }
        assert_eq!(data("4A+4b*2"), Some(b"JKK".into()));
        for wrong in ["4", "4g", "+", "41+", "41*", "*3", "41*x", "41*-1", "4142*2"] {
            assert_eq!(data(wrong), None, "{wrong}");
        }
    }
}
