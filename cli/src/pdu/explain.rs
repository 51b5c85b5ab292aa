//! `pdu explain`: commands, statuses and TLVs by name, part of a name, or number.

use crate::exit::{self, Failure};
use smppmux_engine::core::wire::{CommandId, Status, Tag, TlvType};

/// Lines about everything that `word` names.
///
/// # Errors
///
/// Exit code 65 when it names nothing.
pub(crate) fn explain(word: &str) -> Result<String, Failure> {
    let found = match number(word) {
        Some(number) => by_number(number),
        None => by_name(word),
    };
    if found.is_empty() {
        let reason = format!("no command, status or TLV of SMPP v3.4 or v5.0 is called or numbered {word}");
        return Err(Failure::new(exit::DATA, reason));
    }
    Ok(found.into_iter().map(|line| line + "\n").collect())
}

fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn by_number(number: u32) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(command_line(CommandId(number)));
    lines.extend(status_line(Status(number)));
    lines.extend(
        u16::try_from(number)
            .ok()
            .and_then(|number| tag_line(Tag(number))),
    );
    lines
}

/// An exact name alone, where there is one; else every name that contains the word.
fn by_name(word: &str) -> Vec<String> {
    let word = word.to_ascii_lowercase();
    let all: Vec<(&str, String)> = CommandId::ALL
        .iter()
        .filter_map(|command| Some((command.name()?, command_line(*command)?)))
        .chain(
            Status::ALL
                .iter()
                .filter_map(|status| Some((status.name()?, status_line(*status)?))),
        )
        .chain(
            Tag::ALL
                .iter()
                .filter_map(|tag| Some((tag.name()?, tag_line(*tag)?))),
        )
        .collect();
    let respelt = Status::from_name(&word.to_ascii_uppercase()).and_then(status_line);
    let exact: Vec<String> = all
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(&word))
        .map(|(_, line)| line.clone())
        .collect();
    if !exact.is_empty() {
        return exact;
    }
    if let Some(line) = respelt {
        return vec![line];
    }
    all.into_iter()
        .filter(|(name, _)| !word.is_empty() && name.to_ascii_lowercase().contains(&word))
        .map(|(_, line)| line)
        .collect()
}

fn command_line(command: CommandId) -> Option<String> {
    let name = command.name()?;
    let what = match () {
        () if command == CommandId::GENERIC_NACK => "an answer to what could not be read".into(),
        () if command.is_response() => format!("the answer to {}", command.request()),
        () if command.has_response() => format!("a request, answered by {}", command.response()),
        () => "a request without an answer".into(),
    };
    Some(format!("command 0x{:08X}  {name}: {what}", command.0))
}

fn status_line(status: Status) -> Option<String> {
    Some(format!(
        "status  0x{:08X}  {}: {} ({})",
        status.0,
        status.name()?,
        status.meaning()?,
        status.0
    ))
}

fn tag_line(tag: Tag) -> Option<String> {
    let definition = tag.definition()?;
    let octets = if definition.octets_min == definition.octets_max {
        definition.octets_min.to_string()
    } else {
        format!("{} to {}", definition.octets_min, definition.octets_max)
    };
    let kind = match definition.value_type {
        TlvType::Integer => "an integer",
        TlvType::Text => "text",
        TlvType::Octets => "octets",
    };
    let since = if tag.is_since_v50() { ", since v5.0" } else { "" };
    Some(format!(
        "TLV     0x{:04X}      {}: {kind} of {octets} octets{since}",
        tag.0, definition.name
    ))
}
