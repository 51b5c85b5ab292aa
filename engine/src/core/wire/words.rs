//! Tables of words for enumerated values: TON, NPI, data_coding and the TLVs that enumerate.
//!
//! Reserved values have no word.
//! Source: SMPP v3.4 sections 5.2.5, 5.2.6, 5.2.19 and 5.3.2, v5.0 sections 4.7 and 4.8.4.

use super::Tag;

/// What a type of number says.
pub(super) fn ton_word(ton: u8) -> Option<&'static str> {
    word(
        &[
            "unknown",
            "international",
            "national",
            "network specific",
            "subscriber number",
            "alphanumeric",
            "abbreviated",
        ],
        ton,
    )
}

/// What a numbering plan indicator says.
pub(super) const fn npi_word(npi: u8) -> Option<&'static str> {
    Some(match npi {
        0 => "unknown",
        1 => "ISDN (E.163, E.164)",
        3 => "data (X.121)",
        4 => "telex (F.69)",
        6 => "land mobile (E.212)",
        8 => "national",
        9 => "private",
        10 => "ERMES",
        14 => "internet (IP)",
        18 => "WAP client id",
        _ => return None,
    })
}

/// What a data_coding says.
pub(super) const fn data_coding_word(data_coding: u8) -> &'static str {
    match data_coding {
        0x00 => "default alphabet of the message centre",
        0x01 => "IA5 (ASCII)",
        0x02 | 0x04 => "8-bit binary",
        0x03 => "Latin-1 (ISO 8859-1)",
        0x05 => "JIS (X 0208-1990)",
        0x06 => "Cyrillic (ISO 8859-5)",
        0x07 => "Hebrew (ISO 8859-8)",
        0x08 => "UCS-2",
        0x09 => "pictogram",
        0x0A => "ISO-2022-JP (music codes)",
        0x0D => "extended Kanji JIS (X 0212-1990)",
        0x0E => "KS C 5601",
        0xC0..=0xCF => "GSM message waiting, discard message",
        0xD0..=0xDF => "GSM message waiting, store message",
        0xF0..=0xFF if data_coding & 0x04 != 0 => "GSM message class, 8-bit data",
        0xF0..=0xFF => "GSM message class, default alphabet",
        _ => "reserved",
    }
}

/// What a value of an enumerating one-octet TLV says.
pub(super) fn tlv_word(tag: Tag, value: u8) -> Option<&'static str> {
    match tag {
        Tag::USSD_SERVICE_OP => ussd_word(value),
        Tag::CONGESTION_STATE => congestion_word(value),
        _ => word(tlv_words(tag), value),
    }
}

fn word(words: &[&'static str], value: u8) -> Option<&'static str> {
    words.get(usize::from(value)).copied()
}

/// The words of a TLV whose values count up from 0.
const fn tlv_words(tag: Tag) -> &'static [&'static str] {
    match tag {
        Tag::DEST_ADDR_SUBUNIT | Tag::SOURCE_ADDR_SUBUNIT => &[
            "unknown",
            "MS display",
            "mobile equipment",
            "smart card 1",
            "external unit 1",
        ],
        Tag::DEST_NETWORK_TYPE | Tag::SOURCE_NETWORK_TYPE => &[
            "unknown", "GSM", "TDMA", "CDMA", "PDC", "PHS", "iDEN", "AMPS", "paging",
        ],
        Tag::DEST_BEARER_TYPE | Tag::SOURCE_BEARER_TYPE => &[
            "unknown",
            "SMS",
            "circuit switched data",
            "packet data",
            "USSD",
            "CDPD",
            "DataTAC",
            "FLEX",
            "cell broadcast",
        ],
        Tag::PAYLOAD_TYPE => &["default (WDP)", "WCMP"],
        Tag::PRIVACY_INDICATOR => &["not restricted", "restricted", "confidential", "secret"],
        Tag::LANGUAGE_INDICATOR => &[
            "unspecified",
            "English",
            "French",
            "Spanish",
            "German",
            "Portuguese",
        ],
        Tag::DPF_RESULT => &["delivery pending flag not set", "delivery pending flag set"],
        Tag::SET_DPF | Tag::MORE_MESSAGES_TO_SEND => &["no", "yes"],
        Tag::MS_AVAILABILITY_STATUS => &["available", "denied", "unavailable"],
        Tag::DELIVERY_FAILURE_REASON => &[
            "destination unavailable",
            "destination address invalid",
            "permanent network error",
            "temporary network error",
        ],
        Tag::BROADCAST_CHANNEL_INDICATOR => &["basic", "extended"],
        Tag::BROADCAST_MESSAGE_CLASS => &["no class", "class 1", "class 2", "class 3"],
        Tag::DEST_ADDR_NP_RESOLUTION => &["not queried", "queried, not ported", "queried, ported"],
        Tag::DISPLAY_TIME => &["temporary", "default", "invoke"],
        Tag::ITS_REPLY_TYPE => &[
            "digit",
            "number",
            "telephone number",
            "password",
            "character line",
            "menu",
            "date",
            "time",
            "continue",
        ],
        _ => &[],
    }
}

const fn ussd_word(operation: u8) -> Option<&'static str> {
    Some(match operation {
        0 => "PSSD indication",
        1 => "PSSR indication",
        2 => "USSR request",
        3 => "USSN request",
        16 => "PSSD response",
        17 => "PSSR response",
        18 => "USSR confirm",
        19 => "USSN confirm",
        32.. => "vendor operation",
        _ => return None,
    })
}

const fn congestion_word(percent: u8) -> Option<&'static str> {
    Some(match percent {
        0 => "idle",
        1..=29 => "low load",
        30..=49 => "medium load",
        50..=79 => "high load",
        80..=89 => "optimum load",
        90..=99 => "nearing congestion",
        100 => "congested",
        _ => return None,
    })
}
