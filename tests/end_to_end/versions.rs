//! Versions are per hop: nothing that a v3.3 peer cannot read is sent to it, no status that is newer than its receiver, and no
//! text is ever cut.

use smppmux_engine::core::wire::{CommandId, EsmClass, QueryView, ReplaceView, Status, Tag, Version};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{
    Pdu, deliver_sm, header_only, query_sm, replace_sm, response_with_id, submit_multi, submit_sm, with_tlvs,
};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use std::time::Instant;

struct Stand {
    smppmux: Smppmux,
    server: Peer,
    /// Accepts no more, but its port stays taken.
    _smsc: Smsc,
}

/// Two engines, one session at an SMSC of this version at one of them.
fn start(version: &str) -> Stand {
    let smsc = Smsc::start();
    let lines = format!("connections-total = 1\ninterface-version = \"{version}\"\nbind = \"transceiver\"");
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), &lines)
        .client("esme", "address-ranges = [\".*\"]")
        .queue("store = \"memory\"");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    Stand {
        smppmux,
        server,
        _smsc: smsc,
    }
}

fn bind(stand: &Stand, command: CommandId, version: Version, engine: usize) -> Esme {
    let request = BindRequest {
        command,
        version,
        ..BindRequest::of("esme").at_engine(engine)
    };
    Esme::bind_with(stand.smppmux.address(), request)
}

const USER_MESSAGE_REFERENCE: (u16, &[u8]) = (0x0204, &[0, 9]);
const PAYLOAD: u16 = 0x0424;
/// additional_status_info_text.
const INFO: (u16, &[u8]) = (0x001D, b"why\0");

fn answer(stand: &mut Stand, client: &mut Esme, number: u32, response: &[u8]) -> Pdu {
    stand.server.send(response);
    let answer = client.receive();
    assert_eq!(answer.sequence_number(), number);
    answer
}

/// Goal: a v3.3 SMSC gets submits without TLVs, from the engine that has its session and from the other one; a message_payload of up
/// to 254 octets arrives as short_message, a longer one is answered ESME_RINVMSGLEN at once.
#[test]
fn a_v33_smsc_gets_what_it_can_read() {
    let mut stand = start("3.3");
    for engine in 0..2 {
        let mut client = bind(&stand, CommandId::BIND_TRANSMITTER, Version::V34, engine);
        client.send(&with_tlvs(
            submit_sm(1, "1000", "4477", "hi"),
            &[USER_MESSAGE_REFERENCE],
        ));
        let got = stand.server.expect(CommandId::SUBMIT_SM);
        assert_eq!((got.text().as_str(), got.message().tlvs().count()), ("hi", 0));
        let response = response_with_id(CommandId::SUBMIT_SM_RESP, got.sequence_number(), "12AB");
        assert!(answer(&mut stand, &mut client, 1, &response).status().is_ok());

        let text = "y".repeat(254);
        let payload = [USER_MESSAGE_REFERENCE, (PAYLOAD, text.as_bytes())];
        client.send(&with_tlvs(submit_sm(2, "1000", "4477", ""), &payload));
        let got = stand.server.expect(CommandId::SUBMIT_SM);
        assert_eq!((got.text(), got.message().tlvs().count()), (text, 0));
        let response = response_with_id(CommandId::SUBMIT_SM_RESP, got.sequence_number(), "12AC");
        assert!(answer(&mut stand, &mut client, 2, &response).status().is_ok());

        let long = "z".repeat(255);
        let payload = [(PAYLOAD, long.as_bytes())];
        client.send(&with_tlvs(submit_sm(3, "1000", "4477", ""), &payload));
        let refused = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (refused.sequence_number(), refused.status()),
            (3, Status::ESME_RINVMSGLEN)
        );

        client.send(&with_tlvs(
            submit_multi(4, "1000", &["4477"], "many"),
            &[USER_MESSAGE_REFERENCE],
        ));
        let got = stand.server.expect(CommandId::SUBMIT_MULTI);
        assert!(got.octets().ends_with(b"\x04many"), "{got:?}");
        let number = got.sequence_number();
        let mut response = response_with_id(CommandId::SUBMIT_MULTI_RESP, number, "12AD");
        response.push(0);
        let answer = answer(&mut stand, &mut client, 4, &with_tlvs(response, &[]));
        assert!(
            answer.status().is_ok() && answer.octets().ends_with(&[0, 0]),
            "{answer:?}"
        );
    }
}

