//! The text of a receipt: `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`.
//!
//! The specification prints this as an example, so everything varies: order, letter case, which fields are there, and the
//! separator inside `submit date`. One pass over the octets, no allocation, no assumption about the character set but
//! that these keys are ASCII.

use std::ops::Range;

use crate::core::wire::walk::octets;

/// Where the fields of a receipt's text stand in the PDU, without their keys; `None` for those it does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptText {
    /// `id`: the message.
    pub id: Option<Range<usize>>,
    /// `sub`: how many messages were submitted.
    pub sub: Option<Range<usize>>,
    /// `dlvrd`: how many were delivered.
    pub dlvrd: Option<Range<usize>>,
    /// `submit date`: 10, 12 or 14 digits.
    pub submit_date: Option<Range<usize>>,
    /// `done date`: 10, 12 or 14 digits.
    pub done_date: Option<Range<usize>>,
    /// `stat`: the state.
    pub stat: Option<Range<usize>>,
    /// `err`: an error code, not always numeric.
    pub err: Option<Range<usize>>,
    /// `text`: the first characters of the message, to the end.
    pub text: Option<Range<usize>>,
}

impl ReceiptText {
    /// Reads the text that stands at `range` of `pdu`. The first of repeated fields counts. `text` ends the search once
    /// an id was found: what a subscriber wrote is not to be mistaken for a field.
    pub fn read(pdu: &[u8], range: Range<usize>) -> Self {
        let mut fields = Self::default();
        let mut at = range.start;
        while at < range.end {
            let rest = octets(pdu, at..range.end);
            let Some((key, key_octets)) = key_at(rest) else {
                at += octets_to_next_word(rest);
                continue;
            };
            let from = at + key_octets;
            if key == Key::Text {
                fields.text.get_or_insert(from..range.end);
                if fields.id.is_some() {
                    break;
                }
                at = from;
                continue;
            }
            let value = value_at(octets(pdu, from..range.end));
            at = from + value.end;
            fields.place(key).get_or_insert(from + value.start..at);
        }
        fields.id = fields.id.filter(|id| !id.is_empty());
        fields
    }

    fn place(&mut self, key: Key) -> &mut Option<Range<usize>> {
        match key {
            Key::Id => &mut self.id,
            Key::Sub => &mut self.sub,
            Key::Dlvrd => &mut self.dlvrd,
            Key::SubmitDate => &mut self.submit_date,
            Key::DoneDate => &mut self.done_date,
            Key::Stat => &mut self.stat,
            Key::Err => &mut self.err,
            Key::Text => &mut self.text,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// The keys in lower case. A `_` stands for a space, an underscore or nothing.
const KEYS: [(&[u8], Key); 8] = [
    (b"id:", Key::Id),
    (b"sub:", Key::Sub),
    (b"dlvrd:", Key::Dlvrd),
    (b"submit_date:", Key::SubmitDate),
    (b"done_date:", Key::DoneDate),
    (b"stat:", Key::Stat),
    (b"err:", Key::Err),
    (b"text:", Key::Text),
];

/// The key at the front of `text`, and its octets.
fn key_at(text: &[u8]) -> Option<(Key, usize)> {
    KEYS.iter()
        .find_map(|(pattern, key)| Some((*key, octets_of_key(text, pattern)?)))
}

fn octets_of_key(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut at = 0;
    for expected in pattern {
        let octet = *text.get(at)?;
        if *expected == b'_' {
            at += usize::from(matches!(octet, b' ' | b'_'));
        } else if octet.to_ascii_lowercase() == *expected {
            at += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

/// The value at the front of `text`: one word, after spaces; empty where another key follows at once.
fn value_at(text: &[u8]) -> Range<usize> {
    let spaces = text.iter().take_while(|octet| **octet == b' ').count();
    let word = text.get(spaces..).unwrap_or_default();
    if spaces > 0 && key_at(word).is_some() {
        return 0..0;
    }
    let characters = word.iter().take_while(|octet| !is_separator(**octet)).count();
    spaces..spaces + characters
}

fn octets_to_next_word(text: &[u8]) -> usize {
    let word = text.iter().take_while(|octet| !is_separator(**octet)).count();
    let separators = text
        .iter()
        .skip(word)
        .take_while(|octet| is_separator(**octet))
        .count();
    word + separators
}

const fn is_separator(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(&'static str, &str)> {
        let fields = ReceiptText::read(text.as_bytes(), 0..text.len());
        [
            ("id", fields.id),
            ("sub", fields.sub),
            ("dlvrd", fields.dlvrd),
            ("submit date", fields.submit_date),
            ("done date", fields.done_date),
            ("stat", fields.stat),
            ("err", fields.err),
            ("text", fields.text),
        ]
        .into_iter()
        .filter_map(|(name, range)| Some((name, &text[range?])))
        .collect()
    }

    /// Goal: order, letter case, missing and empty fields, and odd spacing do not hide a field.
    #[test]
    fn odd_texts_are_read() {
        assert_eq!(
            read(
                "id:7 sub:001 dlvrd:000 submit date:2509221145 done date:2509221147 stat:EXPIRED err:0A Text:a b"
            ),
            [
                ("id", "7"),
                ("sub", "001"),
                ("dlvrd", "000"),
                ("submit date", "2509221145"),
                ("done date", "2509221147"),
                ("stat", "EXPIRED"),
                ("err", "0A"),
                ("text", "a b"),
            ]
        );
        assert_eq!(
            read("STAT:DELIVRD\r\nID:ab-cd#1"),
            [("id", "ab-cd#1"), ("stat", "DELIVRD")]
        );
        assert_eq!(
            read("id: 9 err: stat:UNDELIV submit_date:25"),
            [
                ("id", "9"),
                ("submit date", "25"),
                ("stat", "UNDELIV"),
                ("err", "")
            ]
        );
        assert_eq!(read("message id:9"), [("id", "9")]);
        assert_eq!(
            read("text:hi id:9 stat:X"),
            [("id", "9"), ("stat", "X"), ("text", "hi id:9 stat:X")]
        );
        assert_eq!(read("your bid:9 is in"), []);
        assert_eq!(read("id: "), []);
    }

    /// Goal: what the subscriber wrote is not taken for a field.
    #[test]
    fn the_message_text_holds_no_fields() {
        assert_eq!(
            read("id:7 text:stat:DELIVRD id:8"),
            [("id", "7"), ("text", "stat:DELIVRD id:8")]
        );
    }
}
