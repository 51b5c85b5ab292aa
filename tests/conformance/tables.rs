//! The engine's tables against the tables of the specification.

use serde_json::Value;
use smppmux_engine::core::wire::{
    CommandId, EntryLayout, FieldLayout, MessageState, Status, Tag, TlvType, Version, body_layout,
};

use crate::vector::wire_tables;

fn rows(table: &str) -> Vec<Value> {
    wire_tables()[table].as_array().expect("a table").clone()
}

fn integer(row: &Value, key: &str) -> u32 {
    row[key]
        .as_u64()
        .and_then(|value| u32::try_from(value).ok())
        .expect("an integer")
}

/// Goal: every command has its name, id, response, body and version.
#[test]
fn commands_agree() {
    let commands = rows("commands");
    assert_eq!(commands.len(), CommandId::ALL.len());
    for row in commands {
        let command = CommandId(integer(&row, "id"));
        assert_eq!(command.name(), row["name"].as_str());
        assert_eq!(command.has_response(), row["response"].is_string(), "{command}");
        if let Some(response) = row["response"].as_str() {
            assert_eq!(command.response().name(), Some(response));
            let since = row["since"].as_str().expect("a version");
            for version in [Version::V33, Version::V34, Version::V50] {
                assert_eq!(
                    version.knows(command),
                    since <= version.to_string().as_str(),
                    "{command} in {version}"
                );
            }
        }
        let layout = body_layout(command).expect("a defined command");
        let fields = row["fields"].as_array().expect("a list");
        assert_eq!(layout.len(), fields.len(), "{command}");
        for (ours, theirs) in layout.iter().zip(fields) {
            assert!(is_same_field(ours, theirs), "{command}: {ours:?} is not {theirs}");
        }
    }
}

fn is_same_field(ours: &FieldLayout, theirs: &Value) -> bool {
    let name = theirs["name"].as_str().expect("a name");
    match (ours, theirs["type"].as_str().expect("a type")) {
        (FieldLayout::Integer(ours, octets), "integer") => *ours == name && *octets as u64 == theirs["size"],
        (FieldLayout::Text(ours), "c_octet_string") => {
            ours.name == name && ours.octets_max as u64 == theirs["max"]
        }
        // final_date alone is written down as fixed and read with 12 characters too.
        (FieldLayout::Time(ours) | FieldLayout::Text(ours), "c_octet_string_fixed") => {
            ours.name == name && theirs["sizes"][1] == ours.octets_max as u64
        }
        (FieldLayout::Octets(ours), "octet_string") => *ours == name,
        (FieldLayout::Entries(EntryLayout::DestAddress), "array") => name == "dest_address",
        (FieldLayout::Entries(EntryLayout::UnsuccessSme), "array") => name == "unsuccess_sme",
        _ => false,
    }
}

/// Goal: every TLV has its tag, name, type and lengths.
#[test]
fn tlvs_agree() {
    let tlvs = rows("tlvs");
    assert_eq!(tlvs.len(), Tag::ALL.len());
    for row in tlvs {
        let tag = Tag(u16::try_from(integer(&row, "tag")).expect("a tag"));
        let definition = tag.definition().unwrap_or_else(|| panic!("{tag} is missing"));
        assert_eq!(Some(definition.name), row["name"].as_str());
        let value_type = match row["type"].as_str() {
            Some("int") => TlvType::Integer,
            Some("C-string") => TlvType::Text,
            _ => TlvType::Octets,
        };
        assert_eq!(definition.value_type, value_type, "{tag}");
        let lengths = (u32::from(definition.octets_min), u32::from(definition.octets_max));
        assert_eq!(
            lengths,
            (integer(&row, "min_len"), integer(&row, "max_len")),
            "{tag}"
        );
        assert_eq!(tag.is_since_v50(), row["since"] == "5.0", "{tag}");
    }
}

/// Goal: every command_status has its value, in both spellings; older ones are known too.
#[test]
fn statuses_agree() {
    let mut known = 0;
    for table in ["command_status", "legacy_status_seen_in_libraries"] {
        for row in rows(table) {
            let status = Status(integer(&row, "code"));
            assert_eq!(status.name(), row["name"].as_str());
            for key in ["name", "name_v50"] {
                if let Some(name) = row[key].as_str() {
                    assert_eq!(Status::from_name(name), Some(status));
                }
            }
            known += 1;
        }
    }
    assert_eq!(known, Status::ALL.len());
}

/// Goal: every message_state has its name.
#[test]
fn states_agree() {
    let tables = wire_tables();
    let states = tables["message_state"].as_object().expect("a table");
    assert_eq!(states.len(), 10);
    for (value, name) in states {
        let state = MessageState(value.parse().expect("a number"));
        let name = name.as_str().and_then(|name| name.split(' ').next());
        assert_eq!(state.name(), name);
    }
}
