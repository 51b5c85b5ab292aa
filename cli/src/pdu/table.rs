//! The fields of a PDU as a table: offset, octets, name, value, meaning.

use smppmux_engine::core::wire::{DecodedField, FieldName, FieldValue, Header, Tag};
use std::fmt::Write as _;

/// Octets of one field that are shown in hexadecimal at most.
const OCTETS_SHOWN_MAX: usize = 8;

/// Characters of one value that are shown at most.
const VALUE_CHARACTERS_MAX: usize = 400;

/// Lines of fields as they are added.
#[derive(Debug)]
pub(super) struct Table {
    start: usize,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    offset: usize,
    octets: String,
    name: String,
    value: String,
}

impl Table {
    /// An empty table of a PDU that starts at octet `start` of the input.
    pub(super) const fn new(start: usize) -> Self {
        Self {
            start,
            rows: Vec::new(),
        }
    }

    /// Adds a field.
    pub(super) fn add(&mut self, pdu: &[u8], field: &DecodedField<'_>) {
        let mut value = shortened(&value_text(field));
        if let Some(explanation) = field.explanation() {
            let _ = write!(value, "  ({explanation})");
        }
        if let Some(fault) = &field.fault {
            let _ = write!(value, "  <-- {fault}");
        }
        let octets = pdu.get(field.range.clone()).unwrap_or_default();
        self.rows.push(Row {
            offset: self.start + field.range.start,
            octets: hexadecimal(octets),
            name: name_text(field),
            value,
        });
    }

    /// Adds what stands behind the last field that could be found.
    pub(super) fn add_rest(&mut self, pdu: &[u8], at: usize) {
        let rest = pdu.get(at..).unwrap_or_default();
        if !rest.is_empty() {
            self.rows.push(Row {
                offset: self.start + at,
                octets: hexadecimal(rest),
                name: "?".into(),
                value: format!("{} octets that could not be read", rest.len()),
            });
        }
    }

    /// The lines, with a line about the PDU first.
    pub(super) fn finish(self, pdu: &[u8]) -> String {
        let title = Header::read(pdu).map_or_else(String::new, |header| header.command_id.to_string());
        let mut text = format!("{title}, {} octets\n", pdu.len());
        let octets_width = self
            .rows
            .iter()
            .map(|row| row.octets.chars().count())
            .max()
            .unwrap_or(0);
        let name_width = self
            .rows
            .iter()
            .map(|row| row.name.chars().count())
            .max()
            .unwrap_or(0);
        for row in &self.rows {
            let line = format!(
                "{:6}  {:octets_width$}  {:name_width$}  {}",
                row.offset, row.octets, row.name, row.value
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

fn name_text(field: &DecodedField<'_>) -> String {
    let entry = field.entry.map(|entry| format!("[{entry}]")).unwrap_or_default();
    match field.name {
        FieldName::Field(name) => format!("{name}{entry}"),
        FieldName::Tlv(tag) => format!("TLV {}", tag_text(tag)),
    }
}

/// A TLV's name and number; what an unknown one is, as far as its number says.
fn tag_text(tag: Tag) -> String {
    match tag.name() {
        Some(name) => format!("{name} 0x{:04X}", tag.0),
        None if tag.is_vendor() => format!("0x{:04X} (of a vendor)", tag.0),
        None => format!("0x{:04X} (reserved)", tag.0),
    }
}

fn value_text(field: &DecodedField<'_>) -> String {
    match (field.name, field.value) {
        (FieldName::Field("command_id" | "command_status"), FieldValue::Integer(value)) => {
            format!("0x{value:08X}")
        }
        (FieldName::Field("sequence_number"), FieldValue::Integer(value @ 0x8000_0000..)) => {
            format!("{value} (0x{value:08X})")
        }
        (
            FieldName::Field("esm_class" | "registered_delivery" | "data_coding"),
            FieldValue::Integer(value),
        ) => {
            format!("0x{value:02X}")
        }
        (FieldName::Field("interface_version"), FieldValue::Integer(value)) => format!("0x{value:02X}"),
        (FieldName::Tlv(Tag::SC_INTERFACE_VERSION), FieldValue::Integer(value)) => format!("0x{value:02X}"),
        (_, FieldValue::Octets([])) => "empty".into(),
        (_, value) => value.to_string(),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    let mut text: Vec<String> = octets
        .iter()
        .take(OCTETS_SHOWN_MAX)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    if octets.len() > OCTETS_SHOWN_MAX {
        text.push("…".into());
    }
    text.join(" ")
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARACTERS_MAX {
        return value.into();
    }
    let shown: String = value.chars().take(VALUE_CHARACTERS_MAX).collect();
    format!("{shown}…")
}
