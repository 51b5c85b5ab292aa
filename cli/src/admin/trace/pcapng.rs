//! Traced PDUs as a capture that Wireshark opens (pcapng, draft-ietf-opsawg-pcapng).
//!
//! The PDUs stand in TCP over IPv4 that is made up: one stream for each connection, smppmux at 192.0.2.1, its peers at
//! 198.18.0.1, the side that is the message centre at port 2775, which Wireshark takes for SMPP. Sequence numbers run on
//! without a gap, so a PDU that needs several packets is put together again.

use super::Traced;
use smppmux_engine::core::contract::{ConnectionId, TraceSubject};
use std::collections::{HashMap, VecDeque};
use std::time::UNIX_EPOCH;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Raw IP.
const LINK_TYPE_RAW: u16 = 101;
/// if_tsresol: nanoseconds.
const NANOSECONDS: [u8; 8] = [9, 0, 1, 0, 9, 0, 0, 0];

const IP_OCTETS: usize = 20;
const TCP_OCTETS: usize = 20;
/// Octets of a PDU in one packet at most.
const SEGMENT_OCTETS_MAX: usize = 32 * 1024;

const OURS: [u8; 4] = [192, 0, 2, 1];
const THEIRS: [u8; 4] = [198, 18, 0, 1];
const SMPP_PORT: u16 = 2775;
/// Ports that no protocol is known by.
const FIRST_PORT: u16 = 49_152;
const PORTS: usize = 16_384;

/// What the file begins with.
pub(super) fn head() -> Vec<u8> {
    let mut head = Vec::new();
    // Byte order, version 1.0, no length of the section.
    let mut section = vec![0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0];
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    append_block(&mut head, SECTION_HEADER, &section);
    let mut interface = LINK_TYPE_RAW.to_le_bytes().to_vec();
    interface.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    interface.extend_from_slice(&NANOSECONDS);
    // opt_endofopt
    interface.extend_from_slice(&[0; 4]);
    append_block(&mut head, INTERFACE_DESCRIPTION, &interface);
    head
}

fn append_block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padding = body.len().wrapping_neg() % 4;
    let length = (12 + body.len() + padding) as u32;
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(body);
    file.extend_from_slice(&[0; 3][..padding]);
    file.extend_from_slice(&length.to_le_bytes());
}

/// The streams of the connections so far, one for each port at most: then the connection that came first gives its stream to a
/// new one, whose octets go on behind.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    streams: HashMap<Subject, Stream>,
    /// The connections as they came.
    order: VecDeque<Subject>,
}

/// An engine and its connection.
type Subject = (u16, ConnectionId);

#[derive(Clone, Copy, Debug)]
struct Stream {
    port: u16,
    /// Octets sent so far by the peer, and by us.
    sent: [u32; 2],
}

impl Pcapng {
    pub(super) fn write(&mut self, traced: &Traced) -> Vec<u8> {
        let pdus = &traced.pdus;
        let stream = self.stream((traced.core.0, pdus.connection));
        let is_client = matches!(pdus.subject, TraceSubject::Client(_));
        let (our_port, their_port) = if is_client {
            (SMPP_PORT, stream.port)
        } else {
            (stream.port, SMPP_PORT)
        };
        let ends = if pdus.is_received {
            [(THEIRS, their_port), (OURS, our_port)]
        } else {
            [(OURS, our_port), (THEIRS, their_port)]
        };
        let (from, to) = if pdus.is_received { (0, 1) } else { (1, 0) };
        let since = traced.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let mut file = Vec::new();
        for segment in pdus.octets.chunks(SEGMENT_OCTETS_MAX) {
            let packet = packet(ends, (stream.sent[from], stream.sent[to]), segment);
            stream.sent[from] = stream.sent[from].wrapping_add(segment.len() as u32);
            let mut body = vec![0; 4];
            body.extend_from_slice(&((at >> 32) as u32).to_le_bytes());
            body.extend_from_slice(&(at as u32).to_le_bytes());
            body.extend_from_slice(&(packet.len() as u32).to_le_bytes());
            body.extend_from_slice(&(packet.len() as u32).to_le_bytes());
            body.extend_from_slice(&packet);
            append_block(&mut file, ENHANCED_PACKET, &body);
        }
        file
    }

    fn stream(&mut self, subject: Subject) -> &mut Stream {
        let mut stream = Stream {
            port: FIRST_PORT.saturating_add(self.streams.len() as u16),
            sent: [1, 1],
        };
        if !self.streams.contains_key(&subject) {
            if self.streams.len() >= PORTS
                && let Some(first) = self.order.pop_front()
                && let Some(first) = self.streams.remove(&first)
            {
                stream = first;
            }
            self.order.push_back(subject);
        }
        self.streams.entry(subject).or_insert(stream)
    }
}

/// IPv4 and TCP (RFC 791 section 3.1, RFC 9293 section 3.1) with an octet string.
fn packet(ends: [([u8; 4], u16); 2], (sequence, acknowledged): (u32, u32), segment: &[u8]) -> Vec<u8> {
    let [(source, source_port), (destination, destination_port)] = ends;
    let length = (IP_OCTETS + TCP_OCTETS + segment.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    // No fragments, time to live 64, TCP, checksum to come.
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(&source_port.to_be_bytes());
    packet.extend_from_slice(&destination_port.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&acknowledged.to_be_bytes());
    // Five words of header, PSH and ACK, the widest window, no checksum, nothing urgent.
    packet.extend_from_slice(&[0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend_from_slice(segment);
    packet
}

/// The internet checksum (RFC 1071) of an even number of octets.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum >> 16) + (sum & 0xFFFF);
    !((sum + (sum >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the checksum is that of the example in RFC 1071 section 3, complemented.
    #[test]
    fn the_checksum_is_right() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]),
            !0xDDF2
        );
    }

    /// Goal: however many connections are traced, there is a stream for each port and no more, and the last has one of its own.
    #[test]
    fn streams_are_bounded() {
        let mut capture = Pcapng::default();
        let connection = |index| {
            let id = ConnectionId { index, generation: 0 };
            (0, id)
        };
        let ports = PORTS as u32;
        for index in 0..ports + 3 {
            capture.stream(connection(index)).sent[0] += 10;
        }
        assert_eq!((capture.streams.len(), capture.order.len()), (PORTS, PORTS));
        assert!(!capture.streams.contains_key(&connection(2)));
        let [newest, oldest] = [ports + 2, 3].map(|index| *capture.stream(connection(index)));
        assert_eq!((newest.port, newest.sent[0]), (FIRST_PORT + 2, 21));
        assert_eq!((oldest.port, oldest.sent[0]), (FIRST_PORT + 3, 11));
    }

    /// Goal: a block's length is said at both ends and is a multiple of four.
    #[test]
    fn blocks_are_padded() {
        for octets in 0..9 {
            let mut file = Vec::new();
            append_block(&mut file, 6, &vec![7; octets]);
            assert_eq!(file.len() % 4, 0);
            let length = (file.len() as u32).to_le_bytes();
            assert_eq!((&file[4..8], &file[file.len() - 4..]), (&length[..], &length[..]));
        }
    }
}
