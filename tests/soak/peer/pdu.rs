//! The few PDUs that the peers speak, written and read octet for octet: nothing of smppmux judges smppmux here.

use std::io::Write;

pub(crate) const GENERIC_NACK: u32 = 0x8000_0000;
pub(crate) const RESPONSE: u32 = 0x8000_0000;
pub(crate) const SUBMIT_SM: u32 = 0x4;
pub(crate) const DELIVER_SM: u32 = 0x5;
pub(crate) const UNBIND: u32 = 0x6;
pub(crate) const BIND_TRANSCEIVER: u32 = 0x9;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const INVALID_BIND_STATUS: u32 = 0x4;
pub(crate) const HEADER_OCTETS: usize = 16;
/// No peer of the soak sends more.
pub(crate) const PDU_MAX: usize = 1000;

const TOKEN_OCTETS: usize = 16;
const FILLER: &[u8; 64] = b"the soak with faults goes on and on, as messages do: 0123456789!";
const TEXT_OCTETS: usize = TOKEN_OCTETS + FILLER.len();
/// MO goes to so many addresses of each range.
const DESTINATIONS: u64 = 1000;
const NUMBER_MASK: u64 = (1 << 40) - 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) command: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
}

impl Header {
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let header = octets.first_chunk::<HEADER_OCTETS>()?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        Some(Self {
            length: word(0) as usize,
            command: word(4),
            status: word(8),
            sequence: word(12),
        })
    }
}

pub(crate) fn write(output: &mut Vec<u8>, command: u32, status: u32, sequence: u32, body: &[u8]) {
    let length = (HEADER_OCTETS + body.len()) as u32;
    for word in [length, command, status, sequence] {
        output.extend_from_slice(&word.to_be_bytes());
    }
    output.extend_from_slice(body);
}

pub(crate) const fn token(life: u16, route: u8, number: u64) -> u64 {
    (life as u64) << 48 | (route as u64) << 40 | number
}

pub(crate) fn hexadecimal(token: u64) -> [u8; TOKEN_OCTETS] {
    std::array::from_fn(|place| b"0123456789abcdef"[(token >> (60 - 4 * place) & 0xF) as usize])
}

/// The token in a message's text; 0, which nobody sends, where there is none.
pub(crate) fn token_in(body: &[u8]) -> u64 {
    let start = body.len().saturating_sub(TEXT_OCTETS);
    body.get(start..start + TOKEN_OCTETS)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

/// Appends the body of the message with this token, which is all the same for whoever sends and whoever checks it.
pub(crate) fn body(output: &mut Vec<u8>, command: u32, token: u64) {
    let (route, number) = (token >> 40 & 0xFF, token & NUMBER_MASK);
    let far = number % 1_000_000_000;
    let written = if command == SUBMIT_SM {
        write!(output, "\0\x01\x01888{route:02}\0\x01\x014477{far:09}\0")
    } else {
        let near = number % DESTINATIONS;
        write!(output, "\0\x01\x014477{far:09}\0\x01\x01888{route:02}{near:04}\0")
    };
    written.expect("memory takes it");
    output.extend_from_slice(&[0; 9]);
    output.push(TEXT_OCTETS as u8);
    output.extend_from_slice(&hexadecimal(token));
    output.extend_from_slice(FILLER);
}
