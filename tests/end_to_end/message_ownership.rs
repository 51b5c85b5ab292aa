//! Whose message it is: signed and mapped ids, stored owners, and a cancel_sm for all messages of an address.

use smppmux_engine::core::wire::{CancelView, CommandId, QueryView, Status, Version};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, cancel_sm, query_sm, replace_sm, submit_sm_with_receipt};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::start_ready;

fn start(vserver: &str) -> (Smppmux, [AnsweringSmsc; 2]) {
    let servers = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
    let configuration = Configuration::with_engines(2)
        .vserver(&format!("method = \"round-robin\"\n{vserver}"))
        .server("smsc-a", "0A", servers[0].address(), "")
        .server("smsc-b", "Z9", servers[1].address(), "connections-total = 1")
        .client("alice", "address-ranges = [\"1000\"]")
        .client("bob", "");
    (start_ready(&configuration), servers)
}

fn bind(smppmux: &Smppmux, system_id: &str, engine: usize) -> Esme {
    Esme::bind_with(smppmux.address(), BindRequest::of(system_id).at_engine(engine))
}

/// Every operation with this id, and what each is answered with.
fn statuses(client: &mut Esme, id: &str) -> Vec<Status> {
    let requests = [
        query_sm(7, id, "1000"),
        cancel_sm(7, id, "1000", "4477"),
        replace_sm(7, id, "1000", "text"),
    ];
    let answers = requests.map(|request| {
        client.send(&request);
        let answer = client.receive();
        assert_eq!(answer.command(), Pdu::new(request).command().response());
        answer.status()
    });
    answers.into()
}

const REFUSED: [Status; 3] = [Status::ESME_RINVMSGID; 3];
const DONE: [Status; 3] = [Status::ESME_ROK; 3];

/// Goal: a signed id is good for the account that got it alone, and no part of it can be changed.
#[test]
fn signed_ids_are_good_for_one_account() {
    let (smppmux, servers) = start("message-id = \"signed\"\nmessage-id-key = \"correct horse battery\"");
    for engine in 0..2 {
        let mut alice = bind(&smppmux, "alice", engine);
        let mut bob = bind(&smppmux, "bob", 1 - engine);
        for _ in 0..4 {
            let id = alice.submit_and_wait("4477", "id").message_id();
            let (_, tag) = id.split_once('#').expect("a tag");
            assert_eq!(tag.len(), "mx-0A".len() + 4, "{id}");
            assert_eq!(statuses(&mut alice, &id), DONE);
            servers.iter().for_each(|server| drop(server.requests_so_far()));
            assert_eq!(statuses(&mut bob, &id), REFUSED);
            let other_uid = if id.contains("-0A") {
                id.replace("-0A", "-Z9")
            } else {
                id.replace("-Z9", "-0A")
            };
            let (start, check) = id.split_at(id.len() - 4);
            let turned: String = check.chars().rev().collect();
            let forged = if turned == check {
                format!("{start}0000")
            } else {
                format!("{start}{turned}")
            };
            for forged in [forged, other_uid, format!("x{id}"), start.to_owned()] {
                assert_eq!(statuses(&mut alice, &forged), REFUSED, "{forged}");
            }
            assert!(servers.iter().all(|server| server.requests_so_far().is_empty()));
        }
    }
}

