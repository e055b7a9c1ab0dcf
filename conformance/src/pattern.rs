//! Bytes as the files write them: what is sent, and what must be received.

use std::collections::BTreeMap;
use std::iter;

use crate::text::{Mistake, Scale, without_explanation};

/// The names that have been bound, and what they stand for.
pub type Names = BTreeMap<String, Vec<u8>>;

/// The names that a case has bound so far, with the lengths of what they stand for: what its parser knows.
pub type Lengths = BTreeMap<String, usize>;

/// Which way bytes go, seen from the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They are sent: every byte is known.
    Sent,
    /// They are received: they may give names.
    Received,
}

/// One or more lines of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    runs: Vec<Run>,
    lines: Vec<Line>,
}

/// A line of bytes in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first of the pattern's bytes that stands in this line.
    pub offset: usize,
    /// The line's number in the file.
    pub number: usize,
    /// The line as it is written, with its explanation.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Run {
    Bytes(Vec<u8>),
    Repeated(u8, usize),
    /// Whole seconds as a u32, which are divided like all times.
    Seconds(u32),
    /// Bytes that get a name.
    New(String, usize),
    /// Bytes that have one.
    Known(String, usize),
}

impl Run {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Repeated(_, len) | Self::New(_, len) | Self::Known(_, len) => *len,
            Self::Seconds(_) => 4,
        }
    }

    /// Its bytes; `None` for each that nobody knows yet.
    fn bytes<'a>(&'a self, names: &'a Names, scale: Scale) -> Box<dyn Iterator<Item = Option<u8>> + 'a> {
        match self {
            Self::Bytes(bytes) => Box::new(bytes.iter().copied().map(Some)),
            Self::Repeated(byte, len) => Box::new(iter::repeat_n(Some(*byte), *len)),
            Self::Seconds(seconds) => Box::new(scale.seconds(*seconds).to_be_bytes().into_iter().map(Some)),
            Self::New(_, len) => Box::new(iter::repeat_n(None, *len)),
            Self::Known(name, len) => match names.get(name) {
                Some(bytes) => Box::new(bytes.iter().copied().map(Some)),
                None => Box::new(iter::repeat_n(None, *len)),
            },
        }
    }
}

impl Pattern {
    /// Reads the bytes of a line, what follows `A> ` or `A< `. `text` is the whole line, to be shown.
    ///
    /// # Errors
    ///
    /// There is none, or one of the items is not one of those of the format.
    pub fn parse(
        bytes: &str,
        number: usize,
        text: &str,
        lengths: &mut Lengths,
        direction: Direction,
    ) -> Result<Self, Mistake> {
        let words: Vec<&str> = without_explanation(bytes).split_whitespace().collect();
        if words.is_empty() {
            return Err(Mistake::told("bytes", "the end of the line"));
        }
        let mut runs: Vec<Run> = Vec::new();
        let mut rest = &words[..];
        while let [word, after @ ..] = rest {
            let run;
            (run, rest) = match after {
                ["*", count, after @ ..] => (repeated(word, count)?, after),
                ["*"] => return Err(Mistake::told("a number after `*`", "the end of the line")),
                _ => (item(word, lengths, direction)?, after),
            };
            match (runs.last_mut(), run) {
                (Some(Run::Bytes(before)), Run::Bytes(bytes)) => before.extend(bytes),
                (_, run) => runs.push(run),
            }
        }
        Ok(Self { runs, lines: vec![Line { offset: 0, number, text: text.into() }] })
    }

    /// Adds the lines that follow.
    pub fn extend(&mut self, after: Self) {
        let len = self.len();
        self.lines.extend(after.lines.into_iter().map(|line| Line { offset: line.offset + len, ..line }));
        self.runs.extend(after.runs);
    }

    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines that it was read from.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The line in which a byte stands; the last one for what comes after all bytes.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> Option<&Line> {
        self.lines.iter().rev().find(|line| line.offset <= offset)
    }

    /// Its bytes as far as they are known: `None` for each that is still to get a name.
    #[must_use]
    pub fn bytes(&self, names: &Names, scale: Scale) -> Vec<Option<u8>> {
        self.runs.iter().flat_map(|run| run.bytes(names, scale)).collect()
    }

    /// The bytes to be sent.
    ///
    /// # Errors
    ///
    /// The offset of a byte that is not known: its name has not been bound.
    pub fn to_send(&self, names: &Names, scale: Scale) -> Result<Vec<u8>, usize> {
        let mut bytes = Vec::with_capacity(self.len());
        for run in &self.runs {
            match run {
                // Megabytes, perhaps.
                Run::Repeated(byte, len) => bytes.resize(bytes.len() + len, *byte),
                run => {
                    for byte in run.bytes(names, scale) {
                        bytes.push(byte.ok_or(bytes.len())?);
                    }
                }
            }
        }
        Ok(bytes)
    }

    /// The names that it gives.
    pub fn binds(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().filter_map(|run| if let Run::New(name, _) = run { Some(&**name) } else { None })
    }

    /// Gives names to what was received. It must have been found equal before.
    pub fn bind(&self, received: &[u8], names: &mut Names) {
        let mut offset = 0;
        for run in &self.runs {
            if let (Run::New(name, len), Some(bytes)) = (run, received.get(offset..offset + run.len())) {
                debug_assert_eq!(bytes.len(), *len);
                names.insert(name.clone(), bytes.to_vec());
            }
            offset += run.len();
        }
    }
}

