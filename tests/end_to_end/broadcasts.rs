//! broadcast_sm of v5.0, and the operations on it: to the server that has it, by the account that sent it.

use smppmux_engine::core::wire::{
    BroadcastView, CancelBroadcastView, CommandId, HEADER_OCTETS, QueryBroadcastView, Status, Version,
};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, header_only, query_sm, receipt, response_with_id, with_tlvs};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// The TLVs that a broadcast must have: area, content type, repeats, interval; and one of a vendor.
const TLVS: [(u16, &[u8]); 5] = [
    (0x0606, b"\0north"),
    (0x0601, &[0, 0, 0]),
    (0x0604, &[0, 1]),
    (0x0605, &[8, 0, 1]),
    (0x1400, b"vendor"),
];

/// broadcast_sm; `message_id` names the one whose place it takes.
fn broadcast(number: u32, message_id: &str, data_coding: u8) -> Vec<u8> {
    let mut pdu = header_only(CommandId::BROADCAST_SM, Status::ESME_ROK, number);
    pdu.extend_from_slice(b"\0\x01\x011000\0");
    pdu.extend_from_slice(message_id.as_bytes());
    // priority_flag, no times, replace_if_present_flag, sm_default_msg_id.
    let replace = u8::from(!message_id.is_empty());
    pdu.extend_from_slice(&[0, 0, 0, 0, replace, data_coding, 0]);
    with_tlvs(pdu, &TLVS)
}

fn query_broadcast(number: u32, message_id: &str) -> Vec<u8> {
    let mut pdu = query_sm(number, message_id, "1000");
    pdu[4..8].copy_from_slice(&CommandId::QUERY_BROADCAST_SM.0.to_be_bytes());
    pdu
}

fn cancel_broadcast(number: u32, message_id: &str, source: &str) -> Vec<u8> {
    let mut pdu = header_only(CommandId::CANCEL_BROADCAST_SM, Status::ESME_ROK, number);
    pdu.extend_from_slice(format!("\0{message_id}\0\x01\x01{source}\0").as_bytes());
    with_tlvs(pdu, &[])
}

struct Stand {
    smppmux: Smppmux,
    /// Two of v5.0, `left` and `right`, and one of v3.4.
    servers: [Peer; 3],
}

/// Two engines; each server has one session, at one of them. Rules name the server by data_coding.
fn start() -> Stand {
    let smscs = [(); 3].map(|()| Smsc::start());
    let rules = "[[route]]\ndata-coding = [8]\nservers = [\"right\"]\n[[route]]\ndata-coding = [4]\nservers = [\"left\"]";
    let lines = |version| format!("connections-total = 1\ninterface-version = \"{version}\"");
    let configuration = Configuration::with_engines(2)
        .server("left", "0A", smscs[0].address(), &lines("5.0"))
        .server("right", "0B", smscs[1].address(), &lines("5.0"))
        .server("old", "0C", smscs[2].address(), &lines("3.4"))
        .client("alice", "address-ranges = [\"1000\"]")
        .client("bob", "address-ranges = [\".*\"]")
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    Stand { smppmux, servers }
}

fn bind(stand: &Stand, system_id: &str, engine: usize) -> Esme {
    let request = BindRequest::of(system_id)
        .at_engine(engine)
        .with_version(Version::V50);
    Esme::bind_with(stand.smppmux.address(), request)
}

/// Sends a request that this server must get; the server answers with this id. Gives both PDUs.
fn pass(client: &mut Esme, server: &mut Peer, request: &[u8], id: &str) -> (Pdu, Pdu) {
    client.send(request);
    let command = Pdu::new(request.to_vec()).command();
    let got = server.expect(command);
    server.send(&response_with_id(command.response(), got.sequence_number(), id));
    (got, client.expect(command.response()))
}

fn expect_refused(client: &mut Esme, request: &[u8], status: Status) {
    client.send(request);
    let sent = Pdu::new(request.to_vec());
    let answer = client.receive();
    assert_eq!(
        (answer.command(), answer.sequence_number(), answer.status()),
        (sent.command().response(), sent.sequence_number(), status)
    );
}

