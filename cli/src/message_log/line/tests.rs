//! Lines as a JSON parser reads them.

use super::*;
use bytes::BytesMut;
use serde_json::Value;
use smppmux_engine::core::message_log::{FarSession, MessageRecords};
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use smppmux_engine::core::wire::{Message, udh_8_bit, write_pdu};

const CONNECTION: ConnectionId = ConnectionId {
    index: 7,
    generation: 2,
};
const REQUESTER: Requester = Requester::Session {
    connection: CONNECTION,
    sequence_number: 0xFFFF_FFFF,
};

pub(in crate::message_log) fn names() -> Settings {
    let text = r#"
        [[vserver]]
        name = "sms"
        listen = ["127.0.0.1:0"]
        [[server]]
        name = "smsc-a"
        uid = "0A"
        address = "h:1"
        system-id = "m"
        password = "x"
        [[client]]
        system-id = "esme1"
        password = "x"
    "#;
    let (configuration, problems) = crate::config::Configuration::parse(text).unwrap();
    let effective = crate::config::settle(&configuration, problems, &[0])
        .effective
        .unwrap();
    std::sync::Arc::into_inner(effective.settings).unwrap()
}

fn plain() -> LineSettings {
    LineSettings {
        content: LoggedContent::None,
        addresses: AddressForm::Plain,
    }
}

fn address(addr: &[u8]) -> Address<'_> {
    Address { ton: 1, npi: 1, addr }
}

fn message(command: CommandId, message: &Message<'_>) -> BytesMut {
    let mut pdu = BytesMut::new();
    write_pdu(&mut pdu, command, Status::ESME_ROK, 9, message).unwrap();
    pdu
}

fn record(kind: RecordKind, command: CommandId) -> MessageRecord {
    MessageRecord::new(Moment::from_nanoseconds(5_000_000), kind, command, REQUESTER)
}