/// The first difference between bytes that were expected, as far as they are known, and those that were received.
#[must_use]
pub fn difference(expected: &[Option<u8>], received: &[u8]) -> Option<usize> {
    let differs =
        |(expected, received): (&Option<u8>, &u8)| expected.is_some_and(|expected| expected != *received);
    let first = expected.iter().zip(received).position(differs);
    first.or((expected.len() != received.len()).then(|| expected.len().min(received.len())))
}

fn repeated(byte: &str, count: &str) -> Result<Run, Mistake> {
    let byte = hex(byte).ok_or_else(|| Mistake::new("two hex digits before `*`", byte))?;
    match count.parse() {
        Ok(count) if count > 0 => Ok(Run::Repeated(byte, count)),
        _ => Err(Mistake::new("a number above 0 after `*`", count)),
    }
}

fn item(word: &str, lengths: &mut Lengths, direction: Direction) -> Result<Run, Mistake> {
    if let Some(name) = word.strip_prefix('$') {
        return named(word, name, lengths, direction);
    }
    if let Some(text) = word.strip_prefix('"') {
        let text = text.strip_suffix('"').filter(|it| !it.is_empty() && it.bytes().all(is_plain));
        let expected = "a text of ASCII without spaces, quotes and backslashes between two quotes";
        return text.map(|it| Run::Bytes(it.into())).ok_or_else(|| Mistake::new(expected, word));
    }
    if let Some(seconds) = word.strip_suffix('s') {
        let seconds = seconds.parse().map_err(|_| Mistake::new("seconds such as `300s`", word))?;
        return Ok(Run::Seconds(seconds));
    }
    let expected = "two lower-case hex digits, `41 * 1390`, `\"text\"`, `300s`, `$name` or `$name:8`";
    hex(word).map(|byte| Run::Bytes(vec![byte])).ok_or_else(|| Mistake::new(expected, word))
}

fn named(word: &str, name: &str, lengths: &mut Lengths, direction: Direction) -> Result<Run, Mistake> {
    let (name, len) = name.split_once(':').map_or((name, None), |(name, len)| (name, Some(len)));
    if name.is_empty() || !name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
    {
        return Err(Mistake::new("a name of lower-case letters, digits and hyphens after `$`", word));
    }
    let Some(len) = len else {
        let len = lengths.get(name).copied();
        let unbound = || Mistake::new("a name that was bound in an earlier line, with its length", word);
        return len.map(|len| Run::Known(name.into(), len)).ok_or_else(unbound);
    };
    if direction == Direction::Sent {
        return Err(Mistake::new("a name without a length: only received bytes can give one", word));
    }
    let len = match len.parse() {
        Ok(len) if len > 0 => len,
        _ => return Err(Mistake::new("a number of bytes above 0 after the name", word)),
    };
    if lengths.insert(name.into(), len).is_some() {
        return Err(Mistake::new("a name that is not bound yet", word));
    }
    Ok(Run::New(name.into(), len))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

fn hex(digits: &str) -> Option<u8> {
    let two = digits.len() == 2 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    if two { u8::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &str, lengths: &mut Lengths) -> Result<Pattern, Mistake> {
        Pattern::parse(text, 1, text, lengths, Direction::Received)
    }

    #[test]
    fn items_are_read_bound_and_used() {
        let mut lengths = Lengths::new();
        let mut names = Names::new();
        let pattern = received("0a ff 41 * 3 \"hi\" 300s $ptr:2 00 | text", &mut lengths).unwrap();
        assert_eq!(pattern.len(), 14);
        let seen = *b"\x0a\xffAAAhi\0\0\0\x0fxy\0";
        assert_eq!(difference(&pattern.bytes(&names, Scale::divided_by(20)), &seen), None);
        assert_eq!(difference(&pattern.bytes(&names, Scale::TRUE), &seen), Some(9));
        pattern.bind(&seen, &mut names);
        let sent = Pattern::parse("$ptr 01", 2, "", &mut lengths, Direction::Sent).unwrap();
        assert_eq!(sent.to_send(&names, Scale::TRUE), Ok(b"xy\x01".to_vec()));
        assert_eq!(sent.to_send(&Names::new(), Scale::TRUE), Err(0));
    }

    #[test]
    fn what_is_no_item_is_named() {
        for (text, expected, found) in [
            ("| text", "two lower-case hex digits", "`|`"),
            ("", "bytes", "the end of the line"),
            ("0A", "two lower-case hex digits", "`0A`"),
            ("0a0b", "two lower-case hex digits", "`0a0b`"),
            ("41 * x", "a number above 0", "`x`"),
            ("41 *", "a number after `*`", "the end of the line"),
            ("\"hi", "a text of ASCII", "`\"hi`"),
            ("\"a b\"", "a text of ASCII", "`\"a`"),
            ("xs", "seconds such as", "`xs`"),
            ("$a", "a name that was bound", "`$a`"),
            ("$a:0", "a number of bytes", "`$a:0`"),
            ("$a:1 $a:1", "a name that is not bound yet", "`$a:1`"),
            ("$A:1", "a name of lower-case", "`$A:1`"),
        ] {
            let mistake = received(text, &mut Lengths::new()).unwrap_err();
            assert!(mistake.expected.starts_with(expected) && mistake.found == found, "{text}: {mistake}");
        }
        let sent = Pattern::parse("$a:1", 1, "", &mut Lengths::new(), Direction::Sent).unwrap_err();
        assert!(sent.expected.starts_with("a name without a length"), "{sent}");
    }
}
