//! A wall clock that can be stepped, for one process: a small library that is loaded before the C library.
//!
//! Only CLOCK_REALTIME and its relatives are changed; CLOCK_MONOTONIC and the kernel's own timers are as they were, which
//! is what happens when an operator or NTP steps a host's clock.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::failure::{Outcome, fail};

const SOURCE: &str = include_str!("stepped_clock.c");

/// The library, and the file that says how far the clock is off.
#[derive(Debug)]
pub(crate) struct Clock {
    folder: TempDir,
}

impl Clock {
    /// Builds it with the C compiler.
    pub(crate) fn build() -> Outcome<Self> {
        let Ok(folder) = TempDir::new() else {
            return fail("no temporary folder");
        };
        let clock = Self { folder };
        clock.step_to(0)?;
        let source = clock.path("stepped_clock.c");
        if std::fs::write(&source, SOURCE).is_err() {
            return fail("the temporary folder takes no file");
        }
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.path("stepped_clock.so"))
            .arg(&source)
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(clock),
            Ok(output) => fail(format!(
                "cc does not build the stepped clock: {}",
                String::from_utf8_lossy(&output.stderr)
            )),
            Err(error) => fail(format!("the stepped clock needs a C compiler: {error}")),
        }
    }

    /// From now on the wall clock is off by so many seconds.
    pub(crate) fn step_to(&self, offset_s: i64) -> Outcome {
        match std::fs::write(self.path("offset"), offset_s.to_string()) {
            Ok(()) => Ok(()),
            Err(error) => fail(format!("the clock cannot be stepped: {error}")),
        }
    }

    /// What the process must be started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.path("stepped_clock.so").into()),
            ("STEPPED_CLOCK_OFFSET_FILE", self.path("offset").into()),
        ]
    }

    /// The wall clock as a process under it sees it.
    pub(crate) fn seen_by_a_process(&self) -> Outcome<i64> {
        let output = Command::new("date").arg("+%s").envs(self.environment()).output();
        let seconds = output
            .ok()
            .and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
        seconds.map_or_else(|| fail("`date` does not run under the stepped clock"), Ok)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