/// Goal: a mapped id is short, opaque and good for its account alone, from every engine and at once; the server sees its own id.
#[test]
fn mapped_ids_are_good_for_one_account() {
    let (smppmux, servers) = start("message-id = \"mapped\"");
    let mut alices = [0, 1].map(|engine| bind(&smppmux, "alice", engine));
    let mut bob = bind(&smppmux, "bob", 0);
    for message in 0..6 {
        let id = alices[message % 2].submit_and_wait("4477", "id").message_id();
        assert!(
            id.len() == 12 && id.bytes().all(|octet| octet.is_ascii_alphanumeric()),
            "{id}"
        );
        for alice in &mut alices {
            servers.iter().for_each(|server| drop(server.requests_so_far()));
            alice.send(&query_sm(8, &id, "1000"));
            let answer = alice.expect(CommandId::QUERY_SM_RESP);
            assert_eq!(
                (answer.status(), answer.message_id()),
                (Status::ESME_ROK, id.clone())
            );
            let queries: Vec<Pdu> = servers.iter().flat_map(AnsweringSmsc::requests_so_far).collect();
            let [query] = &queries[..] else {
                panic!("{queries:?}")
            };
            let own = QueryView::parse(query.octets())
                .expect("query_sm")
                .message_id()
                .to_vec();
            assert!(own.starts_with(b"a-") || own.starts_with(b"b-"), "{own:?}");
            assert_eq!(statuses(alice, &id), DONE);
        }
        servers.iter().for_each(|server| drop(server.requests_so_far()));
        assert_eq!(statuses(&mut bob, &id), REFUSED);
        assert_eq!(statuses(&mut alices[0], "ABCDEFGH0123"), REFUSED);
        assert!(servers.iter().all(|server| server.requests_so_far().is_empty()));
    }
}

/// Goal: a v3.3 client, whose ids have 8 characters, gets ids that it can use, transparently (PITFALLS 9).
#[test]
fn a_tag_that_does_not_fit_is_stored() {
    let (smppmux, _servers) = start("");
    let request = BindRequest {
        version: Version::V33,
        command: CommandId::BIND_TRANSMITTER,
        ..BindRequest::of("alice").at_engine(0)
    };
    let mut alice = Esme::bind_with(smppmux.address(), request);
    for _ in 0..4 {
        let id = alice.submit_and_wait("4477", "id").message_id();
        assert_eq!(id.len(), 8, "{id}");
        alice.send(&query_sm(8, &id, "1000"));
        let answer = alice.expect(CommandId::QUERY_SM_RESP);
        assert_eq!((answer.status(), answer.message_id()), (Status::ESME_ROK, id));
    }
}

/// Goal: an id that a stored owner says is another account's is refused, with plain tags too, from every engine and at once.
#[test]
fn a_stored_owner_guards_its_message() {
    let (smppmux, servers) = start("");
    let mut alices = [0, 1].map(|engine| bind(&smppmux, "alice", engine));
    let mut bobs = [0, 1].map(|engine| bind(&smppmux, "bob", engine));
    for message in 0..8 {
        let alice = &mut alices[message % 2];
        let number = alice.next_sequence_number();
        alice.send(&submit_sm_with_receipt(number, "1000", "4477", "id"));
        let id = alice.expect(CommandId::SUBMIT_SM_RESP).message_id();
        servers.iter().for_each(|server| drop(server.requests_so_far()));
        for bob in &mut bobs {
            assert_eq!(statuses(bob, &id), REFUSED, "{id}");
        }
        assert!(servers.iter().all(|server| server.requests_so_far().is_empty()));
        for alice in &mut alices {
            assert_eq!(statuses(alice, &id), DONE, "{id}");
        }
    }
}

/// Goal: a cancel_sm without an id reaches every server once and has one answer; who may not use the address is refused.
#[test]
fn a_cancel_for_all_reaches_every_server() {
    let (smppmux, servers) = start("");
    let mut alice = bind(&smppmux, "alice", 0);
    let bob = bind(&smppmux, "bob", 1);
    for number in 50..55 {
        alice.send(&cancel_sm(number, "", "1000", "4477"));
        let answer = alice.expect(CommandId::CANCEL_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_ROK)
        );
        for server in &servers {
            let cancel = server.next_request();
            let view = CancelView::parse(cancel.octets()).expect("cancel_sm");
            assert_eq!((view.message_id(), view.source().addr), (&b""[..], &b"1000"[..]));
        }
    }
    let mut clients = [alice, bob];
    for (place, source) in [(0, "2000"), (0, ""), (1, "1000")] {
        let client = &mut clients[place];
        client.send(&cancel_sm(60, "", source, "4477"));
        let answer = client.expect(CommandId::CANCEL_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (60, Status::ESME_RCANCELFAIL)
        );
    }
    assert!(servers.iter().all(|server| server.requests_so_far().is_empty()));
}