/// Goal: replace_sm knows message_payload only since v5.0: an older SMSC gets the text as short_message and no TLVs, or, where it
/// is too long for that, nothing at all; no SMSC sees what smppmux notes behind operations. A v3.3 SMSC gets no TLV of any
/// operation. Method: from the engine that has the session and from the other one.
#[test]
fn operations_are_told_in_the_servers_version() {
    for version in ["3.3", "3.4", "5.0"] {
        let mut stand = start(version);
        for engine in 0..2 {
            let mut client = bind(&stand, CommandId::BIND_TRANSMITTER, Version::V50, engine);
            client.send(&submit_sm(1, "1000", "4477", "hi"));
            let number = stand.server.expect(CommandId::SUBMIT_SM).sequence_number();
            let response = response_with_id(CommandId::SUBMIT_SM_RESP, number, "77");
            let id = answer(&mut stand, &mut client, 1, &response).message_id();
            assert_eq!(id, "77#mx-0A");
            let texts = ["short".to_owned(), "y".repeat(254), "z".repeat(255)];
            for (number, text) in (2..).zip(&texts) {
                let payload = (PAYLOAD, text.as_bytes());
                let replace = with_tlvs(
                    replace_sm(number, &id, "1000", ""),
                    &[USER_MESSAGE_REFERENCE, payload],
                );
                client.send(&replace);
                if version != "5.0" && text.len() > 254 {
                    let refused = client.expect(CommandId::REPLACE_SM_RESP);
                    assert_eq!(refused.status(), Status::ESME_RINVMSGLEN, "{version}");
                    continue;
                }
                let got = stand.server.expect(CommandId::REPLACE_SM);
                let expected = if version == "5.0" {
                    let tlvs = [USER_MESSAGE_REFERENCE, payload];
                    with_tlvs(replace_sm(got.sequence_number(), "77", "1000", ""), &tlvs)
                } else {
                    replace_sm(got.sequence_number(), "77", "1000", text)
                };
                assert_eq!(got, Pdu::new(expected), "{version}");
                let response = header_only(
                    CommandId::REPLACE_SM_RESP,
                    Status::ESME_ROK,
                    got.sequence_number(),
                );
                assert!(
                    answer(&mut stand, &mut client, number, &response)
                        .status()
                        .is_ok()
                );
            }
            client.send(&replace_sm(9, &id, "1000", "plain"));
            let got = stand.server.expect(CommandId::REPLACE_SM);
            let view = ReplaceView::parse(got.octets()).expect("replace_sm");
            assert_eq!(
                (view.short_message(), view.tlvs().count()),
                (&b"plain"[..], 0),
                "{version}"
            );
            client.send(&with_tlvs(query_sm(10, &id, "1000"), &[USER_MESSAGE_REFERENCE]));
            let got = stand.server.expect(CommandId::QUERY_SM);
            let view = QueryView::parse(got.octets()).expect("query_sm");
            assert_eq!(view.message_id(), b"77");
            assert_eq!(view.tlvs().count(), usize::from(version != "3.3"), "{version}");
        }
    }
}

