//! What a test leaves out because this machine lacks something: it is said where the harness cannot hide it.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Where the environment names a file for these lines too, so that a script can count them.
const FILE_VARIABLE: &str = "SMPPMUX_NOT_CHECKED";

/// Says on the standard error of the process that something was not checked, and why.
///
/// The harness shows what a passed test prints only when it is asked to; this it does not catch.
pub fn not_checked(what: &str, reason: &str) {
    let line = format!("NOT CHECKED: {what}: {reason}\n");
    // Nobody listens: then there is nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = env::var_os(FILE_VARIABLE) {
        // In one piece, since several tests may write at once.
        let written = OpenOptions::new().create(true).append(true).open(path);
        let _ = written.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// The same for what CI installs: there it must not be missing.
///
/// # Panics
///
/// Where `CI=true`.
pub fn not_checked_unless_ci(what: &str, reason: &str) {
    let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci, "{what}: {reason}, and CI installs it");
    not_checked(what, reason);
}
