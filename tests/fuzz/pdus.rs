//! One PDU: every reader reads it without harm, they agree with each other and with rusmpp-core, and what was read, written
//! again, is the same octets.

use crate::{rusmpp, views};
use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Acceptance, DecodedField, FieldName, FieldValue, HEADER_OCTETS, Header, PduWriter, Tag, Version,
    patch_command_length, validate, visit_fields,
};

/// Longer ones teach nothing new.
const OCTETS_MAX: usize = 4_096;

pub(crate) fn run(data: &[u8]) {
    if !(HEADER_OCTETS..=OCTETS_MAX).contains(&data.len()) {
        return;
    }
    let mut pdu = data.to_vec();
    patch_command_length(&mut pdu);
    let Some(header) = Header::read(&pdu) else {
        panic!("a PDU with a header")
    };
    validates(&pdu, &header);
    walks(&pdu);
    views::read(&pdu);
    comes_back(&pdu, &header);
    rusmpp::agrees(&pdu, &header);
}

/// A request that is refused has an answer, a response has none.
fn validates(pdu: &[u8], header: &Header) {
    for version in [Version::V33, Version::V34, Version::V50] {
        if let Err(fault) = validate(pdu, &Acceptance::of(version)) {
            assert_eq!(fault.reply(header).is_none(), header.command_id.is_response());
        }
    }
}

/// The generic walk finds fields in order and without a gap, to the end or to a fault.
fn walks(pdu: &[u8]) {
    let mut end = 0;
    let walked = visit_fields(pdu, &mut |field: DecodedField<'_>| {
        assert_eq!(field.range.start, end, "{field:?}");
        assert!(field.range.end <= pdu.len());
        end = field.range.end;
        let words = field.explanation().map(|words| words.to_string());
        assert!(words.is_none_or(|words| !words.is_empty()));
    });
    assert!(walked.is_err() || end == pdu.len(), "octets left over");
}

/// What the walk has read without a fault, written by its values alone.
fn comes_back(pdu: &[u8], header: &Header) {
    let mut buffer = BytesMut::new();
    let mut writer = PduWriter::begin(
        &mut buffer,
        header.command_id,
        header.command_status,
        header.sequence_number,
    );
    let mut is_good = true;
    let walked = visit_fields(pdu, &mut |field| {
        is_good &= field.fault.is_none();
        if field.range.start >= HEADER_OCTETS {
            write_field(&mut writer, &field, pdu);
        }
    });
    let written = writer.finish();
    if walked.is_ok() && is_good {
        assert!(
            written.is_ok(),
            "what was read without a fault is written: {written:?}"
        );
        assert_eq!(buffer, pdu, "{:?}", header.command_id);
    }
}

fn write_field(writer: &mut PduWriter<'_>, field: &DecodedField<'_>, pdu: &[u8]) {
    match (field.name, field.value) {
        (FieldName::Tlv(tag), value) => write_tlv(writer, tag, value, pdu, field),
        (FieldName::Field(_), FieldValue::Integer(value)) => {
            // Its width is the only thing that the value does not say.
            let octets = value.to_be_bytes();
            writer.octets(&octets[octets.len() - field.range.len()..]);
        }
        (FieldName::Field(_), FieldValue::Text(characters)) => {
            writer.octets(characters);
            // A fixed field may be empty without its NUL.
            if field.range.len() > characters.len() {
                writer.octets(&[0]);
            }
        }
        (FieldName::Field(_), FieldValue::Octets(octets)) => {
            writer.octets(octets);
        }
    }
}

fn write_tlv(
    writer: &mut PduWriter<'_>,
    tag: Tag,
    value: FieldValue<'_>,
    pdu: &[u8],
    field: &DecodedField<'_>,
) {
    const TLV_HEADER_OCTETS: usize = 4;
    let octets = field.range.len() - TLV_HEADER_OCTETS;
    match value {
        FieldValue::Integer(value) => {
            let value = value.to_be_bytes();
            writer.tlv(tag, &value[value.len() - octets..]);
        }
        FieldValue::Octets(value) => {
            writer.tlv(tag, value);
        }
        FieldValue::Text(characters) => {
            // With or without its NUL, as it came; what stands behind a NUL is no part of the text.
            let end = field.range.end;
            let behind = pdu[end - octets..end].strip_prefix(characters);
            let behind = behind.unwrap_or_else(|| panic!("{tag:?}: not the octets of its value"));
            assert!(behind.first().is_none_or(|octet| *octet == 0));
            writer.tlv(tag, &[characters, behind].concat());
        }
    }
}