/// Goal: a v3.3 ESME gets messages without TLVs and with their text; one that cannot be said in v3.3 is refused with
/// ESME_RX_R_APPN, live and from the queue, and holds nothing up.
#[test]
fn a_v33_esme_gets_what_it_can_read() {
    for engine in 0..2 {
        let mut stand = start("3.4");
        let text = "y".repeat(200);
        let long = "z".repeat(300);
        let messages = [
            with_tlvs(
                deliver_sm(1, "2000", "888", ""),
                &[USER_MESSAGE_REFERENCE, (PAYLOAD, text.as_bytes())],
            ),
            with_tlvs(deliver_sm(2, "2000", "888", ""), &[(PAYLOAD, long.as_bytes())]),
            with_tlvs(deliver_sm(3, "2000", "888", "last"), &[USER_MESSAGE_REFERENCE]),
        ];
        let take = |client: &mut Esme| {
            for expected in [text.as_str(), "last"] {
                let delivery = client.take_delivery();
                assert_eq!(
                    (delivery.text().as_str(), delivery.message().tlvs().count()),
                    (expected, 0)
                );
            }
        };
        messages.iter().for_each(|message| stand.server.send(message));
        for _ in &messages {
            assert!(
                stand.server.expect(CommandId::DELIVER_SM_RESP).status().is_ok(),
                "queued"
            );
        }
        let mut client = bind(&stand, CommandId::BIND_RECEIVER, Version::V33, engine);
        take(&mut client);
        // What comes before the queue knows that its last message was answered is queued behind it: once the one that is
        // refused only when it is live is refused, nothing is queued any more.
        let deadline = Instant::now() + PATIENCE;
        loop {
            stand.server.send(&messages[1]);
            let status = stand.server.expect(CommandId::DELIVER_SM_RESP).status();
            if status == Status::ESME_RX_R_APPN {
                break;
            }
            assert_eq!(status, Status::ESME_ROK, "queued");
            assert!(Instant::now() < deadline, "the queue never knows");
        }
        messages.iter().for_each(|message| stand.server.send(message));
        take(&mut client);
        for _ in &messages {
            let answer = stand.server.expect(CommandId::DELIVER_SM_RESP);
            let expected = if answer.sequence_number() == 2 {
                Status::ESME_RX_R_APPN
            } else {
                Status::ESME_ROK
            };
            assert_eq!(answer.status(), expected, "{answer:?}");
        }
    }
}

/// A message of three segments that TLVs mark.
fn marked_by_tlvs(pdu: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let segment = |number: u8| {
        with_tlvs(
            pdu(number.into()),
            &[
                (Tag::SAR_MSG_REF_NUM.0, &[0x12, 0x34]),
                (Tag::SAR_TOTAL_SEGMENTS.0, &[3]),
                (Tag::SAR_SEGMENT_SEQNUM.0, &[number]),
            ],
        )
    };
    (1..=3).map(segment).collect()
}

/// What a v3.3 peer gets of a segment: its reference and its number, which stand in front of `text`.
fn header_in_text(got: &Pdu, text: &str) -> (u8, u8) {
    let message = got.message();
    assert_eq!(message.tlvs().count(), 0, "{got:?}");
    assert_ne!(message.esm_class() & EsmClass::UDHI, 0, "{got:?}");
    let [5, 0, 3, reference, 3, number, rest @ ..] = message.short_message() else {
        panic!("no header: {got:?}");
    };
    assert_eq!(rest, text.as_bytes());
    (*reference, *number)
}

/// Goal: segments that TLVs mark reach a v3.3 SMSC with a header instead, under one reference, from the engine that has its session and
/// from the other one. Whose text leaves no room for a header is refused: without its mark it would be a message of its own.
#[test]
fn a_v33_smsc_gets_segments_that_it_can_read() {
    let mut stand = start("3.3");
    for engine in 0..2 {
        let mut client = bind(&stand, CommandId::BIND_TRANSMITTER, Version::V34, engine);
        let text = "s".repeat(130);
        let mut references = Vec::new();
        for (number, segment) in (1..).zip(marked_by_tlvs(|number| submit_sm(number, "1000", "4477", &text)))
        {
            client.send(&segment);
            let got = stand.server.expect(CommandId::SUBMIT_SM);
            let (reference, place) = header_in_text(&got, &text);
            assert_eq!(u32::from(place), number);
            references.push(reference);
            let response = response_with_id(CommandId::SUBMIT_SM_RESP, got.sequence_number(), "12AB");
            assert!(
                answer(&mut stand, &mut client, number, &response)
                    .status()
                    .is_ok()
            );
        }
        references.dedup();
        assert_eq!(references.len(), 1);

        let long = "l".repeat(250);
        for segment in marked_by_tlvs(|number| submit_sm(number, "1001", "4478", &long)) {
            client.send(&segment);
            let refused = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!(refused.status(), Status::ESME_RINVMSGLEN);
        }
    }
}