/// What is written of one record, read again.
fn written(settings: &LineSettings, record: MessageRecord, octets: RecordOctets<'_>) -> (String, Value) {
    let mut records = MessageRecords::with_room(1 << 20);
    records.push(record, octets);
    let epoch = Epoch {
        moment: Moment::from_nanoseconds(7_000_000),
        time: SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(10_000),
    };
    let mut lines = LineWriter::new(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(255));
    let mut out = Vec::new();
    records.for_each(|record, octets| {
        lines.write(
            &mut out,
            (settings, &names()),
            epoch,
            CoreIndex(3),
            (record, octets),
        );
    });
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

/// Goal: a submit's line has what billing and support ask for, and nothing of the text.
#[test]
fn a_submit_is_told_whole() {
    let text = [&udh_8_bit(200, 3, 2)[..], b"secret words"].concat();
    let pdu = message(
        CommandId::SUBMIT_SM,
        &Message {
            service_type: b"WAP",
            source: address(b"1000"),
            destination: address(b"491701234567"),
            esm_class: 0x40,
            registered_delivery: 1,
            validity_period: b"000001000000000R",
            short_message: &text,
            ..Message::default()
        },
    );
    let record = MessageRecord {
        account: Some(ClientIndex(0)),
        vserver: Some(smppmux_engine::core::settings::VserverIndex(0)),
        ..record(RecordKind::Submit, CommandId::SUBMIT_SM)
    };
    let octets = RecordOctets {
        system_id: b"other",
        first: &pdu,
        second: b"",
    };
    let (line, value) = written(&plain(), record, octets);
    let expected = serde_json::json!({
        "time": "1970-01-01T00:00:09.998000Z", "kind": "submit", "id": "ff-3-7.2-4294967295", "core": 3,
        "command": "submit_sm", "account": "other", "vserver": "sms", "session": "3-7.2",
        "sequence_number": 4_294_967_295_u32, "service_type": "WAP",
        "source": "1000", "source_ton": 1, "source_npi": 1,
        "destination": "491701234567", "destination_ton": 1, "destination_npi": 1,
        "esm_class": 0x40, "data_coding": 0, "registered_delivery": 1, "validity_period": "000001000000000R",
        "segment_reference": 200, "segment_number": 2, "segment_total": 3, "text_octets": 12,
    });
    assert_eq!(value, expected);
    assert!(!line.contains("secret"));
    // An account without a name of its own in the record is a configured one.
    let octets = RecordOctets {
        system_id: b"",
        ..octets
    };
    assert_eq!(written(&plain(), record, octets).1["account"], "esme1");
}

/// Goal: the text stands in the line where that is configured, as characters or octets, without the header.
#[test]
fn content_is_told_on_request() {
    let text = [&udh_8_bit(1, 2, 1)[..], b"a \"b\"\x00"].concat();
    let pdu = |data_coding| {
        let message_ = Message {
            esm_class: 0x40,
            data_coding,
            short_message: &text,
            ..Message::default()
        };
        message(CommandId::SUBMIT_SM, &message_)
    };
    for (content, data_coding, text, hex) in [
        (LoggedContent::Text, 0, Some("a \"b\"@"), None),
        (LoggedContent::Text, 4, None, Some("612022622200")),
        (LoggedContent::Hex, 0, None, Some("612022622200")),
        (LoggedContent::None, 0, None, None),
    ] {
        let settings = LineSettings { content, ..plain() };
        let pdu = pdu(data_coding);
        let octets = RecordOctets {
            first: &pdu,
            ..RecordOctets::default()
        };
        let (_, value) = written(
            &settings,
            record(RecordKind::Submit, CommandId::SUBMIT_SM),
            octets,
        );
        assert_eq!(value.get("text").and_then(Value::as_str), text);
        assert_eq!(value.get("text_hex").and_then(Value::as_str), hex);
        assert_eq!(value["text_octets"], 6);
    }
}

/// Goal: an answer has both ids, both sides' sessions and numbers, and how long it took.
#[test]
fn an_answer_is_told_whole() {
    let record = MessageRecord {
        status: Status(0x0401),
        outcome: Outcome::Passed,
        far: Some(FarSession {
            core: CoreIndex(1),
            connection: CONNECTION,
            sequence_number: 12,
        }),
        server: Some(ServerIndex(0)),
        account: Some(ClientIndex(0)),
        arrived_at: Moment::from_nanoseconds(1_000_000),
        sent_at: Moment::from_nanoseconds(3_500_000),
        resends: 1,
        ..record(RecordKind::Answer, CommandId::SUBMIT_SM_RESP)
    };
    let octets = RecordOctets {
        system_id: b"",
        first: b"77",
        second: b"77#mx-0A",
    };
    let (_, value) = written(&plain(), record, octets);
    let expected = serde_json::json!({
        "time": "1970-01-01T00:00:09.998000Z", "kind": "answer", "id": "ff-3-7.2-4294967295", "core": 3,
        "command": "submit_sm_resp", "command_status": "0x00000401", "command_status_code": 0x401,
        "outcome": "passed", "account": "esme1", "server": "smsc-a", "session": "3-7.2",
        "sequence_number": 4_294_967_295_u32, "far_session": "1-7.2", "far_sequence_number": 12,
        "client_message_id": "77#mx-0A", "server_message_id": "77", "latency_us": 4000,
        "far_latency_us": 1500, "resends": 1,
    });
    assert_eq!(value, expected);
}

/// Goal: a receipt has both ids, its state and its error.
#[test]
fn a_receipt_is_told_whole() {
    let text =
        b"id:77 sub:001 dlvrd:000 submit date:2611281130 done date:2611281131 stat:UNDELIV err:042 text:hush";
    let pdu = message(
        CommandId::DELIVER_SM,
        &Message {
            source: address(b"491701234567"),
            destination: address(b"1000"),
            esm_class: 4,
            short_message: text,
            ..Message::default()
        },
    );
    let octets = RecordOctets {
        system_id: b"",
        first: &pdu,
        second: b"77#mx-0A",
    };
    let (line, value) = written(
        &plain(),
        record(RecordKind::Receipt, CommandId::DELIVER_SM),
        octets,
    );
    for (key, expected) in [
        ("kind", "receipt"),
        ("server_message_id", "77"),
        ("client_message_id", "77#mx-0A"),
        ("receipt_state", "UNDELIVERABLE"),
        ("receipt_error", "042"),
    ] {
        assert_eq!(value[key], expected, "{key}");
    }
    assert_eq!(value["receipt_is_final"], true);
    assert!(!line.contains("hush"));
}

/// Goal: whatever stands in a PDU or an id, a line is one line of JSON, with masked addresses where that is configured.
#[test]
fn hostile_octets_stay_in_their_line() {
    let hostile = b"\"\n\\\x1b\xff";
    let pdu = message(
        CommandId::SUBMIT_SM,
        &Message {
            source: address(hostile),
            destination: address(b"491701234567"),
            short_message: hostile,
            ..Message::default()
        },
    );
    let settings = LineSettings {
        content: LoggedContent::Text,
        addresses: AddressForm::Masked { first: 5, last: 2 },
    };
    let octets = RecordOctets {
        system_id: hostile,
        first: &pdu,
        second: hostile,
    };
    let (_, value) = written(
        &settings,
        record(RecordKind::Submit, CommandId::SUBMIT_SM),
        octets,
    );
    assert_eq!(value["destination"], "49170*****67");
    assert_eq!(value["source"], "*****");
    assert_eq!(value["account"], "\"\n\\\u{1b}\u{fffd}");
    // What cannot be read has been refused, and is told all the same.
    let cut = RecordOctets {
        first: &pdu[..20],
        ..octets
    };
    let (_, value) = written(&settings, record(RecordKind::Submit, CommandId::SUBMIT_SM), cut);
    assert_eq!(value.get("source"), None);
    let hashed = LineSettings {
        addresses: AddressForm::hashed(&Secret::new("0123456789abcdef")),
        ..settings
    };
    let (line, value) = written(&hashed, record(RecordKind::Submit, CommandId::SUBMIT_SM), octets);
    assert_eq!(value["destination"].as_str().map(str::len), Some(20));
    assert!(!line.contains("491701234567"));
}
