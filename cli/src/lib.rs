//! The command line of smppmux: arguments, configuration, control core, simulators, demo.
#![forbid(unsafe_code)]

pub mod arguments;
mod check;
pub mod config;
mod exit;

use arguments::{Arguments, Command};
use std::process::ExitCode;

/// Runs the command line and returns the process's exit code (sysexits).
pub fn run() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let outcome = match &arguments.command {
        Command::Check(arguments) => check::check(arguments),
    };
    match outcome {
        Ok(output) => {
            print!("{output}");
            ExitCode::from(exit::OK)
        }
        Err(failure) => failure.report(),
    }
}
