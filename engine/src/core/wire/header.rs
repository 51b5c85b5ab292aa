//! The 16-octet header that every PDU starts with, and patching it in place.
//!
//! Never interprets a body. Source: SMPP v3.4 section 3.2, v5.0 section 3.1.

use super::{CommandId, Status};

/// Octets of a PDU header.
pub const HEADER_OCTETS: usize = 16;

/// The four header fields, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Octets of the whole PDU, header included.
    pub command_length: u32,
    /// What the PDU is.
    pub command_id: CommandId,
    /// The outcome, in responses; to be ignored in requests.
    pub command_status: Status,
    /// The number that ties a response to its request; any 32-bit value may come from a peer.
    pub sequence_number: u32,
}

impl Header {
    /// The same for who knows already what it is of: the compiler then leaves out what is for other commands.
    #[inline(always)]
    pub const fn of_command(self, command_id: CommandId) -> Self {
        Self { command_id, ..self }
    }

    /// Reads the header of a framed PDU; `None` when `pdu` is shorter than a header.
    #[inline]
    pub fn read(pdu: &[u8]) -> Option<Self> {
        let octets: &[u8; HEADER_OCTETS] = pdu.first_chunk()?;
        let integer =
            |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        Some(Self {
            command_length: integer(0),
            command_id: CommandId(integer(4)),
            command_status: Status(integer(8)),
            sequence_number: integer(12),
        })
    }

    /// The header of a PDU that has nothing else.
    pub const fn alone(command_id: CommandId, command_status: Status, sequence_number: u32) -> Self {
        Self {
            command_length: HEADER_OCTETS as u32,
            command_id,
            command_status,
            sequence_number,
        }
    }

    /// The header as it stands on the wire.
    #[inline]
    pub fn to_octets(self) -> [u8; HEADER_OCTETS] {
        let mut octets = [0; HEADER_OCTETS];
        octets[0..4].copy_from_slice(&self.command_length.to_be_bytes());
        octets[4..8].copy_from_slice(&self.command_id.0.to_be_bytes());
        octets[8..12].copy_from_slice(&self.command_status.0.to_be_bytes());
        octets[12..16].copy_from_slice(&self.sequence_number.to_be_bytes());
        octets
    }
}

/// Writes a new sequence number into a PDU that holds at least a header; shorter input is left alone.
#[inline]
pub fn patch_sequence_number(pdu: &mut [u8], sequence_number: u32) {
    if let Some(field) = pdu.get_mut(12..16) {
        field.copy_from_slice(&sequence_number.to_be_bytes());
    }
}

/// Makes the slice's own length the command_length of a copied PDU, and gives it its sequence number; shorter input than a
/// header is left alone.
#[inline]
pub fn patch_copy(pdu: &mut [u8], sequence_number: u32) {
    // What has come in as a PDU has a u32 for its length; an id's tag does not make it longer than that.
    let length = pdu.len() as u32;
    if let Some(header) = pdu.first_chunk_mut::<HEADER_OCTETS>() {
        header[0..4].copy_from_slice(&length.to_be_bytes());
        header[12..16].copy_from_slice(&sequence_number.to_be_bytes());
    }
}

/// Writes a new command_status into a PDU that holds at least a header; shorter input is left alone.
#[inline]
pub fn patch_command_status(pdu: &mut [u8], status: Status) {
    if let Some(field) = pdu.get_mut(8..12) {
        field.copy_from_slice(&status.0.to_be_bytes());
    }
}

/// Writes the slice's own length as command_length into a PDU that holds at least a header.
#[inline]
pub fn patch_command_length(pdu: &mut [u8]) {
    let length = u32::try_from(pdu.len()).unwrap_or(u32::MAX);
    if let Some(field) = pdu.get_mut(0..4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: reading and writing a header are inverse for every field's extremes.
    #[test]
    fn a_header_survives_the_round_trip() {
        for value in [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            let header = Header {
                command_length: value,
                command_id: CommandId(value),
                command_status: Status(value),
                sequence_number: value,
            };
            assert_eq!(Header::read(&header.to_octets()), Some(header));
        }
        assert_eq!(Header::read(&[0; 15]), None);
    }

    /// Goal: each patch touches its own field and nothing else.
    #[test]
    fn patches_touch_one_field() {
        let mut pdu = [0_u8; 20];
        patch_sequence_number(&mut pdu, 0x0102_0304);
        patch_command_status(&mut pdu, Status::ESME_RSYSERR);
        patch_command_length(&mut pdu);
        assert_eq!(pdu, [0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 0, 0, 0, 0]);
    }
}
