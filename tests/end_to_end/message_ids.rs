//! Tagged message ids: operations on a message go to the server that has it.

use smppmux_engine::core::wire::{
    CancelView, CommandId, MessageView, QueryRespView, QueryView, Receipt, ReplaceView, Status, Tag,
    patch_command_length,
};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{Pdu, cancel_sm, deliver_sm, query_sm, replace_sm};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::start_ready;

fn start() -> (Smppmux, [AnsweringSmsc; 2], Esme) {
    let servers = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
    let configuration = Configuration::with_engines(2)
        .vserver("method = \"round-robin\"\nreceipt-hold = \"50ms\"")
        .server("smsc-a", "0A", servers[0].address(), "")
        .server("smsc-b", "Z9", servers[1].address(), "connections-total = 1")
        .client("esme1", "address-ranges = [\".*\"]");
    let smppmux = start_ready(&configuration);
    let client = Esme::bind(smppmux.address(), "esme1");
    (smppmux, servers, client)
}

/// What the one server got, and the other did not.
fn request_at(servers: &[AnsweringSmsc; 2], index: usize) -> Pdu {
    let request = servers[index].next_request();
    assert_eq!(servers[1 - index].requests_so_far(), []);
    request
}

/// Goal: ids that clients get carry the tag of the server they came from, and query_sm, cancel_sm and replace_sm with
/// them reach that server without the tag.
#[test]
fn operations_reach_the_server_that_has_the_message() {
    let (_smppmux, servers, mut client) = start();
    let ids: Vec<String> = (0..4)
        .map(|_| client.submit_and_wait("4477", "id").message_id())
        .collect();
    for (index, tag) in ["#mx-0A", "#mx-Z9"].iter().enumerate() {
        let tagged = ids
            .iter()
            .find(|id| id.ends_with(tag))
            .expect("each server had one");
        let plain = tagged.strip_suffix(tag).expect("it ends so").as_bytes();
        servers.iter().for_each(|server| drop(server.requests_so_far()));

        client.send(&query_sm(100, tagged, "1000"));
        let query = request_at(&servers, index);
        assert_eq!(
            QueryView::parse(query.octets()).expect("query_sm").message_id(),
            plain
        );
        let answer = client.expect(CommandId::QUERY_SM_RESP);
        assert_eq!(answer.sequence_number(), 100);
        let view = QueryRespView::parse(answer.octets()).expect("query_sm_resp");
        assert_eq!(view.message_id(), tagged.as_bytes());
        assert_eq!(view.message_state(), Some(2));

        client.send(&cancel_sm(101, tagged, "1000", "4477"));
        let cancel = request_at(&servers, index);
        assert_eq!(
            CancelView::parse(cancel.octets())
                .expect("cancel_sm")
                .message_id(),
            plain
        );
        let answer = client.expect(CommandId::CANCEL_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (101, Status::ESME_ROK)
        );

        client.send(&replace_sm(102, tagged, "1000", "other text"));
        let replace = request_at(&servers, index);
        let view = ReplaceView::parse(replace.octets()).expect("replace_sm");
        assert_eq!(
            (view.message_id(), view.short_message()),
            (plain, &b"other text"[..])
        );
        let answer = client.expect(CommandId::REPLACE_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (102, Status::ESME_ROK)
        );
    }
}

/// Goal: an id that smppmux has not tagged, or for a server that is not there, reaches no server.
#[test]
fn unknown_and_foreign_tags_are_refused() {
    let (_smppmux, servers, mut client) = start();
    for id in [
        "a-0",
        "a-0#xx-0A",
        "a-0#mx-0B",
        "a-0#mx-0a",
        "#mx-0A",
        "a-0#mx-0A ",
    ] {
        for request in [
            query_sm(7, id, "1000"),
            cancel_sm(7, id, "1000", "4477"),
            replace_sm(7, id, "1000", "text"),
        ] {
            client.send(&request);
            let answer = client.receive();
            let command = Pdu::new(request).command().response();
            assert_eq!((answer.command(), answer.sequence_number()), (command, 7), "{id}");
            assert_eq!(answer.status(), Status::ESME_RINVMSGID, "{id}");
        }
    }
    for server in servers {
        assert_eq!(server.requests_so_far(), []);
    }
}

/// Goal: a delivery receipt carries the tagged id in its text and in its TLV.
#[test]
fn receipts_carry_the_tag() {
    let (_smppmux, servers, mut client) = start();
    for (server, tag) in servers.iter().zip(["#mx-0A", "#mx-Z9"]) {
        let number = server.next_sequence_number();
        server.send(0, &receipt(number, "0123456789"));
        let receipt = client.take_delivery();
        let view = MessageView::parse(receipt.octets()).expect("deliver_sm");
        let receipt = Receipt::of_message(&view).expect("a receipt");
        let tagged = format!("0123456789{tag}");
        assert_eq!(receipt.text_id(), Some(tagged.as_bytes()));
        assert_eq!(receipt.tlv_id(), Some(tagged.as_bytes()));
        let text = String::from_utf8_lossy(view.short_message());
        assert!(
            text.contains(" stat:DELIVRD err:000"),
            "the rest is as it was: {text}"
        );
        assert_eq!(server.response_to(number).status(), Status::ESME_ROK);
    }
}

/// A deliver_sm that is a receipt, by its esm_class, its text and its TLVs.
fn receipt(sequence_number: u32, id: &str) -> Vec<u8> {
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:hi"
    );
    let mut octets = deliver_sm(sequence_number, "4477", "1000", &text);
    let esm_class = octets.len() - text.len() - 10;
    octets[esm_class] = 4;
    let tag = Tag::RECEIPTED_MESSAGE_ID.0.to_be_bytes();
    let length = u16::try_from(id.len() + 1).expect("short").to_be_bytes();
    octets.extend(tag.iter().chain(&length).chain(id.as_bytes()).chain(&[0]));
    octets.extend([0x04, 0x27, 0, 1, 2]);
    patch_command_length(&mut octets);
    octets
}
