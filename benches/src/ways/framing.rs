//! Framing: where one PDU ends and the next begins, as the engine reads it.

use crate::pdus::message;
use crate::way::{BATCH_MESSAGES, Way};
use smppmux_engine::core::wire::{CommandId, Frame, Header, next_frame};
use std::hint::black_box;

const MAX_PDU_OCTETS: u32 = 81_920;

/// How the octets come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// All PDUs in one.
    Whole,
    /// Each ends in the middle of a PDU, but for the last. The rest stays where it is: moving it is the shell's part.
    Split,
}

/// submit_sms, one behind the other.
pub(super) struct Framing {
    stream: Vec<u8>,
    /// Where each read ends.
    reads: Vec<usize>,
}

impl Framing {
    pub(super) fn new(reads: Reads) -> Self {
        let pdu = message(CommandId::SUBMIT_SM);
        let stream = pdu.repeat(BATCH_MESSAGES as usize);
        let middles = (0..BATCH_MESSAGES as usize).map(|at| at * pdu.len() + pdu.len() / 2);
        let ends = middles.filter(|_| reads == Reads::Split).chain([stream.len()]);
        Self {
            reads: ends.collect(),
            stream,
        }
    }

    /// Finds all PDUs: how many there were, and how often one was incomplete.
    fn frame(&self) -> (u32, u32) {
        let (mut at, mut found, mut incomplete) = (0, 0, 0);
        for end in &self.reads {
            loop {
                match next_frame(&self.stream[at..*end], MAX_PDU_OCTETS) {
                    Frame::Pdu(pdu) => {
                        at += pdu.len();
                        found += u32::from(black_box(Header::read(pdu)).is_some());
                    }
                    Frame::Incomplete { .. } if at == *end => break,
                    Frame::Incomplete { missing_octets } => {
                        black_box(missing_octets);
                        incomplete += 1;
                        break;
                    }
                    Frame::BadLength { command_length } => panic!("{command_length} octets are too many"),
                }
            }
        }
        (found, incomplete)
    }
}

impl Way for Framing {
    fn run(&mut self) {
        assert_eq!(self.frame().0, BATCH_MESSAGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every PDU is found, split or not, and each was incomplete once where it came in two halves.
    #[test]
    fn every_pdu_is_found() {
        assert_eq!(Framing::new(Reads::Whole).frame(), (BATCH_MESSAGES, 0));
        assert_eq!(
            Framing::new(Reads::Split).frame(),
            (BATCH_MESSAGES, BATCH_MESSAGES)
        );
    }
}
