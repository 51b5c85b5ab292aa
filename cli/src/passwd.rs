//! `smppmux passwd`: makes the hash of a password, for `password-hash` under `[[client]]`.
//!
//! The password comes from the terminal, without being shown, or from standard input; never from the command line, where every
//! user of the host could read it. Only the hash is written.

use crate::arguments::PasswdArguments;
use crate::exit::{self, Failure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use smppmux_engine::core::secret::Secret;
use smppmux_engine::shell::{HashCost, hash_password};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Stdin};

/// Octets of a password at most, as an ESME may send it.
const PASSWORD_OCTETS_MAX: usize = 63;

/// Reads a password and gives the line with its hash.
///
/// # Errors
///
/// Exit code 65 when there is no password or it cannot be one, 66 when it cannot be read, 64 for a cost out of bounds.
pub(crate) fn passwd(arguments: &PasswdArguments) -> Result<String, Failure> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        ask(&stdin)?
    } else {
        read_line(&stdin)?
    };
    check(&password)?;
    let cost = HashCost {
        memory_kib: arguments.memory_kib,
        passes: arguments.passes,
    };
    hash_password(&Secret::new(&password), cost)
        .map(|hash| hash + "\n")
        .map_err(|error| Failure::new(exit::USAGE, format!("smppmux passwd: {error}")))
}

/// Twice, since nobody sees what is typed.
fn ask(stdin: &Stdin) -> Result<String, Failure> {
    let hidden = Hidden::start(stdin)?;
    eprint!("Password: ");
    let first = read_line(stdin)?;
    eprint!("\nThe same again: ");
    let second = read_line(stdin)?;
    eprintln!();
    drop(hidden);
    if first == second {
        Ok(first)
    } else {
        Err(wrong("the two are not the same"))
    }
}

fn read_line(stdin: &Stdin) -> Result<String, Failure> {
    let mut line = String::new();
    let limit = u64::try_from(PASSWORD_OCTETS_MAX + 2).unwrap_or(u64::MAX);
    stdin.lock().take(limit).read_line(&mut line).map_err(|error| {
        Failure::new(
            exit::NO_INPUT,
            format!("smppmux passwd: the password cannot be read: {error}"),
        )
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn check(password: &str) -> Result<(), Failure> {
    if password.is_empty() {
        return Err(wrong("the password is empty"));
    }
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(wrong("the password has more than 63 octets"));
    }
    if password.contains('\0') {
        return Err(wrong("the password holds a NUL, which ends a text in SMPP"));
    }
    Ok(())
}

fn wrong(words: &str) -> Failure {
    Failure::new(exit::DATA, format!("smppmux passwd: {words}"))
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Hidden<'s> {
    stdin: &'s Stdin,
    before: Termios,
}

impl<'s> Hidden<'s> {
    fn start(stdin: &'s Stdin) -> Result<Self, Failure> {
        let no_terminal = |error| {
            Failure::new(
                exit::NO_INPUT,
                format!("smppmux passwd: the terminal cannot be asked to hide the password: {error}"),
            )
        };
        let before = tcgetattr(stdin).map_err(no_terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Flush, &silent).map_err(no_terminal)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(self.stdin, OptionalActions::Flush, &self.before);
    }
}