/// Goal: the same for segments that an SMSC sends to a v3.3 ESME.
#[test]
fn a_v33_esme_gets_segments_that_it_can_read() {
    for engine in 0..2 {
        let mut stand = start("3.4");
        let mut client = bind(&stand, CommandId::BIND_RECEIVER, Version::V33, engine);
        let text = "s".repeat(130);
        let mut references = Vec::new();
        for (number, segment) in (1..).zip(marked_by_tlvs(|number| deliver_sm(number, "2000", "888", &text)))
        {
            stand.server.send(&segment);
            let (reference, place) = header_in_text(&client.take_delivery(), &text);
            assert_eq!(place, number);
            references.push(reference);
            assert!(stand.server.expect(CommandId::DELIVER_SM_RESP).status().is_ok());
        }
        references.dedup();
        assert_eq!(references.len(), 1);

        let long = "l".repeat(250);
        for segment in marked_by_tlvs(|number| deliver_sm(number, "2001", "888", &long)) {
            stand.server.send(&segment);
            let refused = stand.server.expect(CommandId::DELIVER_SM_RESP);
            assert_eq!(refused.status(), Status::ESME_RX_R_APPN);
        }
    }
}

/// Goal: a message that is too long for v3.3 goes to the member of its pool that can read it, on whatever engine that is, and to
/// no other; it is refused when that one is gone.
#[test]
fn a_long_message_finds_who_can_read_it() {
    let long = "z".repeat(300);
    let message = |number| {
        with_tlvs(
            deliver_sm(number, "2000", "888", ""),
            &[(PAYLOAD, long.as_bytes())],
        )
    };
    for engine in 0..2 {
        let mut stand = start("3.4");
        let mut old = bind(&stand, CommandId::BIND_RECEIVER, Version::V33, engine);
        let mut new = bind(&stand, CommandId::BIND_RECEIVER, Version::V34, 1 - engine);
        for number in 1..=6 {
            stand.server.send(&message(number));
            let delivery = new.take_delivery();
            assert_eq!(delivery.octets()[16..], message(number)[16..]);
            let answer = stand.server.expect(CommandId::DELIVER_SM_RESP);
            assert_eq!(
                (answer.sequence_number(), answer.status()),
                (number, Status::ESME_ROK)
            );
        }
        assert_eq!(old.enquire(77), []);
        new.send(&header_only(CommandId::UNBIND, Status::ESME_ROK, 9));
        new.receive_until_closed();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The other engine may not know yet that it is gone.
            stand.server.send(&message(7));
            let status = stand.server.expect(CommandId::DELIVER_SM_RESP).status();
            if status == Status::ESME_RX_R_APPN {
                break;
            }
            assert!(Instant::now() < deadline, "{status:?}");
        }
    }
}