/// Goal: a broadcast goes where its data_coding says; its id is tagged, and what names the id (a query, a cancel, a broadcast that takes
/// its place) goes to the same server with the tag removed, whatever the rules say, and otherwise octet for octet; its receipts go to the
/// account that sent it; another account can do nothing with it.
#[test]
fn a_broadcast_belongs_to_its_server_and_its_account() {
    let mut stand = start();
    for engine in 0..2 {
        let mut alice = bind(&stand, "alice", engine);
        let mut bob = bind(&stand, "bob", 1 - engine);
        let [left, right, _] = &mut stand.servers;
        let plain = format!("b-{engine}");
        let (_, answer) = pass(&mut alice, left, &broadcast(2, "", 4), "other");
        assert_eq!(answer.message_id(), "other#mx-0A");
        let (got, answer) = pass(&mut alice, right, &broadcast(3, "", 8), &plain);
        assert_eq!(got, Pdu::new(broadcast(got.sequence_number(), "", 8)));
        let id = answer.message_id();
        assert_eq!(id, format!("{plain}#mx-0B"));

        let (got, answer) = pass(&mut alice, right, &query_broadcast(4, &id), &plain);
        let view = QueryBroadcastView::parse(got.octets()).expect("query_broadcast_sm");
        assert_eq!(view.message_id(), plain.as_bytes());
        assert_eq!(view.tlvs().count(), 0, "no note of ours");
        assert_eq!(answer.message_id(), id);

        let (got, answer) = pass(&mut alice, right, &broadcast(5, &id, 4), &plain);
        assert_eq!(got, Pdu::new(broadcast(got.sequence_number(), &plain, 4)));
        assert_eq!(answer.message_id(), id);

        for request in [
            query_broadcast(6, &id),
            broadcast(6, &id, 8),
            cancel_broadcast(6, &id, "1000"),
        ] {
            expect_refused(&mut bob, &request, Status::ESME_RINVMSGID);
        }
        for unknown in ["b-0", "b-0#xx-0B", "b-0#mx-0Z"] {
            expect_refused(&mut alice, &broadcast(7, unknown, 8), Status::ESME_RINVMSGID);
        }
        // What smppmux notes behind such a PDU.
        let forged = with_tlvs(broadcast(8, &id, 8), &[(0x3FFF, b"0A")]);
        expect_refused(&mut alice, &forged, Status::ESME_RINVOPTPARSTREAM);

        right.send(&receipt(9, "1000", "1000", &plain, "DELIVRD"));
        assert_eq!(alice.take_delivery().receipted_id(), id);
        assert!(right.expect(CommandId::DELIVER_SM_RESP).status().is_ok());
        bob.expect_nothing();

        alice.send(&cancel_broadcast(10, &id, "1000"));
        let got = right.expect(CommandId::CANCEL_BROADCAST_SM);
        let view = CancelBroadcastView::parse(got.octets()).expect("cancel_broadcast_sm");
        assert_eq!(view.message_id(), plain.as_bytes());
        assert_eq!(view.tlvs().count(), 0, "no note of ours");
        let number = got.sequence_number();
        right.send(&header_only(
            CommandId::CANCEL_BROADCAST_SM_RESP,
            Status::ESME_ROK,
            number,
        ));
        assert!(alice.expect(CommandId::CANCEL_BROADCAST_SM_RESP).status().is_ok());
        alice.unbind();
        bob.unbind();
    }
}

