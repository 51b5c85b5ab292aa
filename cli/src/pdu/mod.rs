//! `smppmux pdu`: shows PDUs field by field, and explains names and numbers of SMPP.

pub(crate) mod characters;
mod content;
mod explain;
mod hex;
mod table;

use crate::exit::{self, Failure};
use smppmux_engine::core::wire::{
    Acceptance, Fault, Frame, HEADER_OCTETS, Header, Version, next_frame, validate, visit_fields,
};
use std::fmt::Write as _;
use std::io::Read as _;

pub(crate) use explain::explain;

/// Larger input is no PDU, nor a sensible number of them.
const INPUT_OCTETS_MAX: u64 = 16 << 20;

/// What there is to show, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// For standard output.
    pub(crate) output: String,
    /// The reason for an exit code other than 0.
    pub(crate) failure: Option<Failure>,
}

/// Decodes the PDUs that the words hold, or standard input for a single "-".
pub(crate) fn decode(words: &[String]) -> Decoded {
    let text = match words {
        [only] if only == "-" => match standard_input() {
            Ok(text) => text,
            Err(failure) => return failed(failure),
        },
        words => words.join(" "),
    };
    match hex::octets(&text) {
        Ok(octets) => decode_octets(&octets),
        Err(error) => failed(Failure::new(exit::DATA, error.to_string())),
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(INPUT_OCTETS_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(exit::NO_INPUT, format!("standard input: {error}")))?;
    Ok(text)
}

fn failed(failure: Failure) -> Decoded {
    Decoded {
        output: String::new(),
        failure: Some(failure),
    }
}

/// Shows one PDU after the other, until the end or the first that cannot be framed.
pub(crate) fn decode_octets(octets: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut at = 0;
    while at < octets.len() || at == 0 {
        let rest = &octets[at..];
        match next_frame(rest, u32::MAX) {
            Frame::Pdu(pdu) => {
                decoded.show(pdu, at);
                at += pdu.len();
            }
            Frame::Incomplete { .. } | Frame::BadLength { .. } => {
                decoded.show_broken_frame(rest, at);
                break;
            }
        }
    }
    decoded
}

impl Decoded {
    /// Shows a framed PDU; `at` is where it starts in the input.
    fn show(&mut self, pdu: &[u8], at: usize) {
        if at > 0 {
            self.output.push('\n');
        }
        let mut table = table::Table::new(at);
        let mut end = 0;
        let mut first_fault = None;
        let outcome = visit_fields(pdu, &mut |field| {
            if let Some(fault) = field.fault {
                first_fault.get_or_insert((field.range.start, fault));
            }
            end = field.range.end;
            table.add(pdu, &field);
        });
        if let Err(fault) = outcome {
            first_fault.get_or_insert((end, fault));
            table.add_rest(pdu, end);
        }
        self.output += &table.finish(pdu);
        self.output += &content::describe(pdu);
        let acceptance = Acceptance {
            vendor_commands: true,
            ..Acceptance::of(Version::V50)
        };
        let fault = first_fault.or_else(|| validate(pdu, &acceptance).err().map(|fault| (0, fault)));
        if let Some((offset, fault)) = fault {
            self.fail(pdu, at + offset, &fault);
        }
    }

    fn show_broken_frame(&mut self, rest: &[u8], at: usize) {
        let reason = match rest.first_chunk() {
            None => format!("{} octets are no command_length, which has 4", rest.len()),
            Some(length) => match u32::from_be_bytes(*length) as usize {
                claimed if claimed < HEADER_OCTETS => {
                    format!(
                        "command_length is {claimed}, but a header alone has {HEADER_OCTETS} octets (ESME_RINVCMDLEN)"
                    )
                }
                claimed => format!(
                    "command_length is {claimed}, but there are only {} octets",
                    rest.len()
                ),
            },
        };
        self.set_failure(format!("octet {at}: {reason}"));
        // What is there may still help to see what happened.
        if let Some(header) = Header::read(rest) {
            let mut table = table::Table::new(at);
            let mut end = 0;
            // The frame's fault has been told; the fields up to the end of the input are what is left to
            // show.
            let _ = visit_fields(rest, &mut |field| {
                end = field.range.end;
                table.add(rest, &field);
            });
            table.add_rest(rest, end);
            self.output += &table.finish(rest);
            let _ = writeln!(
                self.output,
                "(cut off: {} of {} octets)",
                rest.len(),
                header.command_length
            );
        }
    }

    fn fail(&mut self, pdu: &[u8], offset: usize, fault: &Fault) {
        let mut reason = format!("octet {offset}: {fault}");
        if let Some(meaning) = fault.status.meaning() {
            let _ = write!(reason, ": {meaning}");
        }
        if let Some(reply) = Header::read(pdu).and_then(|header| fault.reply(&header)) {
            let _ = write!(
                reason,
                "\nthe answer to it is {} with {}",
                reply.command_id, reply.command_status
            );
        }
        self.set_failure(reason);
    }

    fn set_failure(&mut self, reason: String) {
        self.failure.get_or_insert(Failure::new(exit::DATA, reason));
    }
}

#[cfg(test)]
mod tests;
