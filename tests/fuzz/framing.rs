//! Framing: however a stream is cut into pieces, the same PDUs come out of it, and a bad length at the same place.

use crate::input::Input;
use smppmux_engine::core::wire::{Frame, HEADER_OCTETS, next_frame};

/// What was found in a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    pdus: Vec<Vec<u8>>,
    bad_length: Option<u32>,
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let max_pdu_octets = [16, 64, 512, 81_920][input.below(4)];
    let piece_octets = 1 + input.below(64);
    let stream = input.rest();
    let mut whole = Found::default();
    let consumed = take_frames(stream, max_pdu_octets, &mut whole);
    assert!(consumed <= stream.len());

    let mut pieces = Found::default();
    let mut buffer = Vec::new();
    for piece in stream.chunks(piece_octets) {
        buffer.extend_from_slice(piece);
        let consumed = take_frames(&buffer, max_pdu_octets, &mut pieces);
        buffer.drain(..consumed);
        if pieces.bad_length.is_some() {
            break;
        }
    }
    assert_eq!(whole, pieces, "pieces of {piece_octets} octets");
}

fn take_frames(stream: &[u8], max_pdu_octets: u32, found: &mut Found) -> usize {
    let mut at = 0;
    loop {
        let rest = &stream[at..];
        match next_frame(rest, max_pdu_octets) {
            Frame::Pdu(pdu) => {
                let announced = rest.first_chunk().map(|octets| u32::from_be_bytes(*octets));
                assert_eq!(announced.map(|octets| octets as usize), Some(pdu.len()));
                assert!((HEADER_OCTETS..=max_pdu_octets as usize).contains(&pdu.len()));
                found.pdus.push(pdu.to_vec());
                at += pdu.len();
            }
            Frame::Incomplete { missing_octets } => {
                assert!(missing_octets > 0 && missing_octets <= max_pdu_octets as usize);
                return at;
            }
            Frame::BadLength { command_length } => {
                assert!(command_length < HEADER_OCTETS as u32 || command_length > max_pdu_octets);
                found.bad_length = Some(command_length);
                return at;
            }
        }
    }
}
