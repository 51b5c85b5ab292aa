//! Runs the wire layer's part of a message's way a given number of times, for an instruction counter.
//!
//! ```text
//! cargo build --release -p smppmux-benches --bin wire-instructions
//! for rounds in 1000 11000; do valgrind --tool=callgrind target/release/wire-instructions walk $rounds; done
//! ```
//!
//! The difference of the two counts, divided by 10,000, is what one message costs, free of start-up.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Body, CommandId, Concatenation, Frame, Message, MessageView, PduWriter, Status, Tag, next_frame,
};

const MAX_PDU_OCTETS: u32 = 81_920;

/// What is done with each message.
type Step = fn(&[u8]) -> usize;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let step: Option<(Step, bool)> = match arguments.next().as_deref() {
        Some("walk") => Some((walk, false)),
        Some("walk-tlvs") => Some((walk, true)),
        Some("segment") => Some((walk_and_find_segment, false)),
        Some("segment-tlvs") => Some((walk_and_find_segment, true)),
        _ => None,
    };
    let rounds = arguments.next().and_then(|rounds| rounds.parse::<u32>().ok());
    let (Some((step, has_tlvs)), Some(rounds)) = (step, rounds) else {
        eprintln!("usage: wire-instructions walk|walk-tlvs|segment|segment-tlvs ROUNDS");
        return ExitCode::from(64);
    };
    let pdu = submit_sm(has_tlvs);
    let mut found_octets = 0;
    for _ in 0..rounds {
        found_octets += step(black_box(&pdu));
    }
    println!("{} octets, {found_octets} found in {rounds} rounds", pdu.len());
    ExitCode::SUCCESS
}

/// A submit_sm of 214 octets, or of 206 with three SAR TLVs among them.
fn submit_sm(has_tlvs: bool) -> BytesMut {
    let addr = |addr| Address { ton: 1, npi: 1, addr };
    let mut buffer = BytesMut::new();
    let mut pdu = PduWriter::begin(&mut buffer, CommandId::SUBMIT_SM, Status::ESME_ROK, 1);
    Message {
        source: addr(b"447700900123"),
        destination: addr(b"447700900456"),
        registered_delivery: 1,
        short_message: if has_tlvs { &[b'a'; 133] } else { &[b'a'; 157] },
        ..Message::default()
    }
    .write_to(&mut pdu);
    if has_tlvs {
        pdu.tlv(Tag::SAR_MSG_REF_NUM, &[1, 2])
            .tlv(Tag::SAR_TOTAL_SEGMENTS, &[2])
            .tlv(Tag::SAR_SEGMENT_SEQNUM, &[1]);
    }
    pdu.finish().expect("the message fits");
    buffer
}

/// Framing and the one walk over the fields: every forwarded message pays for this.
#[inline(never)]
fn walk(stream: &[u8]) -> usize {
    let Frame::Pdu(pdu) = next_frame(stream, MAX_PDU_OCTETS) else {
        return 0;
    };
    MessageView::parse(pdu).map_or(0, |view| black_box(view).destination_addr_range().len())
}

/// The same, and the question whether the message is a segment.
#[inline(never)]
fn walk_and_find_segment(stream: &[u8]) -> usize {
    let Frame::Pdu(pdu) = next_frame(stream, MAX_PDU_OCTETS) else {
        return 0;
    };
    MessageView::parse(pdu).map_or(0, |view| match Concatenation::of_message(black_box(&view)) {
        Some(segment) => segment.total.into(),
        None => view.destination_addr_range().len(),
    })
}
