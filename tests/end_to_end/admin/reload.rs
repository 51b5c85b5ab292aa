//! The configuration read again while messages flow.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{receipt, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Goal: a file that is wrong, or asks for what needs a restart, changes nothing, and it is said where and what; by `ctl` and
/// by SIGHUP.
#[test]
fn a_wrong_file_changes_nothing() {
    let smsc = AnsweringSmsc::start("one");
    let good = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut administered = Administered::start(&good);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    let reload = |administered: &Administered| {
        let output = administered.ctl(&["reload"]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };

    administered.rewrite(&good.clone().client("esme2", "wndow = 5"));
    let (code, error) = reload(&administered);
    assert_eq!(code, Some(65));
    assert!(
        error.contains(".toml:") && error.contains("wndow") && error.contains("did you mean `window`"),
        "{error}"
    );
    administered.smppmux.signal(rustix::process::Signal::HUP);
    let line = administered
        .smppmux
        .wait_for_log("the configuration was not taken: nothing has changed");
    assert!(
        line["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("wndow")),
        "{line}"
    );

    administered.rewrite(&good.clone().engine("max-pdu = 4096").client("esme2", ""));
    let (code, error) = reload(&administered);
    assert_eq!(code, Some(75));
    assert!(error.contains("restart") && error.contains("[engine]"), "{error}");
    let (_, answer) = Esme::try_bind(administered.smppmux.address(), BindRequest::of("esme2"));
    assert_eq!(answer.status(), Status::ESME_RINVSYSID);
    assert_eq!(esme.submit_and_wait("4477", "text").status(), Status::ESME_ROK);

    administered.rewrite(&good.client("esme2", ""));
    administered.smppmux.signal(rustix::process::Signal::HUP);
    administered.smppmux.wait_for_log("configuration read again");
    let (_, answer) = Esme::try_bind(administered.smppmux.address(), BindRequest::of("esme2"));
    assert_eq!(answer.status(), Status::ESME_ROK);
}

/// Goal: an account that is removed has what is under way answered, then is unbound and unknown; what it may do follows the
/// file; a session whose account is unchanged stays.
#[test]
fn accounts_follow_the_file() {
    let smsc = Smsc::start();
    let with = |clients: &[(&str, &str)]| {
        let configuration = Configuration::with_engines(1).server("smsc-a", "0A", smsc.address(), "");
        clients
            .iter()
            .fold(configuration, |configuration, (name, lines)| {
                configuration.client(name, lines)
            })
    };
    let ranges = |range: &str| format!("address-ranges = [\"{range}\"]");
    let mut administered =
        Administered::start(&with(&[("stays", ""), ("goes", ""), ("narrows", &ranges("888"))]));
    let (mut server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    let address = administered.smppmux.address();
    let (mut stays, mut goes) = (Esme::bind(address, "stays"), Esme::bind(address, "goes"));
    let mut narrows = Esme::bind_with_range(address, "narrows", "888");
    let under_way = goes.submit("4477", "under way");
    let submit = server.expect(CommandId::SUBMIT_SM);

    administered.rewrite(&with(&[
        ("new", ""),
        ("narrows", &ranges("999")),
        ("stays", "window = 1"),
    ]));
    let said = administered.ctl_text(&["reload"]);
    assert!(said.contains("clients: 1 added, 1 removed, 2 changed"), "{said}");
    narrows.expect(CommandId::UNBIND);
    assert_eq!(
        goes.submit_and_wait("4477", "too late").status(),
        Status::ESME_RSYSERR
    );
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    let answer = goes.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (under_way, Status::ESME_ROK)
    );
    goes.expect(CommandId::UNBIND);
    for (name, status) in [("goes", Status::ESME_RINVSYSID), ("new", Status::ESME_ROK)] {
        let (_, answer) = Esme::try_bind(address, BindRequest::of(name));
        assert_eq!(answer.status(), status, "{name}");
    }
    // The window of a session that stays is the new one.
    let first = stays.submit("4477", "in the window");
    let refused = stays.submit("4477", "over it");
    let answer = stays.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (refused, Status::ESME_RTHROTTLED)
    );
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    assert_eq!(stays.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), first);
}

