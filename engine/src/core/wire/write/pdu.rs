//! One PDU, written field by field; its length is filled in at the end.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::Body;
use crate::core::wire::field::{TIME_OCTETS, TextField};
use crate::core::wire::{Address, CommandId, HEADER_OCTETS, Header, Status, Tag, patch_command_length};

/// A value that cannot stand in its field; ours, not a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteFault {
    /// The field, by the name in the specification.
    pub field: &'static str,
    /// The most octets that the field takes, its NUL included.
    pub octets_max: usize,
}

impl fmt::Display for WriteFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} does not fit: at most {} octets with its NUL, and none of them NUL",
            self.field, self.octets_max
        )
    }
}

impl std::error::Error for WriteFault {}

/// Appends a PDU that is nothing but a header: unbind, enquire_link, generic_nack, and every error response.
#[inline]
pub fn write_header_only(
    buffer: &mut BytesMut,
    command_id: CommandId,
    command_status: Status,
    sequence_number: u32,
) {
    let header = Header::alone(command_id, command_status, sequence_number);
    buffer.put_slice(&header.to_octets());
}

/// Appends a PDU with a body and no TLVs of its own; the answer is the number of octets.
pub fn write_pdu(
    buffer: &mut BytesMut,
    command_id: CommandId,
    command_status: Status,
    sequence_number: u32,
    body: &impl Body,
) -> Result<usize, WriteFault> {
    let mut pdu = PduWriter::begin(buffer, command_id, command_status, sequence_number);
    body.write_to(&mut pdu);
    pdu.finish()
}

/// Appends a response: with its body when it is positive, as a header alone when it is not (v3.4 section 4.1, v5.0
/// section 3.2.1); the answer is the number of octets.
pub fn write_response(
    buffer: &mut BytesMut,
    command_id: CommandId,
    command_status: Status,
    sequence_number: u32,
    body: &impl Body,
) -> Result<usize, WriteFault> {
    if command_status.is_ok() {
        return write_pdu(buffer, command_id, command_status, sequence_number, body);
    }
    write_header_only(buffer, command_id, command_status, sequence_number);
    Ok(HEADER_OCTETS)
}

/// Appends one PDU to a buffer: [`Self::begin`], the fields in the order of the wire, [`Self::finish`].
///
/// The first value that does not fit is remembered, and `finish` then takes the PDU back; so does dropping the writer.
#[derive(Debug)]
pub struct PduWriter<'a> {
    buffer: &'a mut BytesMut,
    start: usize,
    fault: Option<WriteFault>,
    is_finished: bool,
}

impl<'a> PduWriter<'a> {
    /// Appends the header.
    pub fn begin(
        buffer: &'a mut BytesMut,
        command_id: CommandId,
        command_status: Status,
        sequence_number: u32,
    ) -> Self {
        let start = buffer.len();
        write_header_only(buffer, command_id, command_status, sequence_number);
        Self {
            buffer,
            start,
            fault: None,
            is_finished: false,
        }
    }

    /// Appends a one-octet integer.
    pub fn integer(&mut self, value: u8) -> &mut Self {
        self.buffer.put_u8(value);
        self
    }

    /// Appends a four-octet integer.
    pub fn long_integer(&mut self, value: u32) -> &mut Self {
        self.buffer.put_u32(value);
        self
    }

    /// Appends a C-Octet String with its NUL; refuses what is longer than the field or holds a NUL.
    pub fn text(&mut self, field: &TextField, characters: &[u8]) -> &mut Self {
        if characters.len() >= field.octets_max || characters.contains(&0) {
            self.refuse(field.name, field.octets_max);
        }
        self.text_unchecked(characters)
    }

    /// Appends a C-Octet String with its NUL, for ids that came from a peer and are relayed as they are.
    pub fn text_unchecked(&mut self, characters: &[u8]) -> &mut Self {
        self.buffer.put_slice(characters);
        self.buffer.put_u8(0);
        self
    }

