//! The step `adapters`: the adapter crates can be read side by side. They have the same files, and the same public names
//! in the same order, but for those that are listed here with a reason.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use syn::{ImplItem, Item, UseTree, Visibility};

use crate::workspace::Workspace;

/// The adapter that the others are compared with, and the others.
const FIRST: &str = "netswap-tokio";
const OTHERS: [&str; 2] = ["netswap-smol", BLOCKING];

/// What only one adapter has: a file, or a public name in a file, and why.
const ONLY: &[(&str, &str, &str, &str)] = &[
    (BLOCKING, "wait.rs", "*", "how its threads wait, which the others leave to their runtimes"),
    (BLOCKING, "threads.rs", "*", "starts and joins threads, as the others' runtimes do tasks"),
    (BLOCKING, "reactor.rs", "*", "wakes threads when their sockets are ready, as the others' runtimes do"),
    (BLOCKING, "reactor/epoll.rs", "*", "the reactor on Linux"),
    (BLOCKING, "reactor/poll.rs", "*", "the reactor elsewhere"),
    (BLOCKING, "client/watch.rs", "*", "an iterator where the others share a stream"),
    (BLOCKING, "client/events.rs", "*", "an iterator where the others share a stream"),
    (BLOCKING, "client/mirror.rs", "*", "blocks where the others share an async one"),
    (BLOCKING, "client/stopper.rs", "*", "ends a wait from another thread, where the others drop the future"),
    (BLOCKING, "client/mod.rs", "Stopper", "as above"),
    (BLOCKING, "client/mod.rs", "stoppable()", "as above"),
    (BLOCKING, "lib.rs", "Stopper", "as above"),
    (
        BLOCKING,
        "timer.rs",
        "Elapsed",
        "the error of a wait that was too short, as the others' runtimes have it",
    ),
    (BLOCKING, "lib.rs", "Elapsed", "as above"),
];

const BLOCKING: &str = "netswap-blocking";

/// The public names of every file of a crate, in order.
type Surface = BTreeMap<PathBuf, Vec<String>>;

/// Compares the adapters, and names every difference.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let first = surface(&workspace.root, FIRST)?;
    let mut differences = Vec::new();
    for other in OTHERS {
        compare(&first, &surface(&workspace.root, other)?, other, &mut differences);
    }
    if differences.is_empty() {
        let names: usize = first.values().map(Vec::len).sum();
        println!(
            "{} files and {names} public names are the same in {FIRST}, {}",
            first.len(),
            OTHERS.join(", ")
        );
        return Ok(());
    }
    bail!("the adapters differ:\n  {}", differences.join("\n  "));
}

fn compare(first: &Surface, other: &Surface, name: &str, differences: &mut Vec<String>) {
    for file in first.keys().filter(|file| !other.contains_key(*file)) {
        differences.push(format!("{name} has no {}", file.display()));
    }
    for (file, names) in other {
        match first.get(file) {
            None => differences.push(format!("{name} has {}, which {FIRST} has not", file.display())),
            Some(expected) if expected != names => {
                let at = expected.iter().zip(names).take_while(|(one, two)| one == two).count();
                let of =
                    |names: &[String]| names.get(at).cloned().unwrap_or_else(|| "nothing more".to_owned());
                differences.push(format!(
                    "{}: after {at} equal names {FIRST} has {}, {name} has {}",
                    file.display(),
                    of(expected),
                    of(names)
                ));
            }
            Some(_) => {}
        }
    }
}

/// The public names of every file of a crate, without those that only it has.
fn surface(root: &Path, name: &str) -> Result<Surface> {
    let source = root.join(name).join("src");
    let mut surface = Surface::new();
    for path in files(&source)? {
        let file = path.strip_prefix(&source)?.to_path_buf();
        let only = |what: &str| {
            ONLY.iter().any(|(of, in_file, it, _)| *of == name && Path::new(in_file) == file && *it == what)
        };
        if only("*") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let parsed = syn::parse_file(&text).with_context(|| format!("cannot read {}", path.display()))?;
        let mut names = names(&parsed.items);
        names.retain(|name| !only(name));
        surface.insert(file, names);
    }
    Ok(surface)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The public names of a file: those that it passes on, sorted, and then its own in their order.
fn names(items: &[Item]) -> Vec<String> {
    let (mut passed_on, mut own) = (Vec::new(), Vec::new());
    for item in items {
        public(item, if matches!(item, Item::Use(_)) { &mut passed_on } else { &mut own });
    }
    passed_on.sort();
    passed_on.extend(own);
    passed_on
}

/// Adds the public names of an item.
fn public(item: &Item, names: &mut Vec<String>) {
    let is_public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
    match item {
        Item::Struct(it) if is_public(&it.vis) => names.push(it.ident.to_string()),
        Item::Enum(it) if is_public(&it.vis) => names.push(it.ident.to_string()),
        Item::Trait(it) if is_public(&it.vis) => names.push(it.ident.to_string()),
        Item::Type(it) if is_public(&it.vis) => names.push(it.ident.to_string()),
        Item::Fn(it) if is_public(&it.vis) => names.push(it.sig.ident.to_string()),
        Item::Use(it) if is_public(&it.vis) => used(&it.tree, names),
        Item::Impl(it) if it.trait_.is_none() => {
            for item in &it.items {
                if let ImplItem::Fn(function) = item
                    && is_public(&function.vis)
                {
                    names.push(format!("{}()", function.sig.ident));
                }
            }
        }
        _ => {}
    }
}

fn used(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => used(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| used(tree, names)),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(rename) => names.push(rename.rename.to_string()),
        UseTree::Glob(_) => names.push("*".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Surface {
        let names = names(&syn::parse_file(text).unwrap().items);
        Surface::from([(PathBuf::from("lib.rs"), names)])
    }

    fn differences(first: &str, other: &str) -> Vec<String> {
        let mut differences = Vec::new();
        compare(&of(first), &of(other), "other", &mut differences);
        differences
    }

    #[test]
    fn waiting_differently_is_no_difference() {
        let first =
            "pub use a::{B, C as D}; pub struct E; impl E { pub async fn f(self) {} fn private() {} }";
        let other = "pub use x::B; pub use y::D; pub struct E(u8); impl E { pub fn f<T>(&self, t: T) {} }";
        assert!(differences(first, other).is_empty());
    }

    #[test]
    fn another_name_or_order_is_a_difference() {
        let first = "pub struct E; impl E { pub fn f() {} pub fn g() {} }";
        assert_eq!(differences(first, "pub struct E; impl E { pub fn g() {} pub fn f() {} }").len(), 1);
        assert_eq!(differences(first, "pub struct E; impl E { pub fn f() {} }").len(), 1);
        assert_eq!(differences(first, "pub struct Z; impl Z { pub fn f() {} pub fn g() {} }").len(), 1);
    }
}
