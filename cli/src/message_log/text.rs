//! Octets as they stand in a line: a message's text, and hexadecimal.

use crate::pdu::characters;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits.
pub(super) fn push_hexadecimal(text: &mut String, octet: u8) {
    for half in [octet >> 4, octet & 0x0F] {
        text.push(char::from(DIGITS[usize::from(half)]));
    }
}

/// All octets.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        push_hexadecimal(&mut text, *octet);
    }
    text
}

/// The characters of a message's text, where its data_coding says how to read them.
pub(super) fn characters(data_coding: u8, octets: &[u8]) -> Option<String> {
    characters::read(data_coding, octets).map(|(characters, _)| characters)
}
