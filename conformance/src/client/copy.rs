//! A copy of a watched record, made of what its watch tells (docs/PROTOCOL.md §4.3).

use super::line::{self, Line};

/// What a watch has told of a record so far.
#[derive(Debug, Default)]
pub(super) struct Copy {
    version: u64,
    /// The data, where they are told and nothing was missed.
    data: Option<Vec<u8>>,
}

impl Copy {
    /// Takes what a watch tells; the sentence says what is wrong with it.
    pub(super) fn take(&mut self, told: &Line) -> Result<(), String> {
        let version = told.value("version").and_then(|version| version.parse().ok());
        let data = told.value("data").and_then(line::data);
        match (told.value("change"), version) {
            (Some("changed"), Some(version)) => {
                if version < self.version {
                    return Err(format!("version {version} was told after version {}", self.version));
                }
                *self = Self { version, data };
            }
            (Some("range"), Some(version)) => {
                let offset = told.value("offset").and_then(|offset| offset.parse::<usize>().ok());
                let (Some(range), Some(offset), Some(copy)) = (data, offset, &mut self.data) else {
                    return Err("a range was told that fits nothing told before".into());
                };
                if version != self.version + 1 {
                    return Err(format!(
                        "a range of version {version} was told after version {}",
                        self.version
                    ));
                }
                let end = offset + range.len();
                copy.resize(copy.len().max(end), 0);
                copy[offset..end].copy_from_slice(&range);
                self.version = version;
            }
            (Some("resumed"), _) => *self = Self::default(),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn data(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_applied_and_untrue_ones_found() {
        let mut copy = Copy::default();
        let mut take = |text: &str| copy.take(&Line::parse(text).unwrap()).map(|()| copy.data.clone());
        take("1 tells change=range version=2 offset=0 data=41").unwrap_err();
        assert_eq!(take("1 tells change=changed version=2 data=4142"), Ok(Some(b"AB".into())));
        assert_eq!(take("1 tells change=range version=3 offset=3 data=43"), Ok(Some(b"AB\0C".into())));
        take("1 tells change=range version=5 offset=0 data=41").unwrap_err();
        take("1 tells change=changed version=2 data=41").unwrap_err();
        assert_eq!(take("1 tells change=resumed version=1"), Ok(None));
        assert_eq!(take("1 tells change=changed version=1 data=41"), Ok(Some(b"A".into())));
    }
}
