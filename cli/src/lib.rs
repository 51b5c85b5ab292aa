//! The command line of smppmux: arguments, configuration, control core, simulators, demo.
#![forbid(unsafe_code)]

pub mod admin;
pub mod arguments;
mod calendar;
mod check;
mod completions;
pub mod config;
mod ctl;
pub mod demo;
mod exit;
mod hexadecimal;
mod logging;
mod message_log;
mod passwd;
mod pdu;
mod route;
mod serve;
pub mod simulator;
mod style;
mod top;

use arguments::{Arguments, Command, PduCommand};
use exit::Failure;
use std::io::Write as _;
use std::process::ExitCode;

/// Runs the command line and returns the process's exit code (sysexits).
pub fn run() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match execute(arguments.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    let outcome = match command {
        Command::Demo(arguments) => return demo::demo(&arguments),
        Command::Esme(arguments) => return Ok(simulator::esme::run_esme(*arguments)),
        Command::Smsc(arguments) => return Ok(simulator::smsc::run_smsc(*arguments)),
        Command::Serve(arguments) => serve::serve(*arguments),
        Command::Route(arguments) => route::explain(&arguments).map(|lines| print(&lines)),
        Command::Check(arguments) => check::check(&arguments).map(|lines| print(&lines)),
        Command::Passwd(arguments) => passwd::passwd(&arguments).map(|hash| print(&hash)),
        Command::Ctl(arguments) => ctl::ctl(&arguments),
        Command::Top(target) => top::top(&target),
        Command::Completions { shell } => {
            print(&completions::completions(shell));
            Ok(())
        }
        Command::Man { folder } => completions::write_manual(&folder),
        Command::Pdu(PduCommand::Decode { hex }) => {
            let decoded = pdu::decode(&hex);
            print(&decoded.output);
            decoded.failure.map_or(Ok(()), Err)
        }
        Command::Pdu(PduCommand::Explain { word }) => pdu::explain(&word).map(|lines| print(&lines)),
    };
    outcome.map(|()| ExitCode::from(exit::OK))
}

/// Writes to standard output; a reader that has gone away wants no more, which is no failure of ours.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