/// Goal: answers reach an older peer without TLVs, and with a status that its version has; a newer one gets them untouched.
#[test]
fn answers_are_told_in_the_receivers_version() {
    let mut stand = start("5.0");
    for engine in 0..2 {
        for (version, status) in [
            (Version::V33, Status::ESME_RSUBMITFAIL),
            (Version::V34, Status::ESME_RSUBMITFAIL),
            (Version::V50, Status::ESME_RINVDCS),
        ] {
            let mut client = bind(&stand, CommandId::BIND_TRANSMITTER, version, engine);
            client.send(&submit_sm(1, "1000", "4477", "hi"));
            let number = stand.server.expect(CommandId::SUBMIT_SM).sequence_number();
            let response = header_only(CommandId::SUBMIT_SM_RESP, Status::ESME_RINVDCS, number);
            assert_eq!(answer(&mut stand, &mut client, 1, &response).status(), status);
            for (index, status) in [Status::ESME_ROK, Status::ESME_RSUBMITFAIL]
                .into_iter()
                .enumerate()
            {
                client.send(&submit_multi(2, "1000", &["4477"], "many"));
                let number = stand.server.expect(CommandId::SUBMIT_MULTI).sequence_number();
                let mut response = response_with_id(CommandId::SUBMIT_MULTI_RESP, number, "12AB");
                response[8..12].copy_from_slice(&status.0.to_be_bytes());
                // One unsuccessful destination.
                response.extend_from_slice(b"\x01\x01\x014477\0\0\0\0\x0B");
                let got = answer(&mut stand, &mut client, 2, &with_tlvs(response, &[INFO]));
                assert_eq!(got.status(), status);
                let list = b"\x01\x01\x014477\0\0\0\0\x0B";
                let at = got.octets().windows(list.len()).position(|window| window == list);
                let behind = got.octets().len() - at.expect("the list is kept") - list.len();
                let expected = if version == Version::V33 { 0 } else { 8 };
                assert_eq!(behind, expected, "{version:?}, answer {index}: {got:?}");
            }
            client.unbind();
        }
    }
    let mut stand = start("3.3");
    let mut client = bind(&stand, CommandId::BIND_RECEIVER, Version::V34, 1);
    stand.server.send(&deliver_sm(1, "2000", "888", "hi"));
    let number = client.expect(CommandId::DELIVER_SM).sequence_number();
    let response = response_with_id(CommandId::DELIVER_SM_RESP, number, "");
    client.send(&with_tlvs(response, &[INFO]));
    let answer = stand.server.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!((answer.status(), answer.body()), (Status::ESME_ROK, &b"\0"[..]));
}

/// Goal: smppmux's own refusal, too, has a status of the client's version, and what is refused reaches no SMSC.
/// Method: a query_sm whose last field has a stray TLV tag behind it, then a submit_sm, which must be all that the SMSC gets.
#[test]
fn refusals_are_told_in_the_clients_version() {
    let mut stand = start("5.0");
    for (version, status) in [
        (Version::V33, Status::ESME_RSUBMITFAIL),
        (Version::V34, Status::ESME_RINVOPTPARSTREAM),
        (Version::V50, Status::ESME_RINVOPTPARSTREAM),
    ] {
        let mut client = bind(&stand, CommandId::BIND_TRANSMITTER, version, 0);
        let mut query = query_sm(1, "12AB#mx-0A", "1000");
        query.extend_from_slice(b"\0\x35");
        client.send(&with_tlvs(query, &[]));
        let refusal = client.expect(CommandId::QUERY_SM_RESP);
        assert_eq!((refusal.sequence_number(), refusal.status()), (1, status));
        client.send(&submit_sm(2, "1000", "4477", "hi"));
        stand.server.expect(CommandId::SUBMIT_SM);
    }
}

/// Goal: an alert_notification reaches the pool of its ESME address wherever the pool's session is, and takes no window slot.
#[test]
fn alerts_reach_their_pool_on_any_engine() {
    for engine in 0..2 {
        let mut stand = start("3.4");
        let mut client = bind(&stand, CommandId::BIND_RECEIVER, Version::V34, engine);
        for _ in 0..300 {
            let mut alert = header_only(CommandId::ALERT_NOTIFICATION, Status::ESME_ROK, 7);
            alert.extend_from_slice(b"\x01\x014477\0\x01\x01888\0");
            stand.server.send(&with_tlvs(alert, &[]));
            let got = client.expect(CommandId::ALERT_NOTIFICATION);
            assert_eq!(got.body(), b"\x01\x014477\0\x01\x01888\0");
        }
    }
}
