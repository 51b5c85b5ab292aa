//! The load of `benches/side-by-side/run`: ESMEs and two SMSCs in one thread, as cheap as they can be, with a proxy between
//! them. The bundled simulators check more, and cost several times what a TCP proxy does; in front of one they would be
//! what is measured.
//!
//! ```text
//! load [target=ADDRESS]… smsc=ADDRESS… connections=N window=N seconds=N [warm-up=N] [rate=N] [kind=mt|mo|receipts|concatenated|idle] [accounts=N] [range=empty] [tls-ca=FILE]
//! ```
//!
//! Without a target the ESMEs connect to the SMSCs themselves. It says `listening`, waits for a line `go PID…` with the
//! processes between, loads them, and prints one line of JSON: what was answered in the measured time, the response times,
//! and what the processes' trees used meanwhile. Every answer is checked: its command, status, and that its request waits
//! for it. Exit code 1 when anything was wrong.
//!
//! The ESMEs keep their windows full (closed loop), or send on a fixed schedule with `rate` (open loop; a message that finds its
//! window full is sent when there is room, and its time counts from the schedule).

mod arguments;
mod esme;
mod figures;
mod pdu;
mod processes;
mod smsc;
mod socket;
mod tls;
mod turn;
mod window;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::Arguments;
use turn::Load;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => match run(arguments) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("load: {error}");
                ExitCode::FAILURE
            }
        },
        Err(reason) => {
            eprintln!("load: {reason}");
            ExitCode::from(64)
        }
    }
}

/// Whether nothing was wrong.
fn run(arguments: Arguments) -> io::Result<bool> {
    let mut load = Load::listen(arguments)?;
    println!("listening");
    io::stdout().flush()?;
    let processes = load.serve_until_go()?;
    load.connect()?;
    let report = load.measure(&processes)?;
    println!("{report}");
    Ok(report.is_clean())
}
