//! Interoperability: programs that nobody here wrote, through smppmux to two SMSCs, by the script beside this file.
//!
//! Where those programs are not installed the test says so and passes, except in CI (`CI=true`), where the script
//! installs them and a missing one is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What `run --missing` exits with when something is missing.
const EXIT_MISSING: i32 = 77;

fn main() -> ExitCode {
    if !is_asked_for() {
        return ExitCode::SUCCESS;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/run");
    if !in_ci()
        && let Some(missing) = missing_programs(&script)
    {
        println!("interop: skipped, because these are not installed:\n{missing}");
        println!("`{} --install` installs them.", script.display());
        return ExitCode::SUCCESS;
    }
    let status = Command::new(&script)
        .arg("--smppmux")
        .arg(smppmux_under_test())
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("interop: the script ended with {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("interop: {} cannot be run: {error}", script.display());
            ExitCode::FAILURE
        }
    }
}

/// Whether the filters of `cargo test`, if there are any, let this test run.
fn is_asked_for() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("interop: test");
        return false;
    }
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    filters.peek().is_none() || filters.any(|filter| "interop".contains(filter.as_str()))
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// The program that cargo built for these tests.
fn smppmux_under_test() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_smppmux-under-test"))
}

/// What the script says is missing, or why it could not say; none when all is there.
fn missing_programs(script: &Path) -> Option<String> {
    match Command::new(script).arg("--missing").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) if output.status.code() == Some(EXIT_MISSING) => {
            Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        }
        Ok(output) => Some(format!("the script ended with {}", output.status)),
        Err(error) => Some(format!("the script cannot be run: {error}")),
    }
}
