//! Every valid vector decodes to its header, fields and TLVs, by the generic walk and by the views.

use serde_json::{Map, Value};
use smppmux_engine::core::wire::{
    Acceptance, CommandId, DecodedField, FieldName, FieldValue, Header, Status, Tag, Tlvs, Version, tlv,
    validate, visit_fields,
};

use crate::vector::{Vector, hex_of, text_of, valid_vectors};
use crate::view_fields::{tlvs_of_view, view_fields};

/// Goal: the header of every vector is read, and patching nothing gives it back.
#[test]
fn headers_are_read() {
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        let header = Header::read(&pdu).expect("a header");
        assert_eq!(header.command_length as usize, pdu.len(), "{}", vector.name);
        assert_eq!(header.command_id, vector.command(), "{}", vector.name);
        assert_eq!(
            header.command_status,
            Status(vector.command_status),
            "{}",
            vector.name
        );
        assert_eq!(header.sequence_number, vector.sequence_number, "{}", vector.name);
        assert_eq!(header.to_octets(), pdu[..16], "{}", vector.name);
    }
}

/// Goal: the generic walk yields every field and TLV by name, without gaps, and finds no fault.
#[test]
fn the_generic_walk_agrees_with_every_vector() {
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        let mut decoded = Decoded::default();
        let outcome = visit_fields(&pdu, &mut |field| decoded.add(&pdu, &field));
        assert_eq!(outcome, Ok(()), "{}", vector.name);
        assert_eq!(decoded.end, pdu.len(), "{}: octets left over", vector.name);
        let expected = if vector.body_absent {
            Map::new()
        } else {
            with_lists(&vector)
        };
        assert_eq!(decoded.fields, expected, "{}", vector.name);
        assert_eq!(decoded.tlvs, vector.tlvs(), "{}", vector.name);
    }
}

/// Goal: the specialised view of every vector that has one agrees with it.
#[test]
fn the_views_agree_with_every_vector() {
    let mut checked = 0;
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        let Some(fields) = view_fields(vector.command(), &pdu) else {
            assert!(vector.fields.is_empty(), "{}: a body without a view", vector.name);
            continue;
        };
        let fields = fields.unwrap_or_else(|fault| panic!("{}: {fault}", vector.name));
        if vector.body_absent {
            assert!(fields.values().all(is_empty), "{}: {fields:?}", vector.name);
        } else {
            assert_eq!(fields, vector.fields, "{}", vector.name);
        }
        assert_eq!(
            tlvs_of(tlvs_of_view(vector.command(), &pdu)),
            vector.tlvs(),
            "{}",
            vector.name
        );
        checked += 1;
    }
    assert!(checked > 600, "only {checked} vectors have a view");
}

/// Goal: the check for PDUs of any command takes every valid vector, but for messages without a destination, operations
/// without a message_id and broadcasts without their mandatory TLVs, which are well-formed and still useless.
#[test]
fn validation_takes_every_valid_vector() {
    let mut refused = 0;
    for vector in valid_vectors() {
        let outcome = validate(&vector.pdu(), &Acceptance::of(Version::V50));
        let lacks = |field: &str| vector.fields.get(field).is_some_and(is_empty);
        let expected = match vector.command() {
            CommandId::SUBMIT_SM | CommandId::DELIVER_SM | CommandId::DATA_SM
                if lacks("destination_addr") =>
            {
                Err(Status::ESME_RINVDSTADR)
            }
            CommandId::QUERY_SM | CommandId::REPLACE_SM if lacks("message_id") => Err(Status::ESME_RINVMSGID),
            CommandId::BROADCAST_SM if lacks_mandatory_tlvs(&vector) => Err(Status::ESME_RMISSINGOPTPARAM),
            _ => Ok(()),
        };
        assert_eq!(outcome.map_err(|fault| fault.status), expected, "{}", vector.name);
        refused += usize::from(expected.is_err());
    }
    assert!((1..30).contains(&refused), "{refused} vectors refused");
}

fn lacks_mandatory_tlvs(vector: &Vector) -> bool {
    let is_immediate = vector.fields["priority_flag"] == 1;
    let has = |tag: Tag| vector.tlvs().iter().any(|(present, _)| *present == tag);
    !has(Tag::BROADCAST_AREA_IDENTIFIER)
        || !has(Tag::BROADCAST_CONTENT_TYPE)
        || !has(Tag::BROADCAST_FREQUENCY_INTERVAL)
        || !(has(Tag::BROADCAST_REP_NUM) || is_immediate)
}

/// Goal: the definitions of TLV lengths take every TLV of every valid vector.
#[test]
fn known_lengths_take_every_valid_vector() {
    for vector in valid_vectors() {
        let pdu = vector.pdu();
        if let Some(tlvs) = tlvs_of_view(vector.command(), &pdu) {
            assert_eq!(tlv::check_known_lengths(tlvs), Ok(()), "{}", vector.name);
        }
    }
}

/// What the generic walk saw, in the form of the vectors.
#[derive(Default)]
struct Decoded {
    fields: Map<String, Value>,
    tlvs: Vec<(Tag, Vec<u8>)>,
    end: usize,
}

impl Decoded {
    fn add(&mut self, pdu: &[u8], field: &DecodedField<'_>) {
        assert_eq!(field.range.start, self.end, "a gap before {}", field.name);
        assert_eq!(field.fault, None, "{}", field.name);
        self.end = field.range.end;
        let name = match field.name {
            FieldName::Tlv(tag) => {
                self.tlvs
                    .push((tag, pdu[field.range.start + 4..field.range.end].to_vec()));
                return;
            }
            FieldName::Field(name) => name,
        };
        if field.range.start < 16 {
            return;
        }
        let (name, value) = match field.value {
            FieldValue::Integer(integer) => (name.to_owned(), Value::from(integer)),
            FieldValue::Text(characters) => (name.to_owned(), text_of(characters)),
            FieldValue::Octets(octets) => (format!("{name}_hex"), Value::from(hex_of(octets))),
        };
        self.place(field.entry).insert(name, value);
    }

    /// Fields of a list go into its entry; whichever list it is, a PDU has one at most.
    fn place(&mut self, entry: Option<u8>) -> &mut Map<String, Value> {
        let Some(entry) = entry else {
            return &mut self.fields;
        };
        let list = if self.fields.contains_key("no_unsuccess") {
            "unsuccess_sme"
        } else {
            "dest_address"
        };
        let list = self
            .fields
            .entry(list)
            .or_insert_with(|| Value::Array(Vec::new()));
        let entries = list.as_array_mut().expect("a list");
        if entries.len() == usize::from(entry) {
            entries.push(Value::Object(Map::new()));
        }
        entries
            .last_mut()
            .and_then(Value::as_object_mut)
            .expect("an entry")
    }
}

/// The vector's fields without an empty list, which the walk has no field for.
fn with_lists(vector: &Vector) -> Map<String, Value> {
    let mut fields = vector.fields.clone();
    fields.retain(|_, value| value.as_array().is_none_or(|entries| !entries.is_empty()));
    fields
}

fn tlvs_of(tlvs: Option<Tlvs<'_>>) -> Vec<(Tag, Vec<u8>)> {
    tlvs.into_iter()
        .flatten()
        .map(|tlv| tlv.expect("a good TLV area"))
        .map(|tlv| (tlv.tag, tlv.value.to_vec()))
        .collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        _ => false,
    }
}
