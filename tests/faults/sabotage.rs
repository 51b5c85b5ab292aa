//! What spoils the surroundings of one process: a script that starts it under other limits, and a library that lets calls fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::PROGRAM;

/// Calls that fail as long as a file exists: fsync and fdatasync with EIO.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) {
    const char *file = getenv("SABOTAGE_SYNC");
    return file && access(file, F_OK) == 0;
}

int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return (int)syscall(SYS_fdatasync, fd);
}
"#;

/// Where the script and the library are, for as long as this lives.
pub(crate) struct Sabotage {
    pub(crate) folder: TempDir,
}

impl Sabotage {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that runs these lines of shell and then becomes smppmux.
    pub(crate) fn program(&self, lines: &str) -> PathBuf {
        self.script(&format!("{lines}\nexec {PROGRAM} \"$@\""))
    }

    /// The same in a mount namespace of its own, so that what is mounted there is nobody else's.
    pub(crate) fn program_with_mounts(&self, lines: &str) -> PathBuf {
        self.script(&format!(
            "exec unshare --mount sh -c 'set -e; {lines}; exec {PROGRAM} \"$@\"' sh \"$@\""
        ))
    }

    fn script(&self, lines: &str) -> PathBuf {
        let path = self.path("smppmux-in-trouble");
        fs::write(&path, format!("#!/bin/sh\nset -e\n{lines}\n")).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        path
    }

    /// The library, for `LD_PRELOAD`; `None` where there is no C compiler.
    pub(crate) fn library(&self) -> Option<PathBuf> {
        let (source, library) = (self.path("sabotage.c"), self.path("sabotage.so"));
        fs::write(&source, LIBRARY).expect("the folder is ours");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .status();
        compiled.is_ok_and(|status| status.success()).then_some(library)
    }
}

/// Whether a command may be run here, which tells whether the kernel and our rights allow what it does.
pub(crate) fn is_allowed(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Touches a file.
pub(crate) fn switch_on(file: &Path) {
    fs::write(file, "").expect("the folder is ours");
}