    /// Appends a time: empty or exactly 16 characters.
    pub fn time(&mut self, field: &TextField, characters: &[u8]) -> &mut Self {
        if !matches!(characters.len() + 1, 1 | TIME_OCTETS) {
            self.refuse(field.name, field.octets_max);
        }
        self.text(field, characters)
    }

    /// Appends TON, NPI and the address; `field` limits the address.
    pub fn address(&mut self, field: &TextField, address: &Address<'_>) -> &mut Self {
        self.integer(address.ton)
            .integer(address.npi)
            .text(field, address.addr)
    }

    /// Appends `sm_length` and `short_message`, at most 255 octets (254 in v3.4).
    pub fn short_message(&mut self, short_message: &[u8]) -> &mut Self {
        let sm_length = u8::try_from(short_message.len()).unwrap_or_else(|_| {
            self.refuse("short_message", u8::MAX.into());
            0
        });
        self.integer(sm_length).octets(short_message)
    }

    /// Appends the number of entries that follow, at most 255.
    pub fn count(&mut self, field: &'static str, entries: usize) -> &mut Self {
        let count = u8::try_from(entries).unwrap_or_else(|_| {
            self.refuse(field, u8::MAX.into());
            0
        });
        self.integer(count)
    }

    /// Appends octets as they are: a tail that is relayed, or TLVs that were encoded elsewhere.
    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.buffer.put_slice(octets);
        self
    }

    /// Appends a TLV; its value has at most 65,535 octets.
    pub fn tlv(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len()).unwrap_or_else(|_| {
            self.refuse(tag.name().unwrap_or("TLV"), u16::MAX.into());
            0
        });
        self.buffer.put_u16(tag.0);
        self.buffer.put_u16(length);
        self.octets(value)
    }

    /// Appends a TLV whose value is text; its NUL is added.
    pub fn text_tlv(&mut self, tag: Tag, characters: &[u8]) -> &mut Self {
        let length = u16::try_from(characters.len() + 1).unwrap_or_else(|_| {
            self.refuse(tag.name().unwrap_or("TLV"), u16::MAX.into());
            0
        });
        self.buffer.put_u16(tag.0);
        self.buffer.put_u16(length);
        self.text_unchecked(characters)
    }

    /// Fills in command_length; the answer is the number of octets. On a fault the buffer is as it was.
    pub fn finish(mut self) -> Result<usize, WriteFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.is_finished = true;
        let octets = self.buffer.len() - self.start;
        patch_command_length(self.buffer.get_mut(self.start..).unwrap_or_default());
        Ok(octets)
    }

    fn refuse(&mut self, field: &'static str, octets_max: usize) {
        self.fault.get_or_insert(WriteFault { field, octets_max });
    }
}

impl Drop for PduWriter<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.buffer.truncate(self.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::field::SYSTEM_ID;

    /// Goal: a value that does not fit leaves the buffer as it was, whatever follows it.
    #[test]
    fn a_refused_pdu_leaves_no_trace() {
        let mut buffer = BytesMut::from(&b"before"[..]);
        for characters in [&[b'a'; 16][..], b"a\0b"] {
            let mut pdu = PduWriter::begin(&mut buffer, CommandId::OUTBIND, Status::ESME_ROK, 1);
            pdu.text(&SYSTEM_ID, characters)
                .integer(1)
                .tlv(Tag::SOURCE_PORT, &[0, 1]);
            let fault = pdu.finish().expect_err("it does not fit");
            assert_eq!(fault.field, "system_id");
            assert_eq!(&buffer[..], b"before");
        }
    }

    /// Goal: command_length counts this PDU alone.
    #[test]
    fn the_length_is_that_of_the_pdu() {
        let mut buffer = BytesMut::from(&b"before"[..]);
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::ENQUIRE_LINK_RESP, Status::ESME_ROK, 9);
        pdu.tlv(Tag::CONGESTION_STATE, &[50]);
        assert_eq!(pdu.finish(), Ok(21));
        let header = Header::read(&buffer[6..]).expect("a header");
        assert_eq!((header.command_length, header.sequence_number), (21, 9));
    }
}
