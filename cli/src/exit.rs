//! Exit codes: the ones of sysexits(3) that this program uses, each in one place.

use std::fmt;
use std::process::ExitCode;

/// All went well.
pub(crate) const OK: u8 = 0;
/// The verdict of a demo is that something was lost, duplicated or left behind.
pub(crate) const FAILED: u8 = 1;
/// The arguments are wrong.
pub(crate) const USAGE: u8 = 64;
/// The data to work on is malformed.
pub(crate) const DATA: u8 = 65;
/// An input file does not exist or cannot be read.
pub(crate) const NO_INPUT: u8 = 66;
/// A port is taken, or the system lacks something that is needed.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Something failed that should not have.
pub(crate) const SOFTWARE: u8 = 70;
/// A file that was asked for cannot be written.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// The end came while something was still under way.
pub(crate) const UNFINISHED: u8 = 75;
/// Who asked may not do that.
pub(crate) const NO_PERMISSION: u8 = 77;
/// The configuration is wrong.
pub(crate) const CONFIGURATION: u8 = 78;

/// The end of a command that failed: its exit code, after its reason was told on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: u8,
    reason: String,
}

impl Failure {
    /// Why.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// A failure that ends the process with `code` (one of this module's constants).
    pub fn new(code: u8, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// The same, with the name of the command in front of its reason.
    pub(crate) fn told_by(self, command: &str) -> Self {
        Self::new(self.code, format!("{command}: {}", self.reason))
    }

    /// Writes the reason to standard error, each line as it is, and gives the process's exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason.trim_end())
    }
}
