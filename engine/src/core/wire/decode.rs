//! Any PDU, field by field: for people who look at one, and for tests.
//!
//! Goes on as long as fields can be found: a field that breaks its definition is still shown, with the fault beside it.
//! Slower than the views and table-driven; never on the forwarding path.

use std::fmt;
use std::ops::Range;

use super::explain::Explanation;
use super::field::{TIME_OCTETS, TextField};
use super::layout::{EntryLayout, FieldLayout, body_layout};
use super::tlv::{check_area, is_body_tlvs_alone};
use super::walk::octets;
use super::{Fault, HEADER_OCTETS, Header, Status, Tag, TlvType, Tlvs};

/// What a field is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// A field of the header or the body.
    Field(&'static str),
    /// A TLV.
    Tlv(Tag),
}

impl fmt::Display for FieldName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => formatter.write_str(name),
            Self::Tlv(tag) => fmt::Display::fmt(tag, formatter),
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// An integer of one, two or four octets.
    Integer(u32),
    /// Characters, without their NUL; usually ASCII.
    Text(&'a [u8]),
    /// Raw octets.
    Octets(&'a [u8]),
}

impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Text(characters) => write!(formatter, "\"{}\"", characters.escape_ascii()),
            Self::Octets(octets) => octets
                .iter()
                .try_for_each(|octet| write!(formatter, "{octet:02x}")),
        }
    }
}

/// One field of a PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedField<'a> {
    /// What it is called.
    pub name: FieldName,
    /// Which entry of a list it belongs to, from 0: destinations of submit_multi, failures of its response.
    pub entry: Option<u8>,
    /// What it holds.
    pub value: FieldValue<'a>,
    /// Where it stands in the PDU: with its NUL, or with tag and length.
    pub range: Range<usize>,
    /// The rule that it breaks; the fields behind it could be found all the same.
    pub fault: Option<Fault>,
}

impl DecodedField<'_> {
    /// What the value means, in words; `None` where the value speaks for itself.
    pub fn explanation(&self) -> Option<Explanation> {
        Explanation::of(self.name, self.value)
    }
}

/// Visits header, body and TLVs of `pdu` in the order of the wire. A fault ends the visit: what follows cannot be found.
/// Vendor and reserved commands end behind the header with [`Fault::unknown_command`].
pub fn visit_fields<'a>(pdu: &'a [u8], visit: &mut dyn FnMut(DecodedField<'a>)) -> Result<(), Fault> {
    let header = Header::read(pdu).ok_or(Fault::truncated("header"))?;
    let mut visitor = Visitor {
        pdu,
        at: 0,
        entry: None,
        last_integer: 0,
        visit,
    };
    for name in [
        "command_length",
        "command_id",
        "command_status",
        "sequence_number",
    ] {
        visitor.integer(name, size_of::<u32>())?;
    }
    let layout = body_layout(header.command_id).ok_or(Fault::unknown_command())?;
    let lacks_fields = pdu.len() == HEADER_OCTETS || is_body_tlvs_alone(pdu);
    if !(header.command_id.is_response() && lacks_fields) {
        visitor.fields(layout)?;
    }
    if layout.last() == Some(&FieldLayout::Octets("short_message")) {
        visitor.trailing_nul();
    }
    visitor.tlvs()
}

struct Visitor<'a, 'v> {
    pdu: &'a [u8],
    at: usize,
    entry: Option<u8>,
    last_integer: u32,
    visit: &'v mut dyn FnMut(DecodedField<'a>),
}

