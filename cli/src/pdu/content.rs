//! What a message carries: its user data header, the part that it is of a longer message, its text, its
//! receipt.

use super::characters;
use smppmux_engine::core::wire::{
    CommandId, Concatenation, ConcatenationKind, DataView, EsmClass, Header, MessageView, Receipt,
    ReceiptKind, UserDataHeader,
};
use std::fmt::Write as _;
use std::ops::Range;

/// Names of information elements (3GPP TS 23.040 section 9.2.3.24).
const ELEMENTS: [(u8, &str); 12] = [
    (0x00, "concatenated message, 8-bit reference"),
    (0x01, "special SMS message indication"),
    (0x04, "application ports, 8 bits"),
    (0x05, "application ports, 16 bits"),
    (0x06, "SMSC control parameters"),
    (0x07, "UDH source indicator"),
    (0x08, "concatenated message, 16-bit reference"),
    (0x0A, "text formatting"),
    (0x0C, "user defined sound"),
    (0x20, "RFC 822 e-mail header"),
    (0x24, "national language, single shift"),
    (0x25, "national language, locking shift"),
];

/// A message's user data and what says how to read it.
struct Message<'a> {
    pdu: &'a [u8],
    esm_class: EsmClass,
    data_coding: u8,
    user_data: &'a [u8],
    user_data_start: usize,
    concatenation: Option<Concatenation>,
    receipt: Option<Receipt<'a>>,
}

/// Lines about the user data of a submit_sm, deliver_sm or data_sm; nothing for other PDUs and broken ones.
pub(super) fn describe(pdu: &[u8]) -> String {
    let Some(message) = Message::of(pdu) else {
        return String::new();
    };
    let mut text = String::new();
    let header = if message.esm_class.has_user_data_header() {
        UserDataHeader::read(message.user_data)
    } else {
        None
    };
    let header_octets = header.as_ref().map_or(0, UserDataHeader::octets);
    if let Some(header) = header {
        let _ = writeln!(text, "  user data header, {header_octets} octets");
        describe_elements(&mut text, header, message.user_data_start);
    } else if message.esm_class.has_user_data_header() {
        text += "  user data header: announced by esm_class, but it reaches past the user data\n";
    }
    if let Some(concatenation) = &message.concatenation {
        describe_concatenation(&mut text, concatenation);
    }
    let content = message.user_data.get(header_octets..).unwrap_or_default();
    if !content.is_empty() {
        let _ = writeln!(text, "  text: {}", characters::text(message.data_coding, content));
    }
    if let Some(receipt) = &message.receipt {
        describe_receipt(&mut text, message.pdu, receipt);
    }
    text
}

impl<'a> Message<'a> {
    fn of(pdu: &'a [u8]) -> Option<Self> {
        match Header::read(pdu)?.command_id {
            command @ (CommandId::SUBMIT_SM | CommandId::DELIVER_SM) => {
                let view = MessageView::parse(pdu).ok()?;
                Some(Self {
                    pdu,
                    esm_class: EsmClass(view.esm_class()),
                    data_coding: view.data_coding(),
                    user_data: view.user_data(),
                    user_data_start: view.user_data_range().start,
                    concatenation: Concatenation::of_message(&view),
                    receipt: Receipt::of_message(&view).filter(|_| command == CommandId::DELIVER_SM),
                })
            }
            CommandId::DATA_SM => {
                let view = DataView::parse(pdu).ok()?;
                Some(Self {
                    pdu,
                    esm_class: EsmClass(view.esm_class()),
                    data_coding: view.data_coding(),
                    user_data: view.user_data(),
                    user_data_start: view.user_data_range().map_or(0, |range| range.start),
                    concatenation: Concatenation::of_data(&view),
                    receipt: Receipt::of_data(&view),
                })
            }
            _ => None,
        }
    }
}

fn describe_elements(text: &mut String, header: UserDataHeader<'_>, start: usize) {
    for element in header {
        let name = ELEMENTS
            .iter()
            .find(|(identifier, _)| *identifier == element.identifier)
            .map_or("other", |(_, name)| name);
        let data: Vec<String> = element.data.iter().map(|octet| format!("{octet:02x}")).collect();
        let _ = writeln!(
            text,
            "    octet {}: element 0x{:02X}, {name}: {}",
            start + element.data_range.start.saturating_sub(2),
            element.identifier,
            data.join(" ")
        );
    }
}

fn describe_concatenation(text: &mut String, concatenation: &Concatenation) {
    let how = match concatenation.kind {
        ConcatenationKind::Udh8 => "8-bit reference",
        ConcatenationKind::Udh16 => "16-bit reference",
        ConcatenationKind::Sar => "SAR reference",
    };
    let _ = writeln!(
        text,
        "  segment {} of {}, {how} {}",
        concatenation.sequence, concatenation.total, concatenation.reference
    );
}

fn describe_receipt(text: &mut String, pdu: &[u8], receipt: &Receipt<'_>) {
    text.push_str(match receipt.kind {
        ReceiptKind::Delivery => "  delivery receipt",
        ReceiptKind::Intermediate => "  intermediate notification",
    });
    if let Some(id) = receipt.message_id() {
        let _ = write!(text, " for message \"{}\"", id.escape_ascii());
    }
    if let Some(state) = receipt.state() {
        let finality = if receipt.is_final() {
            "final"
        } else {
            "others may follow"
        };
        let _ = write!(text, ": {state}, {finality}");
    }
    text.push('\n');
    let fields = &receipt.text;
    for (name, range) in [
        ("id", &fields.id),
        ("sub", &fields.sub),
        ("dlvrd", &fields.dlvrd),
        ("submit date", &fields.submit_date),
        ("done date", &fields.done_date),
        ("stat", &fields.stat),
        ("err", &fields.err),
        ("text", &fields.text),
    ] {
        if let Some(range) = range {
            describe_receipt_field(text, pdu, name, range);
        }
    }
}

fn describe_receipt_field(text: &mut String, pdu: &[u8], name: &str, range: &Range<usize>) {
    let value = pdu.get(range.clone()).unwrap_or_default();
    let date = if name.ends_with("date") {
        date_words(value)
    } else {
        None
    };
    let date = date.map(|date| format!("  ({date})")).unwrap_or_default();
    let _ = writeln!(
        text,
        "    octet {}: {name} = \"{}\"{date}",
        range.start,
        value.escape_ascii()
    );
}

/// `YYMMDDhhmm` and `YYMMDDhhmmss` with separators; other lengths speak for themselves.
fn date_words(digits: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    let pair = |index: usize| digits.get(index * 2..index * 2 + 2);
    let seconds = match digits.len() {
        10 => String::new(),
        12 => format!(":{}", pair(5)?),
        _ => return None,
    };
    Some(format!(
        "20{}-{}-{} {}:{}{seconds}",
        pair(0)?,
        pair(1)?,
        pair(2)?,
        pair(3)?,
        pair(4)?
    ))
}
