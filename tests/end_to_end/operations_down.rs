//! Operations on messages while a server is down, or goes, or fails: one answer that says so, from no other server.

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{cancel_sm, header_only, query_sm, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

struct Stand {
    smppmux: Smppmux,
    servers: [Peer; 2],
    client: Esme,
    /// They accept connections and never answer a bind again.
    _smscs: [Smsc; 2],
}

/// Two engines, two servers with one session each, and a client at one of the engines.
fn start(engine: usize) -> Stand {
    let smscs = [Smsc::start(), Smsc::start()];
    let configuration = Configuration::with_engines(2)
        .vserver("method = \"priority\"")
        .server("first", "0A", smscs[0].address(), "connections-total = 1")
        .server(
            "second",
            "0B",
            smscs[1].address(),
            "connections-total = 1\npriority = 1",
        )
        .client("alice", "address-ranges = [\"1000\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = [smscs[0].accept_bound().0, smscs[1].accept_bound().0];
    smppmux.wait_for_log("smppmux ready");
    let client = Esme::bind_with(smppmux.address(), BindRequest::of("alice").at_engine(engine));
    Stand {
        smppmux,
        servers,
        client,
        _smscs: smscs,
    }
}

fn expect_answer(client: &mut Esme, command: CommandId, number: u32, status: Status) {
    let answer = client.expect(command);
    assert_eq!((answer.sequence_number(), answer.status()), (number, status));
}

fn answer_cancel(server: &mut Peer, status: Status) {
    let number = server.expect(CommandId::CANCEL_SM).sequence_number();
    server.send(&header_only(CommandId::CANCEL_SM_RESP, status, number));
}

/// Goal: the answer to a cancel_sm for all messages says when one of the servers failed, went before its answer, or is down, so that the
/// client tries again; the others have cancelled all the same.
#[test]
fn a_cancel_for_all_says_when_a_server_could_not() {
    for engine in 0..2 {
        let mut stand = start(engine);
        let (client, [first, second]) = (&mut stand.client, &mut stand.servers);
        client.send(&cancel_sm(2, "", "1000", "4477"));
        answer_cancel(first, Status::ESME_RSYSERR);
        answer_cancel(second, Status::ESME_ROK);
        expect_answer(client, CommandId::CANCEL_SM_RESP, 2, Status::ESME_RSYSERR);

        client.send(&cancel_sm(3, "", "1000", "4477"));
        answer_cancel(second, Status::ESME_ROK);
        first.expect(CommandId::CANCEL_SM);
        let [first, mut second] = stand.servers;
        drop(first);
        expect_answer(client, CommandId::CANCEL_SM_RESP, 3, Status::ESME_RSYSERR);

        stand.smppmux.wait_for_log("server lost");
        client.send(&cancel_sm(4, "", "1000", "4477"));
        answer_cancel(&mut second, Status::ESME_ROK);
        expect_answer(client, CommandId::CANCEL_SM_RESP, 4, Status::ESME_RSYSERR);
    }
}

/// Goal: an operation on a message whose server is down, or goes before it answers, gets ESME_RSYSERR, and reaches no other server.
#[test]
fn an_operation_waits_for_no_server_and_finds_no_other() {
    for engine in 0..2 {
        let mut stand = start(engine);
        let client = &mut stand.client;
        let [mut first, mut second] = stand.servers;
        client.submit("4477", "text");
        let number = first.expect(CommandId::SUBMIT_SM).sequence_number();
        first.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, "m-1"));
        let id = client.expect(CommandId::SUBMIT_SM_RESP).message_id();
        assert_eq!(id, "m-1#mx-0A");

        client.send(&query_sm(7, &id, "1000"));
        first.expect(CommandId::QUERY_SM);
        drop(first);
        expect_answer(client, CommandId::QUERY_SM_RESP, 7, Status::ESME_RSYSERR);

        stand.smppmux.wait_for_log("server lost");
        client.send(&query_sm(8, &id, "1000"));
        expect_answer(client, CommandId::QUERY_SM_RESP, 8, Status::ESME_RSYSERR);
        client.send(&cancel_sm(9, &id, "1000", "4477"));
        expect_answer(client, CommandId::CANCEL_SM_RESP, 9, Status::ESME_RSYSERR);
        second.expect_nothing();
    }
}
