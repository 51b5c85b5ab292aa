//! Several vservers in front of one server: whose clients get its messages and its receipts.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{deliver_sm, receipt, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use tempfile::TempDir;

struct Stand {
    smppmux: Smppmux,
    /// Where clients of each vserver connect.
    addresses: Vec<SocketAddr>,
    server: Peer,
    smsc: Smsc,
}

/// Two engines and two vservers in front of one server, whose messages go to the clients of the first, `sms`. Both give
/// their ids another form. `alice` may bind at both, `bob` at `sms`, `carol` at `bulk`.
fn configuration(smsc: &Smsc, vserver: &str, rest: &str) -> Configuration {
    Configuration::with_engines(2)
        .vserver(vserver)
        .server(
            "smsc",
            "0A",
            smsc.address(),
            "connections-total = 1\nmobile-originated-vserver = \"sms\"",
        )
        .section(
            "[[vserver]]\nname = \"bulk\"\nlisten = [\"127.0.0.1:0\"]\nsignature = \"bulk\"\n\
             message-id = \"signed\"\nmessage-id-key = \"0123456789abcdef\"",
        )
        .client("alice", "")
        .client("bob", "address-ranges = [\".*\"]\nvservers = [\"sms\"]")
        .client("carol", "address-ranges = [\"55\"]\nvservers = [\"bulk\"]")
        .section(rest)
}

fn start(configuration: &Configuration, smsc: Smsc) -> Stand {
    let mut smppmux = Smppmux::start(crate::PROGRAM, configuration);
    let vservers = configuration.to_toml().matches("[[vserver]]").count();
    let mut addresses = vec![smppmux.address()];
    addresses.extend((1..vservers).map(|_| smppmux.next_address()));
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    Stand {
        smppmux,
        addresses,
        server,
        smsc,
    }
}

fn bind(address: SocketAddr, system_id: &str, engine: usize) -> Esme {
    Esme::bind_with(address, BindRequest::of(system_id).at_engine(engine))
}

/// Submits for a receipt; the server answers with `id`. Gives the id that the client gets.
fn submit(client: &mut Esme, server: &mut Peer, id: &str) -> String {
    client.submit_for_receipt("4477", "text");
    let submit = server.expect(CommandId::SUBMIT_SM);
    let number = submit.sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, id));
    client.expect(CommandId::SUBMIT_SM_RESP).message_id()
}

fn expect_status(server: &mut Peer, number: u32, status: Status) {
    let answer = server.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!((answer.sequence_number(), answer.status()), (number, status));
}

/// Sends a message until it is accepted. A core that has not heard of the unbind yet sends it to the one that has; what has met
/// rules is not tried elsewhere then, but left to the server to send again.
fn accept_behind_an_unbind(server: &mut Peer, message: &[u8]) {
    for _ in 0..20 {
        server.send(message);
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        if answer.status() == Status::ESME_ROK {
            return;
        }
        assert_eq!(answer.status(), Status::ESME_RX_T_APPN);
        thread::sleep(Duration::from_millis(50));
    }
    panic!("still refused a second after the unbind");
}

/// Goal: a receipt goes to the vserver where its message was submitted, with the id that was given there, on whatever engine;
/// never to the same account at the vserver that has the server's messages, whatever that one's own rule for receipts is.
#[test]
fn receipts_reach_the_vserver_of_their_submit() {
    for policy in ["", "receipts = \"address\""] {
        let smsc = Smsc::start();
        let mut stand = start(&configuration(&smsc, policy, ""), smsc);
        let [sms, bulk] = stand.addresses[..] else {
            panic!("two vservers")
        };
        let mut bob = bind(sms, "bob", 0);
        for (engine, number) in [(0, 10), (1, 20)] {
            let mut at_sms = bind(sms, "alice", engine);
            let mut at_bulk = bind(bulk, "alice", engine);
            let id = format!("b-{engine}");
            let given = submit(&mut at_bulk, &mut stand.server, &id);
            assert!(given.starts_with(&format!("{id}#bulk-0A")), "{given}");
            assert_eq!(given.len(), format!("{id}#bulk-0A").len() + 4);
            for (number, state) in [(number, "ENROUTE"), (number + 1, "DELIVRD")] {
                stand.server.send(&receipt(number, "4477", "1000", &id, state));
                assert_eq!(at_bulk.take_delivery().receipted_id(), given);
                expect_status(&mut stand.server, number, Status::ESME_ROK);
            }
            at_sms.expect_nothing();
            if policy.is_empty() {
                let id = format!("s-{engine}");
                assert_eq!(submit(&mut at_sms, &mut stand.server, &id), format!("{id}#mx-0A"));
                stand
                    .server
                    .send(&receipt(number + 2, "4477", "1000", &id, "DELIVRD"));
                assert_eq!(at_sms.take_delivery().receipted_id(), format!("{id}#mx-0A"));
                expect_status(&mut stand.server, number + 2, Status::ESME_ROK);
                at_bulk.expect_nothing();
            }
        }
        bob.expect_nothing();
    }
}

