//! Receipts that servers write in their own ways: without a mark, in a data_sm, with the id in another base.

use smppmux_engine::core::wire::{CommandId, DataView, Status, Tag};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{Pdu, deliver_sm, header_only, receipt, response_with_id, with_tlvs};

use crate::receipts::{Stand, bind, start, status_of, submit};

const ID_TAG: u16 = Tag::RECEIPTED_MESSAGE_ID.0;
const PAYLOAD_TAG: u16 = Tag::MESSAGE_PAYLOAD.0;

/// A deliver_sm that only its receipted_message_id makes a receipt.
fn deliver_with_id(number: u32, source: &str, id: &str) -> Vec<u8> {
    let id = format!("{id}\0");
    with_tlvs(
        deliver_sm(number, source, "1000", "delivered"),
        &[(ID_TAG, id.as_bytes())],
    )
}

/// The same as data_sm.
fn data_with_id(number: u32, source: &str, id: &str) -> Vec<u8> {
    let mut pdu = header_only(CommandId::DATA_SM, Status::ESME_ROK, number);
    pdu.extend_from_slice(format!("\0\x01\x01{source}\0\x01\x011000\0\0\0\0").as_bytes());
    let id = format!("{id}\0");
    with_tlvs(pdu, &[(PAYLOAD_TAG, b"delivered"), (ID_TAG, id.as_bytes())])
}

/// Takes the next message of a client; gives it and the id in its receipted_message_id.
fn take(client: &mut Esme) -> (Pdu, String) {
    let pdu = client.receive();
    let response = response_with_id(pdu.command().response(), pdu.sequence_number(), "");
    client.send(&response);
    let tlvs = match pdu.command() {
        CommandId::DELIVER_SM => pdu.message().tlvs(),
        CommandId::DATA_SM => DataView::parse(pdu.octets()).expect("data_sm").tlvs(),
        other => panic!("{other}"),
    };
    let id = tlvs.find(Tag::RECEIPTED_MESSAGE_ID).expect("the TLV").value;
    let id = String::from_utf8_lossy(id).trim_end_matches('\0').to_owned();
    (pdu, id)
}

fn expect_accepted(stand: &mut Stand, command: CommandId, number: u32) {
    let answer = stand.server.expect(command.response());
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
}

fn unchanged(configuration: Configuration) -> Configuration {
    configuration
}

/// Goal: a deliver_sm and a data_sm without a mark in their esm_class are receipts by their receipted_message_id, where their source is
/// the submit's destination; else they are messages like any other, untouched.
#[test]
fn a_tlv_makes_a_receipt() {
    let mut stand = start("receipt-hold = \"50ms\"", "", unchanged);
    let mut alice = bind(&stand, "alice", 0);
    let mut catch_all = bind(&stand, "catch-all", 1);
    let given = submit(&mut alice, &mut stand.server, "4477", "m-1");
    let mut number = 0;
    for make in [deliver_with_id, data_with_id] {
        number += 2;
        let own = make(number, "4477", "m-1");
        let command = Pdu::new(own.clone()).command();
        stand.server.send(&own);
        let (got, id) = take(&mut alice);
        assert_eq!((got.command(), id), (command, given.clone()));
        expect_accepted(&mut stand, command, number);
        for (source, id) in [("4488", "m-1"), ("4477", "m-2")] {
            let other = make(number + 1, source, id);
            stand.server.send(&other);
            let (got, _) = take(&mut catch_all);
            assert_eq!(got.body(), Pdu::new(other).body(), "untouched");
            expect_accepted(&mut stand, command, number + 1);
        }
    }
    alice.expect_nothing();
}

/// Goal: with `receipts = "address"` too a receipt that is not marked names the message as its submit's answer did, whatever form ids
/// have; what only looks like one passes untouched.
#[test]
fn receipts_by_address_carry_the_clients_id() {
    for form in ["tagged", "mapped"] {
        let vserver = format!("receipts = \"address\"\nreceipt-hold = \"50ms\"\nmessage-id = \"{form}\"");
        let mut stand = start(&vserver, "", unchanged);
        let mut alice = bind(&stand, "alice", 0);
        let mut catch_all = bind(&stand, "catch-all", 1);
        let given = submit(&mut alice, &mut stand.server, "4477", "m-1");
        for (number, make) in [(1, deliver_with_id as fn(_, &str, &str) -> _), (2, data_with_id)] {
            let own = make(number, "4477", "m-1");
            stand.server.send(&own);
            assert_eq!(take(&mut catch_all).1, given, "{form}");
            expect_accepted(&mut stand, Pdu::new(own).command(), number);
        }
        let text =
            "id:m-1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000";
        stand.server.send(&deliver_sm(3, "4477", "1000", text));
        assert_eq!(catch_all.take_delivery().receipted_id(), given, "{form}");
        assert_eq!(status_of(&mut stand.server, 3), Status::ESME_ROK);
        stand.server.send(&deliver_sm(4, "4488", "1000", text));
        assert_eq!(catch_all.take_delivery().text(), text, "{form}");
        assert_eq!(status_of(&mut stand.server, 4), Status::ESME_ROK);
        alice.expect_nothing();
    }
}

/// Goal: `message-id-format` says how a receipt's id may be read: `decimal` and `hex` each convert one way only, `opaque` not at all.
/// Method: for each format ids that are found and ids that are not; those go by address.
#[test]
fn the_format_says_how_ids_are_read() {
    /// The id of the answer, the receipt's, and whether they are one.
    type Pair = (&'static str, &'static str, bool);
    let cases: [(&str, &[Pair]); 3] = [
        (
            "decimal",
            &[("22", "16", true), ("35", "53", false), ("0007", "7", true)],
        ),
        (
            "hex",
            &[("16", "22", true), ("53", "35", false), ("ab", "AB", true)],
        ),
        (
            "opaque",
            &[
                ("16", "22", false),
                ("ab", "AB", false),
                ("0007", "7", false),
                ("same", "same", true),
            ],
        ),
    ];
    for (format, ids) in cases {
        let server = format!("message-id-format = \"{format}\"");
        let mut stand = start("receipt-hold = \"50ms\"", &server, unchanged);
        let mut alice = bind(&stand, "alice", 1);
        let mut catch_all = bind(&stand, "catch-all", 0);
        for (number, (answered, reported, is_found)) in (1..).zip(ids) {
            let destination = format!("44{number}");
            let given = submit(&mut alice, &mut stand.server, &destination, answered);
            assert_eq!(given, format!("{answered}#mx-0A"));
            stand
                .server
                .send(&receipt(number, &destination, "1000", reported, "DELIVRD"));
            let (taker, expected) = if *is_found {
                (&mut alice, given)
            } else {
                (&mut catch_all, format!("{reported}#mx-0A"))
            };
            let delivery = taker.take_delivery();
            assert_eq!(
                delivery.receipted_id(),
                expected,
                "{format}: {answered}, {reported}"
            );
            assert_eq!(status_of(&mut stand.server, number), Status::ESME_ROK);
        }
        alice.expect_nothing();
        catch_all.expect_nothing();
    }
}
