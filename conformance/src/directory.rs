//! Reads a directory of case files.

use std::path::Path;

use anyhow::Context;

use crate::text::FileError;

/// What cases of both sorts have.
pub trait Entry {
    /// The file.
    fn file(&self) -> &str;

    /// The line at which it begins.
    fn line(&self) -> usize;

    /// The section of docs/PROTOCOL.md with a number.
    fn id(&self) -> &str;
}

/// Reads all files of a directory, in the order of their sections.
///
/// # Errors
///
/// A file cannot be read or is wrong, two cases have one ID, or there are none.
pub fn read<C: Entry>(
    directory: &Path,
    parse: impl Fn(&str, &str) -> Result<Vec<C>, FileError>,
) -> anyhow::Result<Vec<C>> {
    let entries = directory.read_dir().with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    let here = std::env::current_dir().ok();
    let mut cases: Vec<C> = Vec::new();
    for path in &files {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = here.as_ref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
        for case in parse(&name.display().to_string(), &text)? {
            if let Some(before) = cases.iter().find(|before| before.id() == case.id()) {
                anyhow::bail!("{}:{}: {} is in {} too", case.file(), case.line(), case.id(), before.file());
            }
            cases.push(case);
        }
    }
    anyhow::ensure!(!cases.is_empty(), "there are no cases in {}", directory.display());
    cases.sort_by_key(|case| numbers(case.id()));
    Ok(cases)
}

/// The numbers of an ID, by which `2.3-01` comes before `2.10-01`.
fn numbers(id: &str) -> Vec<u32> {
    id.split(['.', '-']).map(|part| part.parse().unwrap_or(u32::MAX)).collect()
}