/// Goal: a server whose login has changed is left in order, when all is answered, and bound anew with the new one; one that is
/// removed is left for good.
#[test]
fn servers_follow_the_file() {
    let (changes, goes) = (Smsc::start(), Smsc::start());
    let base = || Configuration::with_engines(1).client("esme1", "");
    let configuration = base()
        .server("changes", "0A", changes.address(), "system-type = \"OLD\"")
        .server("goes", "0B", goes.address(), "priority = 1");
    let mut administered = Administered::start(&configuration);
    let (mut old, _) = changes.accept_bound();
    let (mut going, _) = goes.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    let under_way = esme.submit("4477", "under way");
    let submit = old.expect(CommandId::SUBMIT_SM);

    administered.rewrite(&base().server("changes", "0A", changes.address(), "system-type = \"NEW\""));
    let said = administered.ctl_text(&["reload"]);
    assert!(said.contains("servers: 0 added, 1 removed, 1 changed"), "{said}");
    going.expect(CommandId::UNBIND);
    assert_eq!(old.enquire(9), [], "not before the answer");
    old.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    let answer = esme.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (under_way, Status::ESME_ROK)
    );
    let unbind = old.expect(CommandId::UNBIND);
    old.send(&smppmux_tests::pdu::header_only(
        CommandId::UNBIND_RESP,
        Status::ESME_ROK,
        unbind.sequence_number(),
    ));
    let (mut new, bind) = changes.accept_bound();
    assert!(bind.octets().windows(3).any(|octets| octets == b"NEW"));
    assert_eq!(new.enquire(10), [], "its bind_resp has been read");
    let after = esme.submit("4477", "after");
    let submit = new.expect(CommandId::SUBMIT_SM);
    new.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    assert_eq!(esme.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), after);
}

/// Submits for a receipt; the server answers with `id`. Gives the id that the client gets.
fn submit_for_receipt(client: &mut Esme, server: &mut Peer, id: &str) -> String {
    client.submit_for_receipt("4477", "text");
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        id,
    ));
    client.expect(CommandId::SUBMIT_SM_RESP).message_id()
}

/// The server sends a receipt of `id`: this client gets it, under the id that it knows.
fn expect_receipt(server: &mut Peer, id: &str, client: &mut Esme, known_as: &str) {
    server.send(&receipt(1, "4477", "1000", id, "DELIVRD"));
    assert_eq!(client.take_delivery().receipted_id(), known_as, "{id}");
    assert_eq!(
        server.expect(CommandId::DELIVER_SM_RESP).status(),
        Status::ESME_ROK
    );
}

/// Goal: what was submitted before a reload gets its receipts after it, in memory and on disk; and after a kill those of an
/// account that only the reload brought are known as well.
#[test]
fn receipts_outlive_a_reload() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("receipts");
    for store in ["memory", "durable"] {
        let smsc = Smsc::start();
        let mut receipts = format!("[receipts]\nstore = \"{store}\"\n");
        if store == "durable" {
            receipts += &format!("path = {path:?}\n");
        }
        let with = |clients: &[&str]| {
            let configuration = Configuration::with_engines(2)
                .vserver("message-id = \"mapped\"")
                .server("smsc", "0A", smsc.address(), "connections-total = 1")
                .section(&receipts);
            clients.iter().fold(configuration, |configuration, name| {
                configuration.client(name, "")
            })
        };
        let mut administered = Administered::start(&with(&["old"]));
        let (mut server, _) = smsc.accept_bound();
        administered.smppmux.wait_for_log("smppmux ready");
        let address = administered.smppmux.address();
        let mut old = Esme::bind_with(address, BindRequest::of("old").at_engine(0));
        let before: Vec<String> = (0..10)
            .map(|number| submit_for_receipt(&mut old, &mut server, &format!("before-{number}")))
            .collect();
        administered.rewrite(&with(&["new", "old"]));
        administered.ctl_text(&["reload"]);
        let mut new = Esme::bind_with(address, BindRequest::of("new").at_engine(1));
        let after: Vec<String> = (0..10)
            .map(|number| submit_for_receipt(&mut new, &mut server, &format!("after-{number}")))
            .collect();
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            expect_receipt(&mut server, &format!("before-{number}"), &mut old, before);
            expect_receipt(&mut server, &format!("after-{number}"), &mut new, after);
        }
        if store == "memory" {
            continue;
        }
        // What is older than a second has to survive.
        thread::sleep(Duration::from_secs(1));
        administered.smppmux.signal(rustix::process::Signal::KILL);
        drop((administered, server, old, new));
        let mut smppmux = Smppmux::start(crate::PROGRAM, &with(&["new", "old"]));
        let (mut server, _) = smsc.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        let mut clients = ["old", "new"].map(|name| Esme::bind(smppmux.address(), name));
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            expect_receipt(&mut server, &format!("before-{number}"), &mut clients[0], before);
            expect_receipt(&mut server, &format!("after-{number}"), &mut clients[1], after);
        }
    }
}
