//! What a test leaves out because this machine lacks something: it is said where the harness cannot hide it.

use std::io::Write as _;

/// Says on the standard error of the process that something was not checked, and why.
///
/// The harness shows what a passed test prints only when it is asked to; this it does not catch.
pub fn not_checked(what: &str, reason: &str) {
    // Nobody listens: then there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}: {reason}");
}

/// The same for what CI installs: there it must not be missing.
///
/// # Panics
///
/// Where `CI=true`.
pub fn not_checked_unless_ci(what: &str, reason: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci, "{what}: {reason}, and CI installs it");
    not_checked(what, reason);
}
