//! The text of simulated messages: where it comes from, how it is cut into segments, and where it stands in the PDU.
//!
//! Source: SMPP v3.4 section 5.2.22 and 5.3.2.32; 3GPP TS 23.040 section 9.2.3.24 for user data headers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::token::{TOKEN_OCTETS, Token, TokenMode};

/// How the segments of one message are tied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Concatenation {
    /// A user data header with an 8-bit reference.
    Udh8,
    /// A user data header with a 16-bit reference.
    Udh16,
    /// The sar_* TLVs.
    Sar,
}

/// The text of messages and how it is sent.
#[derive(Args, Clone, Debug)]
pub struct PayloadArguments {
    /// Text of each message; a token that tells messages apart goes before it.
    #[arg(
        long,
        default_value = "smppmux load",
        group = "payload",
        help_heading = "Payload"
    )]
    pub text: String,
    /// Octets of each message, in hexadecimal, instead of --text.
    #[arg(long, value_name = "HEX", group = "payload", help_heading = "Payload")]
    pub hex: Option<String>,
    /// So many octets of filler instead of --text.
    #[arg(long, value_name = "OCTETS", group = "payload", help_heading = "Payload")]
    pub size: Option<usize>,
    /// The contents of a file instead of --text.
    #[arg(long, value_name = "FILE", group = "payload", help_heading = "Payload")]
    pub file: Option<PathBuf>,
    /// data_coding of each message.
    #[arg(long, default_value_t = 0, help_heading = "Payload")]
    pub data_coding: u8,
    /// Send each message in segments, tied together in this way.
    #[arg(long, value_enum, help_heading = "Payload")]
    pub concatenate: Option<Concatenation>,
    /// Segments of each message at least; more where the text needs them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..), requires = "concatenate", help_heading = "Payload")]
    pub parts: u8,
    /// Put the text into the message_payload TLV instead of short_message.
    #[arg(long, help_heading = "Payload")]
    pub message_payload: bool,
    /// The token in each message's text: what its check value covers, or none.
    #[arg(long, value_enum, default_value = "addresses", help_heading = "Payload")]
    pub token: TokenMode,
}

/// The text of messages, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    segments: Vec<Vec<u8>>,
    pub(crate) concatenation: Option<Concatenation>,
    pub(crate) in_message_payload: bool,
    pub(crate) data_coding: u8,
    token: TokenMode,
}

const SHORT_MESSAGE_OCTETS_MAX: usize = 254;
const MESSAGE_PAYLOAD_OCTETS_MAX: usize = 65_535;
const SEGMENTS_MAX: usize = 255;

impl Payload {
    /// Reads and cuts the text. `has_short_message` is false for data_sm, which has no such field.
    ///
    /// # Errors
    /// A sentence that says what does not fit or cannot be read.
    pub(crate) fn new(arguments: &PayloadArguments, has_short_message: bool) -> Result<Self, String> {
        let text = arguments.octets()?;
        let in_message_payload = arguments.message_payload || !has_short_message;
        let token_octets = if arguments.token == TokenMode::None {
            0
        } else {
            TOKEN_OCTETS
        };
        let segments = match arguments.concatenate {
            Some(concatenation) => {
                let room = segment_octets(concatenation, arguments.data_coding) - token_octets;
                cut(&text, room, arguments.parts.into())?
            }
            None => vec![text],
        };
        let most = if in_message_payload {
            MESSAGE_PAYLOAD_OCTETS_MAX
        } else {
            SHORT_MESSAGE_OCTETS_MAX
        };
        let longest = segments.iter().map(Vec::len).max().unwrap_or_default() + token_octets;
        if longest > most && arguments.concatenate.is_none() {
            return Err(format!(
                "a text of {longest} octets (token included) does not fit into {most}: use --concatenate{}",
                if in_message_payload {
                    ""
                } else {
                    " or --message-payload"
                }
            ));
        }
        Ok(Self {
            segments,
            concatenation: arguments.concatenate,
            in_message_payload,
            data_coding: arguments.data_coding,
            token: arguments.token,
        })
    }

    /// PDUs of each message.
    pub(crate) const fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether TLVs are needed to send it; a v3.3 peer knows none.
    pub(crate) fn needs_tlvs(&self) -> bool {
        self.in_message_payload || self.concatenation == Some(Concatenation::Sar)
    }

    /// The esm_class bit that announces a user data header.
    pub(crate) const fn esm_class(&self) -> u8 {
        const UDH_INDICATOR: u8 = 0x40;
        match self.concatenation {
            Some(Concatenation::Udh8 | Concatenation::Udh16) => UDH_INDICATOR,
            Some(Concatenation::Sar) | None => 0,
        }
    }

    /// Appends the user data of segment `part` (from 0): header, token, text.
    pub(crate) fn write_user_data(
        &self,
        part: usize,
        reference: u16,
        token: Token,
        addresses: (&[u8], &[u8]),
        out: &mut Vec<u8>,
    ) {
        let [high, low] = reference.to_be_bytes();
        let (total, number) = (self.segments.len() as u8, part as u8 + 1);
        match self.concatenation {
            Some(Concatenation::Udh8) => out.extend_from_slice(&[5, 0, 3, low, total, number]),
            Some(Concatenation::Udh16) => out.extend_from_slice(&[6, 8, 4, high, low, total, number]),
            Some(Concatenation::Sar) | None => {}
        }
        token.write(self.token, addresses.0, addresses.1, out);
        if let Some(text) = self.segments.get(part) {
            out.extend_from_slice(text);
        }
    }
}

