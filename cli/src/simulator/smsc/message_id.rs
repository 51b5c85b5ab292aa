//! The ids that the simulated message centre gives to messages: unique, in the form that was asked for, and read back.

use smppmux_engine::core::wire::Version;

use super::choice::{MessageIdFormat, ReceiptIdFormat};
use crate::simulator::random::mix;
use crate::simulator::token::{Token, push_hex};

/// The id of one accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageId {
    /// Unique in this message centre.
    pub(super) number: u64,
    /// What the message carried.
    pub(super) token: Option<Token>,
}

/// How ids look on one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdForm {
    pub(super) format: MessageIdFormat,
    /// Tells this message centre's UUIDs from those of others.
    pub(super) run: u16,
}

impl IdForm {
    /// The form towards a peer of this version: v3.3 takes at most eight characters.
    pub(super) fn towards(self, version: Version) -> Self {
        let fits = version.has_tlvs() || self.format == MessageIdFormat::Decimal;
        Self {
            format: if fits { self.format } else { MessageIdFormat::Hex },
            ..self
        }
    }

    /// Appends the id.
    pub(super) fn write(self, id: MessageId, out: &mut Vec<u8>) {
        match (self.format, id.token) {
            (MessageIdFormat::Token, Some(token)) => {
                out.push(b't');
                token.write_id(out);
                out.push(b'.');
                push_hex(id.number, 8, out);
            }
            (MessageIdFormat::Token, None) | (MessageIdFormat::Decimal, _) => {
                out.extend_from_slice(id.number.to_string().as_bytes());
            }
            (MessageIdFormat::Hex, _) => push_hex(id.number, 8, out),
            (MessageIdFormat::Uuid, _) => self.write_uuid(id.number, out),
        }
    }

    /// Appends the id as a receipt names it.
    pub(super) fn write_in_receipt(self, id: MessageId, format: ReceiptIdFormat, out: &mut Vec<u8>) {
        match format {
            ReceiptIdFormat::Same => self.write(id, out),
            ReceiptIdFormat::Decimal => out.extend_from_slice(id.number.to_string().as_bytes()),
            ReceiptIdFormat::Hex => push_hex(id.number, 8, out),
        }
    }

    /// The number of an id in this form; `None` for anything that this message centre cannot have given out.
    pub(super) fn parse(self, text: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(text).ok()?;
        match self.format {
            MessageIdFormat::Token => match text.strip_prefix('t') {
                Some(rest) => u64::from_str_radix(rest.split_once('.')?.1, 16).ok(),
                None => text.parse().ok(),
            },
            MessageIdFormat::Decimal => text.parse().ok(),
            MessageIdFormat::Hex => u64::from_str_radix(text, 16).ok(),
            MessageIdFormat::Uuid => {
                let digits: String = text.split('-').collect();
                let low = u64::from_str_radix(digits.get(16..)?, 16).ok()?;
                Some(low & UUID_NUMBER)
            }
        }
    }

    /// A version 8 UUID (RFC 9562 section 5.8): the run in front, the number at the end.
    fn write_uuid(self, number: u64, out: &mut Vec<u8>) {
        let high = mix(self.run.into());
        push_hex(high >> 32, 8, out);
        out.push(b'-');
        push_hex(high >> 16, 4, out);
        out.extend_from_slice(b"-8");
        push_hex(high, 3, out);
        out.push(b'-');
        push_hex(UUID_VARIANT | (number >> 48), 4, out);
        out.push(b'-');
        push_hex(number, 12, out);
    }
}

const UUID_VARIANT: u64 = 0x8000;
/// The bits of a UUID's lower half that hold the number.
const UUID_NUMBER: u64 = 0x3FFF_FFFF_FFFF_FFFF;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::check::token_of_id;

    const TOKEN: Token = Token {
        run: 7,
        stream: 3,
        number: 99,
    };

    /// Goal: each form is read back to its number, ids differ, and all leave room for a tag of ten characters in 64.
    #[test]
    fn ids_are_read_back() {
        for format in [
            MessageIdFormat::Token,
            MessageIdFormat::Decimal,
            MessageIdFormat::Hex,
            MessageIdFormat::Uuid,
        ] {
            let form = IdForm { format, run: 5 };
            let mut seen = std::collections::HashSet::new();
            for number in [1, 2, 0xFFFF_FFFF] {
                let mut text = Vec::new();
                let token = Some(TOKEN);
                form.write(MessageId { number, token }, &mut text);
                assert!(text.len() <= 54);
                assert_eq!(form.parse(&text), Some(number), "{format:?}");
                assert!(seen.insert(text));
            }
            assert_eq!(form.parse(b"no id"), None, "{format:?}");
        }
    }

    /// Goal: the token in an id is found, also when the id was tagged on the way.
    #[test]
    fn the_token_survives_a_tag() {
        let mut text = Vec::new();
        let form = IdForm {
            format: MessageIdFormat::Token,
            run: 5,
        };
        let token = Some(TOKEN);
        form.write(MessageId { number: 1, token }, &mut text);
        assert_eq!(token_of_id(&text), token);
        text.extend_from_slice(b"#mx-0A");
        assert_eq!(token_of_id(&text), token);
    }

    /// Goal: a v3.3 peer gets eight characters where the form of its message centre has more.
    #[test]
    fn old_peers_get_short_ids() {
        let form = IdForm {
            format: MessageIdFormat::Uuid,
            run: 5,
        };
        let mut text = Vec::new();
        let id = MessageId {
            number: 77,
            token: None,
        };
        form.towards(Version::from_interface_version(0x33))
            .write(id, &mut text);
        assert_eq!(text, b"0000004d");
    }
}
