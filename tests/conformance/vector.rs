//! Reading the vector files.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use smppmux_engine::core::wire::{CommandId, Tag};

/// One valid PDU and what it says.
#[derive(Debug, Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    hex: String,
    pub(crate) command_id: u32,
    pub(crate) command_status: u32,
    pub(crate) sequence_number: u32,
    pub(crate) fields: Map<String, Value>,
    tlvs: Map<String, Value>,
    tlv_order: Vec<u16>,
    #[serde(default)]
    pub(crate) body_absent: bool,
    pub(crate) concat: Option<Concat>,
    pub(crate) receipt: Option<Map<String, Value>>,
}

/// The reassembly facts of a segment.
#[derive(Debug, Deserialize)]
pub(crate) struct Concat {
    pub(crate) kind: String,
    #[serde(rename = "ref")]
    pub(crate) reference: u16,
    pub(crate) total: u8,
    pub(crate) seq: u8,
    pub(crate) payload: String,
}

impl Vector {
    pub(crate) fn pdu(&self) -> Vec<u8> {
        octets_of(&self.hex)
    }

    pub(crate) const fn command(&self) -> CommandId {
        CommandId(self.command_id)
    }

    /// Tags and values in the order of the wire: the n-th value of a tag belongs to its n-th place.
    pub(crate) fn tlvs(&self) -> Vec<(Tag, Vec<u8>)> {
        let mut seen = Vec::new();
        for tag in self.tlv_order.iter().copied().map(Tag) {
            let repeat = seen.iter().filter(|(earlier, _)| *earlier == tag).count();
            let value = match &self.tlvs[&tag.to_string()] {
                Value::String(hex) => octets_of(hex),
                Value::Array(values) => octets_of(values[repeat].as_str().expect("hex")),
                other => panic!("{}: a TLV value is {other}", self.name),
            };
            seen.push((tag, value));
        }
        seen
    }
}

/// All valid vectors.
pub(crate) fn valid_vectors() -> Vec<Vector> {
    let mut files: Vec<PathBuf> = fs::read_dir(vectors_dir())
        .expect("the vectors are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "malformed.jsonl"))
        .collect();
    files.sort();
    let vectors: Vec<Vector> = files.iter().flat_map(|path| read_lines(path)).collect();
    assert_eq!(vectors.len(), 665, "a vector file is missing");
    vectors
}

/// The lines of `malformed.jsonl`.
pub(crate) fn malformed_vectors<Line: DeserializeOwned>() -> Vec<Line> {
    let lines = read_lines(&vectors_dir().join("malformed.jsonl"));
    assert_eq!(lines.len(), 123, "lines are missing");
    lines
}

/// The tables that the vectors follow.
pub(crate) fn wire_tables() -> Value {
    let path = conformance_dir().join("wire.json");
    serde_json::from_str(&fs::read_to_string(path).expect("wire.json")).expect("JSON")
}

pub(crate) fn octets_of(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "odd hex");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
        .collect()
}

pub(crate) fn hex_of(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Text as the vectors write it. All of them are ASCII; hostile octets come out as something else.
pub(crate) fn text_of(characters: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(characters).into_owned())
}

fn read_lines<Line: DeserializeOwned>(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).expect("a vector file");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

fn conformance_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

fn vectors_dir() -> PathBuf {
    conformance_dir().join("vectors")
}
