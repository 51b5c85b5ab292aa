//! Hexadecimal digits, in lower case.

/// The low `count` digits of a number.
pub(crate) fn digits(value: u64, count: u32) -> impl Iterator<Item = u8> {
    (0..count).rev().map(move |place| {
        let digit = (value >> (place * 4)) & 0xF;
        b"0123456789abcdef"[digit as usize]
    })
}

/// Two digits for each octet.
pub(crate) fn of_octets(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        text.extend(digits((*octet).into(), 2).map(char::from));
    }
    text
}