/// Goal: a receipt for an account that is away waits for it at the vserver of its submit; a restart changes nothing about that, also
/// where the vservers stand in another order then.
#[test]
fn receipts_wait_and_survive_at_their_vserver() {
    let smsc = Smsc::start();
    let folder = TempDir::new().expect("a folder");
    let rest = format!(
        "[receipts]\npath = \"{}\"\n[queue]\npath = \"{}\"",
        folder.path().join("receipts").display(),
        folder.path().join("queue").display()
    );
    let configuration = configuration(&smsc, "", &rest);
    let mut stand = start(&configuration, smsc);
    let [sms, bulk] = stand.addresses[..] else {
        panic!("two vservers")
    };
    let mut alice = bind(bulk, "alice", 0);
    let given = ["w-1", "w-2"].map(|id| submit(&mut alice, &mut stand.server, id));
    alice.unbind();
    let mut at_sms = bind(sms, "alice", 0);
    stand.server.send(&receipt(1, "4477", "1000", "w-1", "DELIVRD"));
    expect_status(&mut stand.server, 1, Status::ESME_ROK);
    at_sms.expect_nothing();
    let mut alice = bind(bulk, "alice", 1);
    assert_eq!(alice.take_delivery().receipted_id(), given[0]);
    at_sms.expect_nothing();

    drop((alice, at_sms));
    stand.smppmux.signal(Signal::TERM);
    // What is left is to unbind.
    stand.server.expect(CommandId::UNBIND);
    drop(stand.server);
    stand.smppmux.wait_for_exit();

    // What is put behind `[engine]` stands before all others: they get other numbers.
    let moved = configuration.engine("[[vserver]]\nname = \"new\"\nlisten = [\"127.0.0.1:0\"]");
    let mut stand = start(&moved, stand.smsc);
    let bulk = stand.addresses[2];
    let mut alice = bind(bulk, "alice", 0);
    stand.server.send(&receipt(1, "4477", "1000", "w-2", "DELIVRD"));
    assert_eq!(alice.take_delivery().receipted_id(), given[1]);
    expect_status(&mut stand.server, 1, Status::ESME_ROK);
}

/// Goal: a server's messages go to the clients of `mobile-originated-vserver`, whoever else claims their addresses, but for those
/// that a rule sends to the other vserver, at once or from the queue.
#[test]
fn messages_go_where_the_server_or_a_rule_says() {
    let smsc = Smsc::start();
    let rule = "[[route]]\ndirection = \"mo\"\ndestination = \"5577\"\nto-vserver = \"bulk\"";
    let configuration = configuration(&smsc, "", rule);
    let mut stand = start(&configuration, smsc);
    let [sms, bulk] = stand.addresses[..] else {
        panic!("two vservers")
    };
    let range = |system_id, range| BindRequest::of(system_id).with_range(range);
    let mut bob = Esme::bind_with(sms, range("bob", "").at_engine(0));
    let mut carol = Esme::bind_with(bulk, range("carol", "55").at_engine(1));
    stand.server.send(&deliver_sm(1, "2000", "5511", "of sms"));
    assert_eq!(bob.take_delivery().text(), "of sms");
    expect_status(&mut stand.server, 1, Status::ESME_ROK);
    stand.server.send(&deliver_sm(2, "2000", "5577", "of bulk"));
    assert_eq!(carol.take_delivery().text(), "of bulk");
    expect_status(&mut stand.server, 2, Status::ESME_ROK);
    carol.unbind();
    accept_behind_an_unbind(&mut stand.server, &deliver_sm(3, "2000", "55778", "waits"));
    bob.expect_nothing();
    let mut carol = Esme::bind_with(bulk, range("carol", "55").at_engine(0));
    assert_eq!(carol.take_delivery().text(), "waits");
}
