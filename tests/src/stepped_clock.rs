//! A wall clock that can be stepped, for one process: a small library that is loaded before the C library.
//!
//! Only CLOCK_REALTIME and its relatives are changed; CLOCK_MONOTONIC and the kernel's own timers are as they were, which
//! is what happens when an operator or NTP steps a host's clock.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = include_str!("stepped_clock.c");

/// The library, and the file that says how far the clock is off.
#[derive(Debug)]
pub struct SteppedClock {
    folder: TempDir,
}

impl SteppedClock {
    /// Builds it with the C compiler.
    ///
    /// # Errors
    ///
    /// What is missing, in words.
    pub fn build() -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        let clock = Self { folder };
        clock.step_to(0)?;
        let source = clock.path("stepped_clock.c");
        fs::write(&source, SOURCE).map_err(|error| format!("the temporary folder takes no file: {error}"))?;
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.path("stepped_clock.so"))
            .arg(&source)
            .output()
            .map_err(|error| format!("the stepped clock needs a C compiler: {error}"))?;
        if output.status.success() {
            Ok(clock)
        } else {
            let complaints = String::from_utf8_lossy(&output.stderr);
            Err(format!("cc does not build the stepped clock: {complaints}"))
        }
    }

    /// From now on the wall clock is off by so many seconds.
    ///
    /// # Errors
    ///
    /// When the file that says it cannot be written.
    pub fn step_to(&self, offset_s: i64) -> Result<(), String> {
        let written = fs::write(self.path("offset"), offset_s.to_string());
        written.map_err(|error| format!("the clock cannot be stepped: {error}"))
    }

    /// What the process must be started with.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.path("stepped_clock.so").into()),
            ("STEPPED_CLOCK_OFFSET_FILE", self.path("offset").into()),
        ]
    }

    /// The wall clock as a process under it sees it, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// When `date` does not run under it.
    pub fn seen_by_a_process(&self) -> Result<i64, String> {
        let output = Command::new("date").arg("+%s").envs(self.environment()).output();
        let seconds = output
            .ok()
            .and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok());
        seconds.ok_or_else(|| "`date` does not run under the stepped clock".to_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