impl<'a> Visitor<'a, '_> {
    fn fields(&mut self, layout: &[FieldLayout]) -> Result<(), Fault> {
        for field in layout {
            match field {
                FieldLayout::Integer(name, octets) => self.integer(name, *octets)?,
                FieldLayout::Text(field) => self.text(field, |length| length <= field.octets_max)?,
                FieldLayout::Time(field) => self.text(field, |length| matches!(length, 1 | TIME_OCTETS))?,
                FieldLayout::Octets(name) => self.octets(name)?,
                FieldLayout::Entries(layout) => self.entries(*layout)?,
            }
        }
        Ok(())
    }

    fn integer(&mut self, name: &'static str, octets: usize) -> Result<(), Fault> {
        let range = self.at..self.at + octets;
        let value = self.pdu.get(range.clone()).ok_or(Fault::truncated(name))?;
        self.last_integer = big_endian(value);
        self.field(name, FieldValue::Integer(self.last_integer), range, None);
        Ok(())
    }

    fn text(&mut self, field: &TextField, is_length_allowed: impl Fn(usize) -> bool) -> Result<(), Fault> {
        let rest = octets(self.pdu, self.at..self.pdu.len());
        let characters = rest
            .iter()
            .position(|octet| *octet == 0)
            .ok_or(Fault::truncated(field.name))?;
        let length = characters + 1;
        let fault = (!is_length_allowed(length)).then_some(Fault::field_length(field.name, field.status));
        let value = FieldValue::Text(octets(rest, 0..characters));
        self.field(field.name, value, self.at..self.at + length, fault);
        Ok(())
    }

    fn octets(&mut self, name: &'static str) -> Result<(), Fault> {
        let range = self.at..self.at.saturating_add(self.last_integer as usize);
        let fault = Fault::field_length(name, Status::ESME_RINVMSGLEN);
        let value = self.pdu.get(range.clone()).ok_or(fault)?;
        self.field(name, FieldValue::Octets(value), range, None);
        Ok(())
    }

    fn entries(&mut self, layout: EntryLayout) -> Result<(), Fault> {
        for entry in 0..u8::try_from(self.last_integer).unwrap_or(u8::MAX) {
            self.entry = Some(entry);
            if layout == EntryLayout::DestAddress {
                self.integer("dest_flag", 1)?;
            }
            let dest_flag = u8::try_from(self.last_integer).unwrap_or_default();
            let fields = layout
                .fields(dest_flag)
                .ok_or(Fault::field_value("dest_flag", Status::ESME_RINVDESTFLAG))?;
            self.fields(fields)?;
        }
        self.entry = None;
        Ok(())
    }

    fn trailing_nul(&mut self) {
        let area = octets(self.pdu, self.at..self.pdu.len());
        let [0, behind @ ..] = area else { return };
        if check_area(area).is_err() && check_area(behind).is_ok() {
            let nul = octets(area, 0..1);
            self.field(
                "trailing NUL",
                FieldValue::Octets(nul),
                self.at..self.at + 1,
                None,
            );
        }
    }

    fn tlvs(&mut self) -> Result<(), Fault> {
        for tlv in Tlvs::new(self.pdu, self.at) {
            let tlv = tlv?;
            let definition = tlv.tag.definition();
            let fault = definition
                .filter(|known| !known.allows(tlv.value.len()))
                .map(|known| Fault::tlv_length(known.name));
            let value = match (definition.map(|known| known.value_type), tlv.integer()) {
                (Some(TlvType::Integer), Some(integer)) => FieldValue::Integer(integer),
                (Some(TlvType::Text), _) => FieldValue::Text(tlv.text()),
                _ => FieldValue::Octets(tlv.value),
            };
            (self.visit)(DecodedField {
                name: FieldName::Tlv(tlv.tag),
                entry: None,
                value,
                range: tlv.range,
                fault,
            });
        }
        Ok(())
    }

    fn field(
        &mut self,
        name: &'static str,
        value: FieldValue<'a>,
        range: Range<usize>,
        fault: Option<Fault>,
    ) {
        self.at = range.end;
        (self.visit)(DecodedField {
            name: FieldName::Field(name),
            entry: self.entry,
            value,
            range,
            fault,
        });
    }
}

fn big_endian(octets: &[u8]) -> u32 {
    octets
        .iter()
        .fold(0, |value, octet| (value << 8) | u32::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::{CommandId, PduWriter, write_header_only};
    use bytes::BytesMut;

    /// Goal: an over-long field is shown with its fault, and the fields behind it are found.
    #[test]
    fn a_faulty_field_does_not_hide_the_rest() {
        let mut buffer = BytesMut::new();
        let mut pdu = PduWriter::begin(&mut buffer, CommandId::OUTBIND, Status::ESME_ROK, 1);
        pdu.text_unchecked(&[b's'; 30])
            .text_unchecked(b"pw")
            .tlv(Tag::SOURCE_PORT, &[9]);
        pdu.finish().expect("unchecked");
        let mut seen = Vec::new();
        let outcome = visit_fields(&buffer, &mut |field| {
            seen.push((field.name.to_string(), field.fault.map(|fault| fault.status)));
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            seen[4..],
            [
                ("system_id".into(), Some(Status::ESME_RINVSYSID)),
                ("password".into(), None),
                ("source_port".into(), Some(Status::ESME_RINVPARLEN)),
            ]
        );
    }

    /// Goal: the fields visited tile the PDU, and an unknown command ends behind its header.
    #[test]
    fn an_unknown_command_shows_its_header() {
        let mut buffer = BytesMut::new();
        write_header_only(&mut buffer, CommandId(0x0001_0200), Status::ESME_ROK, 7);
        let mut end = 0;
        let outcome = visit_fields(&buffer, &mut |field| {
            assert_eq!(field.range.start, end);
            end = field.range.end;
        });
        assert_eq!(outcome, Err(Fault::unknown_command()));
        assert_eq!(end, HEADER_OCTETS);
    }
}
