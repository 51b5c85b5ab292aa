//! Traced PDUs field by field.

use super::Traced;
use crate::pdu::decode_octets;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

pub(super) fn write(traced: &Traced) -> String {
    let since = traced.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let pdus = &traced.pdus;
    let direction = if pdus.is_received { "received" } else { "sent" };
    let mut text = String::new();
    let lost = traced.lost_before + pdus.lost_before;
    if lost > 0 {
        let _ = writeln!(text, "# {lost} reads or writes are missing here");
    }
    let _ = writeln!(
        text,
        "# {}.{:06} core {} connection {}.{} {direction}",
        since.as_secs(),
        since.subsec_micros(),
        traced.core.0,
        pdus.connection.index,
        pdus.connection.generation,
    );
    text.push_str(&decode_octets(&pdus.octets).output);
    text.push('\n');
    text
}
