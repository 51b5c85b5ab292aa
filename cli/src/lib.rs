//! The command line of smppmux: arguments, configuration, control core, simulators, demo.
#![forbid(unsafe_code)]

/// Runs the command line and returns the process's exit code (sysexits).
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::from(64)
}
