//! The PDUs of the load, made once and patched.

/// Octets of a header.
pub(crate) const HEADER_OCTETS: usize = 16;
/// A submit_sm or deliver_sm of the load.
pub(crate) const MESSAGE_OCTETS: usize = 214;
/// The answer to a submit_sm as the SMSC writes it: an id of 16 characters.
pub(crate) const ANSWER_OCTETS: usize = 33;

pub(crate) const GENERIC_NACK: u32 = 0x8000_0000;
pub(crate) const SUBMIT_SM: u32 = 4;
pub(crate) const DELIVER_SM: u32 = 5;
pub(crate) const UNBIND: u32 = 6;
pub(crate) const BIND_TRANSCEIVER: u32 = 9;
pub(crate) const BIND_TRANSMITTER: u32 = 2;
pub(crate) const BIND_RECEIVER: u32 = 1;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const RESPONSE: u32 = 0x8000_0000;

/// Gives each whole PDU at the front of `input` to `take`; gives how many octets those were, or the command_length of what is no
/// PDU.
pub(crate) fn take_whole(input: &[u8], mut take: impl FnMut(Header)) -> Result<usize, usize> {
    let mut at = 0;
    while let Some(header) = Header::read(&input[at..]).filter(|header| at + header.length <= input.len()) {
        if header.length < HEADER_OCTETS {
            return Err(header.length);
        }
        at += header.length;
        take(header);
    }
    Ok(at)
}

/// The address ranges of the clients, in turn.
pub(crate) const RANGES: [&str; 3] = ["888765", "24457", "11144"];

/// Where the destination's five last digits stand, which tell the connection (or for MO the message): behind service_type,
/// source and the first six digits.
const DESTINATION_DIGITS_AT: usize = HEADER_OCTETS + 1 + 13 + 2 + 6;
const DIGITS: usize = 5;
/// Where reference, count and number of a segment stand: behind the user data header's length, tag and length.
const SEGMENT_AT: usize = MESSAGE_OCTETS - TEXT_OCTETS + 3;
const TEXT_OCTETS: usize = 160;
/// The text starts with a user data header.
pub(crate) const ESM_CLASS_UDHI: u8 = 0x40;
/// First digits of the destinations of MT.
pub(crate) const MOBILE_PREFIX: &[u8; 6] = b"447700";
/// First digits of the destinations of MO, one for each of [`RANGES`].
pub(crate) const RANGE_PREFIXES: [&[u8; 6]; 3] = [b"888765", b"244570", b"111440"];

/// A PDU's fixed fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) command: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
}

impl Header {
    /// The header at the front, if it is whole.
    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; HEADER_OCTETS] = octets.first_chunk()?;
        let word =
            |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        Some(Self {
            length: word(0) as usize,
            command: word(4),
            status: word(8),
            sequence: word(12),
        })
    }
}

/// Appends a PDU with status ESME_ROK.
pub(crate) fn write(command: u32, sequence: u32, body: &[u8], output: &mut Vec<u8>) {
    let length = (HEADER_OCTETS + body.len()) as u32;
    for word in [length, command, 0, sequence] {
        output.extend_from_slice(&word.to_be_bytes());
    }
    output.extend_from_slice(body);
}

/// The body of a bind_transceiver of connection `index`.
pub(crate) fn bind_body(index: usize, accounts: usize, is_range_empty: bool) -> Vec<u8> {
    let account = index % accounts + 1;
    let range = if is_range_empty {
        ""
    } else {
        RANGES[index % RANGES.len()]
    };
    format!("esme{account}\0secret\0\0\x34\x01\x01{range}\0").into_bytes()
}

/// A message of [`MESSAGE_OCTETS`] to an address that starts with the six digits of `prefix`; its last five are patched.
pub(crate) fn message(command: u32, prefix: &[u8; 6], esm_class: u8, registered_delivery: u8) -> Vec<u8> {
    let mut body = b"\0\x01\x014477009001\0\x01\x01".to_vec();
    body.extend_from_slice(prefix);
    body.extend_from_slice(b"00001\0");
    body.extend_from_slice(&[esm_class, 0, 0, 0, 0, registered_delivery, 0, 0, 0]);
    body.push(TEXT_OCTETS as u8);
    let mut text = [b'x'; TEXT_OCTETS];
    if esm_class & ESM_CLASS_UDHI != 0 {
        text[..6].copy_from_slice(&[5, 0, 3, 0, 2, 1]);
    }
    body.extend_from_slice(&text);
    let mut pdu = Vec::with_capacity(MESSAGE_OCTETS);
    write(command, 0, &body, &mut pdu);
    assert_eq!(pdu.len(), MESSAGE_OCTETS, "as in the load tables");
    pdu
}

/// Makes a copy of a message one of its own: its sequence number, and the last digits of its destination.
pub(crate) fn patch(message: &mut [u8], sequence: u32, digits: [u8; DIGITS]) {
    message[12..HEADER_OCTETS].copy_from_slice(&sequence.to_be_bytes());
    message[DESTINATION_DIGITS_AT..DESTINATION_DIGITS_AT + DIGITS].copy_from_slice(&digits);
}

/// Makes it segment `number` (1 or 2) of the message with this reference.
pub(crate) fn patch_segment(message: &mut [u8], reference: u8, number: u8) {
    message[SEGMENT_AT] = reference;
    message[SEGMENT_AT + 2] = number;
}

/// The last five digits of a number.
pub(crate) fn digits(number: usize) -> [u8; DIGITS] {
    let mut rest = number;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// The id of message `number` of an SMSC: 16 characters.
pub(crate) fn message_id(smsc: usize, number: u64) -> [u8; 16] {
    const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = number | ((smsc as u64) << 60);
    let mut id = [b'0'; 16];
    for digit in id.iter_mut().rev() {
        *digit = HEXADECIMAL[(rest & 0xF) as usize];
        rest >>= 4;
    }
    id
}

/// Appends the delivery receipt of a submit of this load: text and TLVs, as most message centres write it.
pub(crate) fn write_receipt(sequence: u32, id: [u8; 16], output: &mut Vec<u8>) {
    const BEFORE: &[u8] = b"\0\x01\x0144770000001\0\x01\x014477009001\0\x04\0\0\0\0\0\0\0\0";
    const TEXT: &[u8] =
        b" sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:xxxxxxxxxxxxxxxxxxxx";
    let start = output.len();
    write(DELIVER_SM, sequence, BEFORE, output);
    output.push((b"id:".len() + id.len() + TEXT.len()) as u8);
    output.extend_from_slice(b"id:");
    output.extend_from_slice(&id);
    output.extend_from_slice(TEXT);
    output.extend_from_slice(&[0, 0x1E, 0, 17]);
    output.extend_from_slice(&id);
    output.extend_from_slice(&[0, 0x04, 0x27, 0, 1, 2]);
    let length = (output.len() - start) as u32;
    output[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
