//! Every valid vector comes back octet for octet from its decoded fields.

use bytes::BytesMut;
use serde_json::{Map, Value};
use smppmux_engine::core::wire::{
    EntryLayout, FieldLayout, PduWriter, Status, TextField, body_layout, write_header_only,
};

use crate::vector::{Vector, octets_of, valid_vectors};

/// Goal: the fields and TLVs of every vector, written by the layout table, give its octets.
#[test]
fn fields_written_by_the_layout_give_the_octets() {
    for vector in valid_vectors() {
        let mut buffer = BytesMut::new();
        let status = Status(vector.command_status);
        let mut pdu = PduWriter::begin(&mut buffer, vector.command(), status, vector.sequence_number);
        if !vector.body_absent {
            let layout = body_layout(vector.command()).expect("a defined command");
            write_fields(&mut pdu, layout, &vector.fields, &vector.name);
        }
        for (tag, value) in vector.tlvs() {
            pdu.tlv(tag, &value);
        }
        pdu.finish()
            .unwrap_or_else(|fault| panic!("{}: {fault}", vector.name));
        assert_eq!(buffer, vector.pdu(), "{}", vector.name);
    }
}

/// Goal: a header alone is all that header-only vectors are.
#[test]
fn headers_alone_are_written() {
    let bare: Vec<Vector> = valid_vectors()
        .into_iter()
        .filter(|vector| vector.pdu().len() == 16)
        .collect();
    assert!(bare.len() > 90);
    for vector in bare {
        let mut buffer = BytesMut::new();
        let status = Status(vector.command_status);
        write_header_only(&mut buffer, vector.command(), status, vector.sequence_number);
        assert_eq!(buffer, vector.pdu(), "{}", vector.name);
    }
}

fn write_fields(pdu: &mut PduWriter<'_>, layout: &[FieldLayout], fields: &Map<String, Value>, vector: &str) {
    let integer = |name: &str| {
        fields[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{vector}: {name}"))
    };
    let text = |field: &TextField| {
        fields[field.name]
            .as_str()
            .unwrap_or_else(|| panic!("{vector}: {}", field.name))
    };
    for field in layout {
        match field {
            FieldLayout::Integer(name, 1) => {
                pdu.integer(u8::try_from(integer(name)).expect("one octet"));
            }
            FieldLayout::Integer(name, _) => {
                pdu.long_integer(u32::try_from(integer(name)).expect("four octets"));
            }
            FieldLayout::Text(field) => {
                pdu.text(field, text(field).as_bytes());
            }
            FieldLayout::Time(field) => {
                pdu.time(field, text(field).as_bytes());
            }
            FieldLayout::Octets(name) => {
                pdu.octets(&octets_of(fields[&format!("{name}_hex")].as_str().expect("hex")));
            }
            FieldLayout::Entries(entries) => write_entries(pdu, *entries, fields, vector),
        }
    }
}

fn write_entries(pdu: &mut PduWriter<'_>, layout: EntryLayout, fields: &Map<String, Value>, vector: &str) {
    let list = match layout {
        EntryLayout::DestAddress => "dest_address",
        EntryLayout::UnsuccessSme => "unsuccess_sme",
    };
    for entry in fields[list].as_array().expect("a list") {
        let entry = entry.as_object().expect("an entry");
        if layout == EntryLayout::DestAddress {
            pdu.integer(u8::try_from(entry["dest_flag"].as_u64().expect("a flag")).expect("one octet"));
        }
        let dest_flag = entry.get("dest_flag").and_then(Value::as_u64).unwrap_or_default();
        let layout = layout
            .fields(u8::try_from(dest_flag).expect("one octet"))
            .expect("a known dest_flag");
        write_fields(pdu, layout, entry, vector);
    }
}
