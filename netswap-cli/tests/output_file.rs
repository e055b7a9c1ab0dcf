//! `get -o FILE`: the rights of the file that it writes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use common::proxy::{Proxy, Then, Towards};
use common::{Process, Server, content, netswap, run, wait_until};
use tempfile::TempDir;

const OWNER: &str = "127.0.0.2";

/// A user and a group that are not root.
const USER: u32 = 1000;
const OTHER_USER: u32 = 1001;

/// Whether the tests run as root. What needs that is skipped otherwise, and says so.
fn is_root(what: &str) -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        eprintln!("SKIPPED: {what} needs root");
    }
    root
}

/// A directory that every user can reach.
fn directory(mode: u32) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
    directory
}

fn file(path: &Path, mode: u32, owner: Option<(u32, u32)>) {
    fs::write(path, "old").unwrap();
    if let Some((user, group)) = owner {
        chown(path, Some(user), Some(group)).unwrap();
    }
    // After the owner: a change of owner clears some bits.
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn rights(metadata: &Metadata) -> (u32, u32, u32) {
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
}

/// A `get` that is run by a user. The program lies where that user can execute it.
fn get_as(user: u32, server: &Server, directory: &Path, pointer: &str, to: &Path) -> Command {
    let program = directory.join("netswap");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_netswap"), &program).unwrap();
    }
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    command.args(ids).arg(program);
    command.args(["get", pointer, "--server", &server.address.to_string(), "--bind", OWNER, "-o"]).arg(to);
    command
}

/// Names of temporary files in a directory.
fn temporary(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}

#[test]
fn root_does_not_make_a_setuid_file_of_its_own() {
    if !is_root("a file of another user") {
        return;
    }
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"#!/bin/sh\n", &[]);
    let directory = directory(0o755);
    let path = directory.path().join("file");
    for (mode, user, group) in [
        (0o6777, USER, USER),
        (0o4755, USER, 0),
        (0o2775, 0, USER),
        (0o6777, 0, 0),
        (0o1666, USER, USER),
        (0o600, USER, OTHER_USER),
    ] {
        file(&path, mode, Some((user, group)));
        run(server.client(OWNER, &["get", &pointer, "-o"]).arg(&path)).success();
        assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        assert_eq!(rights(&fs::metadata(&path).unwrap()), (user, group, mode & 0o777), "{mode:o}");
    }
    assert_eq!(temporary(directory.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_file_loses_setuid_and_setgid_bits_and_nothing_else() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"new", &[]);
    let directory = directory(0o755);
    let path = directory.path().join("file");
    for mode in [0o6777, 0o4755, 0o600, 0o644, 0o640] {
        file(&path, mode, None);
        let before = rights(&fs::metadata(&path).unwrap());
        run(server.client(OWNER, &["get", &pointer, "-o"]).arg(&path)).success();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let after = rights(&fs::metadata(&path).unwrap());
        assert_eq!(after, (before.0, before.1, mode & 0o777), "{mode:o}");
    }
}

#[test]
fn a_file_that_the_user_may_only_write_to_keeps_its_owner() {
    if !is_root("another user's file") {
        return;
    }
    let server = Server::start(&[]);
    let data = content(1, 100_000);
    let pointer = server.put(OWNER, &data, &[]);
    // A sticky directory, where others' files cannot be replaced, and one where they could be.
    for directory_mode in [0o1777, 0o777] {
        let directory = directory(directory_mode);
        let path = directory.path().join("file");
        for mode in [0o666, 0o6777, 0o4757] {
            file(&path, mode, Some((OTHER_USER, OTHER_USER)));
            let inode = fs::metadata(&path).unwrap().ino();
            run(&mut get_as(USER, &server, directory.path(), &pointer, &path)).success();
            assert!(fs::read(&path).unwrap() == data);
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(metadata.ino(), inode, "written in place");
            assert_eq!(rights(&metadata), (OTHER_USER, OTHER_USER, mode & 0o777), "{mode:o}");
        }
        // Its own file has a group that the user is not in.
        file(&path, 0o660, Some((USER, OTHER_USER)));
        run(&mut get_as(USER, &server, directory.path(), &pointer, &path)).success();
        assert!(fs::read(&path).unwrap() == data);
        assert_eq!(rights(&fs::metadata(&path).unwrap()), (USER, OTHER_USER, 0o660));
        // Shorter data leaves nothing of what was there.
        file(&path, 0o666, Some((OTHER_USER, OTHER_USER)));
        let short = server.put(OWNER, b"a", &[]);
        run(&mut get_as(USER, &server, directory.path(), &short, &path)).success();
        assert_eq!(fs::read(&path).unwrap(), b"a");
        assert_eq!(temporary(directory.path()), [] as [PathBuf; 0]);
    }
}

