//! Framing: where one PDU ends and the next begins in a byte stream.
//!
//! Owns nothing; looks at the first four octets and hands out a slice. It must never allocate or wait for a length
//! that was only claimed: a length outside the limits ends the stream (SMPP has no resynchronisation).

use super::HEADER_OCTETS;

/// What stands at the front of a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One whole PDU; the stream goes on behind it.
    Pdu(&'a [u8]),
    /// More octets are needed: `missing_octets` at the least (a guess of the header's size until the length is known).
    Incomplete {
        /// How many octets must still arrive before this call can say more.
        missing_octets: usize,
    },
    /// command_length is below a header or above the ceiling; framing is lost for good (ESME_RINVCMDLEN, then close).
    BadLength {
        /// The length that was claimed.
        command_length: u32,
    },
}

/// Looks for one PDU at the front of `stream`; `max_pdu_octets` is the largest command_length to accept.
#[inline]
pub fn next_frame(stream: &[u8], max_pdu_octets: u32) -> Frame<'_> {
    let Some(length_field) = stream.first_chunk::<4>() else {
        return Frame::Incomplete {
            missing_octets: HEADER_OCTETS - stream.len(),
        };
    };
    let command_length = u32::from_be_bytes(*length_field);
    if command_length < HEADER_OCTETS as u32 || command_length > max_pdu_octets {
        return Frame::BadLength { command_length };
    }
    let octets = command_length as usize;
    match stream.get(..octets) {
        Some(pdu) => Frame::Pdu(pdu),
        None => Frame::Incomplete {
            missing_octets: octets - stream.len(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 81_920;

    /// Goal: every prefix of a PDU is incomplete, the PDU itself is found, and what follows is not part of it.
    #[test]
    fn every_prefix_waits_and_the_whole_is_found() {
        let mut stream = vec![0, 0, 0, 20, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9];
        for cut in 0..stream.len() {
            assert!(
                matches!(next_frame(&stream[..cut], MAX), Frame::Incomplete { missing_octets } if missing_octets > 0)
            );
        }
        stream.push(7);
        assert_eq!(next_frame(&stream, MAX), Frame::Pdu(&stream[..20]));
    }

    /// Goal: lengths outside 16..=max end the stream as soon as the length field is there.
    #[test]
    fn absurd_lengths_are_refused_at_once() {
        for command_length in [0, 1, 15, MAX + 1, u32::MAX] {
            assert_eq!(
                next_frame(&command_length.to_be_bytes(), MAX),
                Frame::BadLength { command_length }
            );
        }
    }
}
