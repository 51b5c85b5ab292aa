//! The mark that each simulated message carries in its text, so that the far side can tell loss, duplication and mixing.
//!
//! A token names the run (one simulator process), the stream (one connection of it) and the message's number in the
//! stream. Its check value covers these and, unless switched off, both addresses: a text that was joined with another
//! message's addresses on the way is detected. Fixed width, printable ASCII, at the front of the text.

use crate::hexadecimal;
use clap::ValueEnum;

/// Octets of a token in a message's text.
pub(crate) const TOKEN_OCTETS: usize = 27;

/// Whether messages carry tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenMode {
    /// With a check value over the message's addresses.
    Addresses,
    /// Without the addresses in the check value, for systems that rewrite them.
    Plain,
    /// No tokens: the text goes out as given, and loss or duplication is only seen by the answers.
    None,
}

/// Who sent a message, and which of theirs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    /// The simulator process.
    pub(crate) run: u16,
    /// The connection of that process; 24 bits.
    pub(crate) stream: u32,
    /// The message's number in the stream, from 0.
    pub(crate) number: u32,
}

/// What stands at the front of a received text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// An intact token that belongs to these addresses.
    Token(Token),
    /// It has a token's form, but its check value is wrong: text and addresses are not of one message.
    Damaged,
    /// No token.
    Foreign,
}

const FENCE: u8 = b'~';
const JOINT_ADDRESSES: u8 = b'-';
const JOINT_PLAIN: u8 = b'=';
const STREAM_BITS: u32 = 24;

impl Token {
    /// Appends the token for a message between these addresses; nothing with [`TokenMode::None`].
    pub(crate) fn write(self, mode: TokenMode, source: &[u8], destination: &[u8], out: &mut Vec<u8>) {
        let (joint, check) = match mode {
            TokenMode::None => return,
            TokenMode::Addresses => (JOINT_ADDRESSES, self.check(&[source, destination])),
            TokenMode::Plain => (JOINT_PLAIN, self.check(&[])),
        };
        out.push(FENCE);
        push_hex(self.run.into(), 4, out);
        push_hex(self.stream.into(), 6, out);
        out.push(joint);
        push_hex(self.number.into(), 8, out);
        out.push(joint);
        push_hex(check.into(), 4, out);
        out.extend_from_slice(&[FENCE, b' ']);
    }

    /// The token at the front of `text`, checked against the addresses that came with it.
    pub(crate) fn read(text: &[u8], source: &[u8], destination: &[u8]) -> Marked {
        let Some([FENCE, fields @ .., FENCE, b' ']) = text.first_chunk::<TOKEN_OCTETS>() else {
            return Marked::Foreign;
        };
        let joint = fields[10];
        if fields[19] != joint || !matches!(joint, JOINT_ADDRESSES | JOINT_PLAIN) {
            return Marked::Damaged;
        }
        let parsed = (
            read_hex(&fields[..4]),
            read_hex(&fields[4..10]),
            read_hex(&fields[11..19]),
            read_hex(&fields[20..]),
        );
        let (Some(run), Some(stream), Some(number), Some(check)) = parsed else {
            return Marked::Damaged;
        };
        let token = Self {
            run: run as u16,
            stream,
            number,
        };
        let expected = if joint == JOINT_ADDRESSES {
            token.check(&[source, destination])
        } else {
            token.check(&[])
        };
        if check == u32::from(expected) {
            Marked::Token(token)
        } else {
            Marked::Damaged
        }
    }

    /// Appends the form that stands in message ids: `RRRRSSSSSSNNNNNNNN`.
    pub(crate) fn write_id(self, out: &mut Vec<u8>) {
        push_hex(self.run.into(), 4, out);
        push_hex(self.stream.into(), 6, out);
        push_hex(self.number.into(), 8, out);
    }

    /// Reads what [`Self::write_id`] wrote.
    pub(crate) fn read_id(text: &[u8]) -> Option<Self> {
        Some(Self {
            run: read_hex(text.get(..4)?)? as u16,
            stream: read_hex(text.get(4..10)?)?,
            number: read_hex(text.get(10..18)?)?,
        })
    }

    /// What names the stream among all runs.
    pub(crate) const fn stream_key(self) -> u64 {
        ((self.run as u64) << STREAM_BITS) | self.stream as u64
    }

    /// FNV-1a over the fields and addresses, folded to 16 bits.
    fn check(self, addresses: &[&[u8]]) -> u16 {
        const BASIS: u32 = 0x811C_9DC5;
        const PRIME: u32 = 0x0100_0193;
        let step = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(PRIME);
        let mut hash = self.run.to_be_bytes().iter().fold(BASIS, step);
        hash = self.stream.to_be_bytes().iter().fold(hash, step);
        hash = self.number.to_be_bytes().iter().fold(hash, step);
        for address in addresses {
            hash = address.iter().fold(hash, step);
            hash = step(hash, &0);
        }
        (hash ^ (hash >> 16)) as u16
    }
}

/// Appends the low `digits` hexadecimal digits of `value`.
pub(crate) fn push_hex(value: u64, digits: u32, out: &mut Vec<u8>) {
    out.extend(hexadecimal::digits(value, digits));
}

/// Reads at most eight hexadecimal digits; `None` for anything else.
pub(crate) fn read_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        Some((value << 4) | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = Token {
        run: 0xBEEF,
        stream: 0x12_3456,
        number: 77,
    };

    fn text(mode: TokenMode) -> Vec<u8> {
        let mut text = Vec::new();
        TOKEN.write(mode, b"447700", b"888765", &mut text);
        text.extend_from_slice(b"hello");
        text
    }

    /// Goal: a token is read back; with other addresses or any octet changed it is not taken for a good one.
    #[test]
    fn a_token_belongs_to_its_message() {
        let original = text(TokenMode::Addresses);
        assert_eq!(original.len(), TOKEN_OCTETS + 5);
        assert_eq!(Token::read(&original, b"447700", b"888765"), Marked::Token(TOKEN));
        assert_eq!(Token::read(&original, b"447700", b"888766"), Marked::Damaged);
        assert_eq!(Token::read(&original, b"44770", b"0888765"), Marked::Damaged);
        for at in 0..TOKEN_OCTETS {
            let mut changed = original.clone();
            changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
            let marked = Token::read(&changed, b"447700", b"888765");
            assert!(!matches!(marked, Marked::Token(_)), "octet {at}: {marked:?}");
        }
    }

    /// Goal: the plain form survives rewritten addresses, no token is foreign, ids carry the same fields.
    #[test]
    fn other_forms() {
        assert_eq!(
            Token::read(&text(TokenMode::Plain), b"x", b"y"),
            Marked::Token(TOKEN)
        );
        assert_eq!(
            Token::read(&text(TokenMode::None), b"447700", b"888765"),
            Marked::Foreign
        );
        assert_eq!(Token::read(b"", b"", b""), Marked::Foreign);
        let mut id = Vec::new();
        TOKEN.write_id(&mut id);
        assert_eq!(Token::read_id(&id), Some(TOKEN));
        assert_eq!(Token::read_id(&id[1..]), None);
    }
}
