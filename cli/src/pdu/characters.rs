//! Octets of a message as text, by data_coding (SMPP v3.4 section 5.2.19).

/// GSM 03.38 default alphabet, one octet for each character; the escape (0x1B) leads to [`GSM_EXTENSION`].
const GSM_DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_', 'Φ', 'Γ',
    'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#', '¤', '%', '&', '\'',
    '(', ')', '*', '+', ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<',
    '=', '>', '?', '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q',
    'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä',
    'ö', 'ñ', 'ü', 'à',
];

/// Characters behind the escape.
const GSM_EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

const DEFAULT_ALPHABET: &str = "the message centre's default alphabet, read as GSM 03.38";

/// The text in quotes with the alphabet that it was read by; hexadecimal where the octets are no text.
pub(super) fn text(data_coding: u8, octets: &[u8]) -> String {
    match read(data_coding, octets) {
        Some((characters, alphabet)) => format!("{characters:?} ({alphabet})"),
        None => hexadecimal(octets),
    }
}

/// The characters, and the alphabet that they were read by; `None` where the octets are no text. Which default alphabet a message
/// centre has is its own choice: it is read as GSM 03.38, unless the octets do not allow that.
pub(crate) fn read(data_coding: u8, octets: &[u8]) -> Option<(String, &'static str)> {
    let (alphabet, characters) = match data_coding {
        0x00 => (DEFAULT_ALPHABET, gsm(octets)),
        0x01 => ("IA5", latin(octets)),
        0x03 => ("Latin-1", latin(octets)),
        0x08 => ("UCS-2", wide(octets)),
        // GSM 03.38 coding groups: general and message class, uncompressed.
        0x10..=0x1F | 0x30..=0x3F | 0xF0..=0xFF => match data_coding & 0x0C {
            0x00 => (DEFAULT_ALPHABET, gsm(octets)),
            0x08 if data_coding < 0xF0 => ("UCS-2", wide(octets)),
            _ => return None,
        },
        _ => return None,
    };
    characters.map(|characters| (characters, alphabet))
}

fn gsm(octets: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter();
    while let Some(octet) = octets.next() {
        if *octet == 0x1B {
            let extended = octets.next()?;
            let (_, character) = GSM_EXTENSION.iter().find(|(code, _)| code == extended)?;
            text.push(*character);
        } else {
            text.push(*GSM_DEFAULT.get(usize::from(*octet))?);
        }
    }
    Some(text)
}

fn latin(octets: &[u8]) -> Option<String> {
    Some(octets.iter().map(|octet| char::from(*octet)).collect())
}

fn wide(octets: &[u8]) -> Option<String> {
    let (pairs, rest) = octets.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    rest.is_empty().then(|| String::from_utf16_lossy(&units))
}

fn hexadecimal(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each alphabet is read, and what is no text is shown as octets.
    #[test]
    fn alphabets_are_read() {
        for (data_coding, octets, expected) in [
            (
                0x00,
                &b"Hi\x00\x1b\x65"[..],
                "\"Hi@€\" (the message centre's default alphabet, read as GSM 03.38)",
            ),
            (0x03, b"\xe4", "\"ä\" (Latin-1)"),
            (0x08, b"\x04\x1f\xd8\x3d\xde\x00", "\"П😀\" (UCS-2)"),
            (0x08, b"\x04\x1f\x00", "04 1f 00"),
            (0x00, b"\x80", "80"),
            (0x04, b"ab", "61 62"),
            (
                0xF1,
                b"ab",
                "\"ab\" (the message centre's default alphabet, read as GSM 03.38)",
            ),
            (0xF5, b"ab", "61 62"),
        ] {
            assert_eq!(text(data_coding, octets), expected, "{data_coding:02x}");
        }
    }
}
