//! Whole PDUs through `decode` and `explain`.

use super::*;

fn shown(hex: &str) -> Decoded {
    decode(&[hex.to_owned()])
}

/// Goal: a receipt with a header of its own is shown with every name that helps to read it.
#[test]
fn a_deliver_sm_is_explained() {
    let text =
        b"id:7f sub:001 dlvrd:001 submit date:2611221030 done date:2611221031 stat:DELIVRD err:000 text:hi";
    let mut body = b"\0\x01\x01888765\0\x05\0sms\0\x04\0\0\0\0\0\0\0\0".to_vec();
    body.push(u8::try_from(text.len()).expect("short"));
    body.extend(text);
    body.extend(b"\x04\x27\0\x01\x02\x14\x01\0\x01\x09");
    let mut pdu = Header {
        command_length: u32::try_from(16 + body.len()).expect("short"),
        command_id: smppmux_engine::core::wire::CommandId::DELIVER_SM,
        command_status: smppmux_engine::core::wire::Status::ESME_ROK,
        sequence_number: 7,
    }
    .to_octets()
    .to_vec();
    pdu.extend(body);
    let decoded = decode_octets(&pdu);
    assert_eq!(decoded.failure, None, "{}", decoded.output);
    for expected in [
        "deliver_sm, ",
        "international",
        "alphanumeric",
        "delivery receipt",
        "TLV message_state 0x0427",
        "DELIVERED",
        "0x1401 (of a vendor)",
        "for message \"7f\": DELIVERED, final",
        "done date = \"2611221031\"  (2026-11-22 10:31)",
    ] {
        assert!(
            decoded.output.to_lowercase().contains(&expected.to_lowercase()),
            "{expected} in {}",
            decoded.output
        );
    }
}

/// Goal: several PDUs in one input are shown one after the other, each with its own offsets.
#[test]
fn several_pdus_are_shown() {
    let one = "00000010 00000015 00000000 00000001";
    let decoded = shown(&format!("{one} {one}"));
    assert_eq!(decoded.failure, None);
    assert_eq!(decoded.output.matches("enquire_link, 16 octets").count(), 2);
    assert!(
        decoded.output.contains("\n    16  00 00 00 10  command_length"),
        "{}",
        decoded.output
    );
}

/// Goal: what is malformed is told with its octet and rule, and exits with 65.
#[test]
fn malformed_input_is_located() {
    for (hex, expected) in [
        (
            "0000000f 00000015 00000000 00000001",
            "octet 0: command_length is 15",
        ),
        (
            "00000011 00000015 00000000 00000001",
            "octet 0: command_length is 17, but there are only 16 octets",
        ),
        (
            "00000010 00000015 00000000 00000001 00",
            "octet 16: 1 octets are no command_length",
        ),
        (
            "00000010 00000002 00000000 00000001",
            "octet 16: the PDU ends inside system_id",
        ),
        ("00000010 00000077 00000000 00000001", "octet 16: not a command"),
        (
            "00000012 00000015 00000000 00000001 0011",
            "octet 16: cannot be parsed",
        ),
        ("zz", "character 1: 'z' is not a hexadecimal digit"),
    ] {
        let failure = shown(hex)
            .failure
            .map(|failure| failure.to_string())
            .unwrap_or_default();
        assert!(failure.starts_with(expected), "{hex}: {failure}");
    }
}

/// Goal: names, parts of names, other spellings and numbers are all explained.
#[test]
fn names_and_numbers_are_explained() {
    for (word, expected, lines) in [
        (
            "submit_sm",
            "command 0x00000004  submit_sm: a request, answered by submit_sm_resp",
            1,
        ),
        ("esme_rthrottled", "ESME_RTHROTTLED", 1),
        ("0x58", "ESME_RTHROTTLED", 1),
        ("ESME_RINVTLVSTREAM", "0x000000C0", 1),
        ("0x0424", "message_payload: octets of", 1),
        ("sar_", "sar_total_segments", 3),
        ("5", "deliver_sm", 3),
    ] {
        let text = explain(word).unwrap_or_default();
        assert!(text.contains(expected), "{word}: {text}");
        assert_eq!(text.lines().count(), lines, "{word}: {text}");
    }
    assert!(explain("no_such_thing").is_err() && explain("").is_err());
}