impl PayloadArguments {
    fn octets(&self) -> Result<Vec<u8>, String> {
        if let Some(digits) = &self.hex {
            return parse_hex(digits);
        }
        if let Some(path) = &self.file {
            return std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        }
        Ok(match self.size {
            Some(octets) if octets > MESSAGE_PAYLOAD_OCTETS_MAX => {
                return Err(format!("--size {octets}: at most {MESSAGE_PAYLOAD_OCTETS_MAX}"));
            }
            Some(octets) => (b'a'..=b'z').cycle().take(octets).collect(),
            None => self.text.clone().into_bytes(),
        })
    }
}

/// The user data behind a user data header, or of a whole message without one. A header that reaches past the end is
/// none (3GPP TS 23.040 leaves such data to the application).
pub(crate) fn behind_user_data_header(esm_class: u8, user_data: &[u8]) -> &[u8] {
    if esm_class & 0x40 == 0 {
        return user_data;
    }
    let header_octets = user_data.first().map_or(0, |octets| usize::from(*octets) + 1);
    user_data.get(header_octets..).unwrap_or(user_data)
}

/// Octets of text and token that one segment takes: what fits one short message of a GSM network.
const fn segment_octets(concatenation: Concatenation, data_coding: u8) -> usize {
    let is_seven_bit = data_coding <= 1;
    match (concatenation, is_seven_bit) {
        (Concatenation::Udh8 | Concatenation::Sar, true) => 153,
        (Concatenation::Udh16, true) => 152,
        (Concatenation::Udh8 | Concatenation::Sar, false) => 134,
        (Concatenation::Udh16, false) => 133,
    }
}

/// Cuts `text` into at least `parts` pieces of at most `room` octets.
fn cut(text: &[u8], room: usize, parts: usize) -> Result<Vec<Vec<u8>>, String> {
    let count = text.len().div_ceil(room).max(parts);
    if count > SEGMENTS_MAX {
        return Err(format!(
            "a text of {} octets needs {count} segments, more than {SEGMENTS_MAX}",
            text.len()
        ));
    }
    let share = text.len().div_ceil(count).max(1);
    let mut pieces: Vec<Vec<u8>> = text.chunks(share).map(<[u8]>::to_vec).collect();
    pieces.resize(count, Vec::new());
    Ok(pieces)
}

fn parse_hex(digits: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("--hex {digits}: not pairs of hexadecimal digits");
    let values: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
    let values = values
        .filter(|values| values.len().is_multiple_of(2))
        .ok_or_else(wrong)?;
    Ok(values
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        payload: PayloadArguments,
    }

    fn payload(flags: &str) -> Result<Payload, String> {
        let line = Line::try_parse_from(std::iter::once("test").chain(flags.split_whitespace()));
        Payload::new(&line.map_err(|error| error.to_string())?.payload, true)
    }

    const TOKEN: Token = Token {
        run: 1,
        stream: 2,
        number: 3,
    };

    /// Goal: all segments together carry the text once, each within the limit and with its header in front.
    #[test]
    fn segments_carry_the_text_once() {
        for (flags, header) in [("udh8", 6), ("udh16", 7), ("sar", 0)] {
            let payload = payload(&format!("--size 1000 --concatenate {flags}")).expect("it fits");
            let mut joined = Vec::new();
            for part in 0..payload.segments() {
                let mut user_data = Vec::new();
                payload.write_user_data(part, 0x0102, TOKEN, (b"1", b"2"), &mut user_data);
                assert!(user_data.len() <= 160, "{flags}");
                let text = behind_user_data_header(payload.esm_class(), &user_data);
                assert_eq!(user_data.len() - text.len(), header, "{flags}");
                assert_eq!(
                    Token::read(text, b"1", b"2"),
                    super::super::token::Marked::Token(TOKEN)
                );
                joined.extend_from_slice(&text[TOKEN_OCTETS..]);
            }
            assert_eq!(joined.len(), 1000, "{flags}");
        }
        assert_eq!(
            payload("--text hi --concatenate sar --parts 3")
                .expect("it fits")
                .segments(),
            3
        );
    }

    /// Goal: what does not fit is refused before anything is sent.
    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(payload("--size 227").is_ok());
        assert!(payload("--size 228").is_err());
        assert!(payload("--size 60000 --message-payload").is_ok());
        assert!(payload("--size 60000 --concatenate udh8").is_err());
        assert!(payload("--hex abc").is_err());
        assert!(payload("--hex zz").is_err());
    }

    /// Goal: a header length that reaches past the text is no header.
    #[test]
    fn a_broken_header_is_text() {
        assert_eq!(behind_user_data_header(0x40, &[9, 1, 2]), [9, 1, 2]);
        assert_eq!(behind_user_data_header(0x40, b""), b"");
        assert_eq!(behind_user_data_header(0, &[1, 2]), [1, 2]);
    }
}