/// Goal: cancel_broadcast_sm without an id goes to every server that knows broadcasts, as it is, and gets one answer: ESME_ROK where one
/// has cancelled, ESME_RBCASTCANCELFAIL where none had anything to cancel, and another error where one could not say; for a source
/// address that is not the account's it is refused.
#[test]
fn all_broadcasts_are_cancelled_at_every_server() {
    use Status as S;
    let mut stand = start();
    let cases = [
        ([S::ESME_ROK, S::ESME_RBCASTCANCELFAIL], S::ESME_ROK),
        (
            [S::ESME_RBCASTCANCELFAIL, S::ESME_RBCASTCANCELFAIL],
            S::ESME_RBCASTCANCELFAIL,
        ),
        ([S::ESME_ROK, S::ESME_RSYSERR], S::ESME_RSYSERR),
    ];
    for engine in 0..2 {
        let mut alice = bind(&stand, "alice", engine);
        for (number, (statuses, expected)) in (2..).zip(cases) {
            let request = cancel_broadcast(number, "", "1000");
            alice.send(&request);
            for (server, status) in stand.servers.iter_mut().zip(statuses) {
                let got = server.expect(CommandId::CANCEL_BROADCAST_SM);
                assert_eq!(got.body(), &request[HEADER_OCTETS..]);
                let number = got.sequence_number();
                server.send(&header_only(CommandId::CANCEL_BROADCAST_SM_RESP, status, number));
            }
            let answer = alice.expect(CommandId::CANCEL_BROADCAST_SM_RESP);
            assert_eq!((answer.sequence_number(), answer.status()), (number, expected));
        }
        expect_refused(
            &mut alice,
            &cancel_broadcast(9, "", "2000"),
            S::ESME_RBCASTCANCELFAIL,
        );
        alice.unbind();
    }
    let [_, _, old] = &mut stand.servers;
    old.expect_nothing();
}

/// Goal: what is about a broadcast whose server is down is answered ESME_RSYSERR, not as if nobody knew broadcasts; and a broadcast that takes
/// another's place goes to no other server when its own one throttles.
#[test]
fn a_broadcast_finds_no_other_server() {
    let smscs = [Smsc::start(), Smsc::start()];
    let lines = "connections-total = 1\ninterface-version = \"5.0\"";
    let configuration = Configuration::with_engines(2)
        .vserver("on-throttle = \"retry\"\non-server-loss = \"retry\"")
        .server("left", "0A", smscs[0].address(), lines)
        .server("right", "0B", smscs[1].address(), lines)
        .client("alice", "address-ranges = [\"1000\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let [mut left, mut right] = [&smscs[0], &smscs[1]].map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    for engine in 0..2 {
        let request = BindRequest::of("alice")
            .at_engine(engine)
            .with_version(Version::V50);
        let mut alice = Esme::bind_with(smppmux.address(), request);
        alice.send(&broadcast(2, "b#mx-0A", 0));
        let number = left.expect(CommandId::BROADCAST_SM).sequence_number();
        left.send(&header_only(
            CommandId::BROADCAST_SM_RESP,
            Status::ESME_RTHROTTLED,
            number,
        ));
        let answer = alice.expect(CommandId::BROADCAST_SM_RESP);
        assert_eq!(answer.status(), Status::ESME_RTHROTTLED);
        right.expect_nothing();
    }
    drop(left);
    smppmux.wait_for_log("server lost");
    let request = BindRequest::of("alice").with_version(Version::V50);
    let mut alice = Esme::bind_with(smppmux.address(), request);
    for request in [
        broadcast(3, "b#mx-0A", 0),
        query_broadcast(4, "b#mx-0A"),
        cancel_broadcast(5, "b#mx-0A", "1000"),
    ] {
        expect_refused(&mut alice, &request, Status::ESME_RSYSERR);
    }
    right.expect_nothing();
}

/// Goal: where no server knows broadcasts, whatever is about them is answered ESME_RINVCMDID.
#[test]
fn older_servers_get_no_broadcast() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("old", "0C", smsc.address(), "connections-total = 1")
        .client("alice", "address-ranges = [\"1000\"]");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    for engine in 0..2 {
        let request = BindRequest::of("alice")
            .at_engine(engine)
            .with_version(Version::V50);
        let mut alice = Esme::bind_with(smppmux.address(), request);
        for request in [
            broadcast(2, "", 0),
            broadcast(3, "b#mx-0C", 0),
            query_broadcast(4, "b#mx-0C"),
            cancel_broadcast(5, "b#mx-0C", "1000"),
            cancel_broadcast(6, "", "1000"),
        ] {
            expect_refused(&mut alice, &request, Status::ESME_RINVCMDID);
        }
    }
    server.expect_nothing();
    assert!(BroadcastView::parse(&broadcast(1, "", 0)).is_ok_and(|view| view.check_required_tlvs().is_ok()));
}
