//! `soak-peer`: an SMSC or a group of ESMEs for the soak with faults, a process that may be stopped or killed at any time.
//!
//! Started by `tests/soak/run`. It sends at a pace, answers, comes back when a session was lost, and writes down what it sent
//! and got; `ledger.py` says in which form, and what is written before what. Commands come on standard input, a line each:
//! `cut` ends a session without a word, `quiet` ends the sending, `end` unbinds and exits.

mod answering;
mod pdu;
mod peer;
mod records;
mod session;
mod settings;

use std::io::BufRead;
use std::sync::mpsc;

use peer::Peer;
use settings::Settings;

fn main() {
    let settings = match Settings::read(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("{problem}");
            std::process::exit(64);
        }
    };
    let (commands, inbox) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if commands.send(line).is_err() {
                return;
            }
        }
    });
    if let Err(problem) = Peer::new(settings).and_then(|mut peer| peer.run(&inbox)) {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}