#[test]
fn other_names_of_a_file_keep_their_data() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"new", &[]);
    let directory = directory(0o777);
    let (path, other) = (directory.path().join("file"), directory.path().join("other"));
    file(&path, 0o666, None);
    fs::hard_link(&path, &other).unwrap();
    run(server.client(OWNER, &["get", &pointer, "-o"]).arg(&path)).success();
    assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"new".to_vec(), b"old".to_vec()));
    if !is_root("another user's file with two names") {
        return;
    }
    fs::remove_file(&path).unwrap();
    chown(&other, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    fs::hard_link(&other, &path).unwrap();
    run(&mut get_as(USER, &server, directory.path(), &pointer, &path))
        .fails(1, &["hard links", "cannot write"]);
    assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"old".to_vec(), b"old".to_vec()));
    assert_eq!(temporary(directory.path()), [] as [PathBuf; 0]);
}

#[test]
fn links_of_others_in_sticky_directories_are_not_followed() {
    if !is_root("another user's link") {
        return;
    }
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"new", &[]);
    let target = directory(0o700);
    let path = target.path().join("file");
    let get = |link: &Path| run(server.client(OWNER, &["get", &pointer, "-o"]).arg(link));
    for (directory_mode, link_owner, follows) in
        [(0o1777, USER, false), (0o1777, 0, true), (0o777, USER, true), (0o1755, USER, true)]
    {
        let directory = directory(directory_mode);
        let (link, second) = (directory.path().join("link"), target.path().join("second"));
        symlink(&path, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(link_owner), Some(link_owner)).unwrap();
        // A link that leads to the link.
        let _ = fs::remove_file(&second);
        symlink(&link, &second).unwrap();
        for link in [&link, &second] {
            file(&path, 0o644, None);
            let got = get(link);
            if follows {
                got.success();
                assert_eq!(fs::read(&path).unwrap(), b"new");
            } else {
                // Where the system's protection is on, it says so itself.
                got.fails(1, &["cannot write"]);
                assert_eq!(fs::read(&path).unwrap(), b"old");
            }
            assert!(link.is_symlink());
        }
    }
}

#[test]
fn nobody_else_can_read_data_while_it_comes_or_after_a_kill() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, &content(2, 8_000_000), &["--access", "r"]);
    for old_mode in [Some(0o600), Some(0o644), None] {
        let directory = directory(0o755);
        let path = directory.path().join("file");
        if let Some(mode) = old_mode {
            file(&path, mode, None);
        }
        // The link stops after 6 MB: more than the program keeps before it writes.
        let ((stopped, stops), (resume, resumes)) = (mpsc::channel(), mpsc::channel::<()>());
        let proxy = Proxy::start(server.address, Towards::Client, 6_000_000, move || {
            stopped.send(()).unwrap();
            let _ = resumes.recv();
            Then::Pass
        });
        let mut get = netswap(["get", &pointer, "--server", &proxy.address.to_string(), "-o"]);
        let mut get = Process::start(get.arg(&path));
        stops.recv().unwrap();
        let part = || temporary(directory.path()).into_iter().next();
        wait_until("data is written", || {
            part().is_some_and(|part| fs::metadata(part).unwrap().len() > 1_000_000)
        });
        let part = part().unwrap();
        assert_eq!(fs::metadata(&part).unwrap().mode() & 0o7777, 0o600, "{old_mode:?}");
        get.kill();
        assert_eq!(get.ended().0.code(), None);
        drop(resume);
        assert_eq!(fs::metadata(&part).unwrap().mode() & 0o7777, 0o600, "{old_mode:?}");
        assert_eq!(fs::read(&path).ok(), old_mode.map(|_| b"old".to_vec()));
    }
}

#[test]
fn a_new_file_has_what_the_umask_leaves() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"new", &[]);
    let directory = directory(0o755);
    for (mask, mode) in [("022", 0o644), ("077", 0o600), ("007", 0o660), ("000", 0o666)] {
        let path = directory.path().join(mask);
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0; exec \"$@\"", mask, env!("CARGO_BIN_EXE_netswap"), "get", &pointer]);
        command.args(["--server", &server.address.to_string(), "--bind", OWNER, "-o"]).arg(&path);
        run(&mut command).success();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode, "{mask}");
    }
}

#[test]
fn a_file_with_an_access_list_keeps_it() {
    const ACCESS_LIST: &str = "system.posix_acl_access";
    // Version 2; the owner may read and write, another user too, the group may not, and so others.
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, !0), (0x02, 6, OTHER_USER), (0x04, 0, !0), (0x10, 6, !0), (0x20, 0, !0)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
    }
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"new", &[]);
    let directory = directory(0o755);
    let path = directory.path().join("file");
    file(&path, 0o600, None);
    if let Err(error) = rustix::fs::setxattr(&path, ACCESS_LIST, &list, rustix::fs::XattrFlags::empty()) {
        eprintln!("SKIPPED: no access lists on this file system: {error}");
        return;
    }
    run(server.client(OWNER, &["get", &pointer, "-o"]).arg(&path)).success();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let mut now = vec![0; list.len() + 1];
    let len = rustix::fs::getxattr(&path, ACCESS_LIST, &mut now[..]).unwrap();
    assert_eq!(now[..len], list);
}
