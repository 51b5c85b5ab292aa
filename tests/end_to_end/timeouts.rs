//! Answers that come late, wrong, or not at all.

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{deliver_sm, header_only, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// The number of an enquire_link that shows that nothing else was sent.
const MARK: u32 = 0x5E5E_5E5E;

/// A server with one session at engine 0, and clients at both engines: the second one's messages cross.
fn start() -> (Smppmux, Peer, [Esme; 2]) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .vserver("hold-time = \"100ms\"\nresponse-timeout = \"500ms\"")
        .server(
            "smsc",
            "0A",
            smsc.address(),
            "connections-total = 1\nresponse-timeout = \"500ms\"",
        )
        .client("esme1", "address-ranges = [\"8880\", \"8881\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let clients = [0, 1].map(|engine| {
        let range = format!("888{engine}");
        let request = BindRequest::of("esme1").with_range(&range).at_engine(engine);
        Esme::bind_with(smppmux.address(), request)
    });
    (smppmux, server, clients)
}

/// Goal: a request that the server does not answer in time is answered once; the late answer goes nowhere, and the
/// session goes on.
#[test]
fn a_late_answer_of_a_server_goes_nowhere() {
    let (_smppmux, mut server, clients) = start();
    for mut client in clients {
        let number = client.submit("4477", "slow");
        let submit = server.expect(CommandId::SUBMIT_SM);
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_RSYSERR)
        );
        server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            submit.sequence_number(),
            "late",
        ));
        assert_eq!(server.enquire(MARK), []);

        let number = client.submit("4477", "quick");
        let submit = server.expect(CommandId::SUBMIT_SM);
        server.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            submit.sequence_number(),
            "quick",
        ));
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(answer.sequence_number(), number, "not the late answer");
        assert_eq!(answer.message_id(), "quick#mx-0A");
        assert_eq!(client.enquire(MARK), []);
    }
}

/// Goal: the same for a client that does not answer a deliver_sm: the server gets ESME_RX_T_APPN, once.
#[test]
fn a_late_answer_of_a_client_goes_nowhere() {
    let (_smppmux, mut server, clients) = start();
    for (engine, mut client) in clients.into_iter().enumerate() {
        let destination = format!("888{engine}1");
        server.send(&deliver_sm(1, "2000", &destination, "slow"));
        let delivery = client.expect(CommandId::DELIVER_SM);
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (1, Status::ESME_RX_T_APPN)
        );
        client.accept(&delivery);
        assert_eq!(client.enquire(MARK), []);

        server.send(&deliver_sm(2, "2000", &destination, "quick"));
        client.take_delivery();
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!((answer.sequence_number(), answer.status()), (2, Status::ESME_ROK));
        assert_eq!(server.enquire(MARK), []);
    }
}

/// Goal: a server's generic_nack for a request becomes that request's own response with the same status, raw statuses of
/// vendors too.
#[test]
fn a_generic_nack_becomes_the_requests_response() {
    let (_smppmux, mut server, clients) = start();
    for mut client in clients {
        for status in [
            Status::ESME_RINVCMDID,
            Status::ESME_RINVCMDLEN,
            Status(0x0000_0499),
        ] {
            let number = client.submit("4477", "nack");
            let submit = server.expect(CommandId::SUBMIT_SM);
            server.send(&header_only(
                CommandId::GENERIC_NACK,
                status,
                submit.sequence_number(),
            ));
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!((answer.sequence_number(), answer.status()), (number, status));
        }
        assert_eq!(client.enquire(MARK), []);
    }
}

/// Goal: a generic_nack without an error is no success, whoever sends it, whether or not the request crossed engines.
#[test]
fn a_generic_nack_without_an_error_is_no_success() {
    let (_smppmux, mut server, clients) = start();
    let nack = |number| header_only(CommandId::GENERIC_NACK, Status::ESME_ROK, number);
    for (engine, mut client) in clients.into_iter().enumerate() {
        client.submit("4477", "nack");
        let submit = server.expect(CommandId::SUBMIT_SM);
        server.send(&nack(submit.sequence_number()));
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(answer.status(), Status::ESME_RSYSERR);

        server.send(&deliver_sm(9, "2000", &format!("888{engine}1"), "nack"));
        let delivery = client.expect(CommandId::DELIVER_SM);
        client.send(&nack(delivery.sequence_number()));
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (9, Status::ESME_RX_T_APPN)
        );
        assert_eq!((client.enquire(MARK), server.enquire(MARK)), (vec![], vec![]));
    }
}

/// Goal: a server's error, of the specification or a vendor's, comes back as it is.
#[test]
fn errors_pass_through() {
    let (_smppmux, mut server, clients) = start();
    for (engine, mut client) in clients.into_iter().enumerate() {
        for status in [
            Status::ESME_RTHROTTLED,
            Status::ESME_RINVDSTADR,
            Status(0xFFFF_FFFF),
        ] {
            client.submit("4477", "error");
            let submit = server.expect(CommandId::SUBMIT_SM);
            let number = submit.sequence_number();
            server.send(&header_only(CommandId::SUBMIT_SM_RESP, status, number));
            assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).status(), status);

            server.send(&deliver_sm(9, "2000", &format!("888{engine}1"), "error"));
            let number = client.expect(CommandId::DELIVER_SM).sequence_number();
            client.send(&header_only(CommandId::DELIVER_SM_RESP, status, number));
            assert_eq!(server.expect(CommandId::DELIVER_SM_RESP).status(), status);
        }
    }
}
