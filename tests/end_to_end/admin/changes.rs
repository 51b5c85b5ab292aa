//! Drains and weights while messages flow.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{deliver_sm, header_only, response_with_id};
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use std::collections::HashMap;

fn shares(esme: &mut Esme, messages: usize) -> HashMap<String, usize> {
    let mut shares = HashMap::new();
    for _ in 0..messages {
        let answer = esme.submit_and_wait("4477", "text");
        assert_eq!(answer.status(), Status::ESME_ROK);
        // <name>-<number>#mx-<uid>
        let id = answer.message_id();
        let name = id.split('-').next().unwrap_or_default().to_owned();
        *shares.entry(name).or_default() += 1;
    }
    shares
}

/// Goal: a server that is drained gets no new submits and no client sees an error, while its own messages and operations on
/// messages that it has go on; undrained it gets its share again.
#[test]
fn a_drained_server_gets_no_new_submits() {
    let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
    let configuration = Configuration::with_engines(2)
        .vserver("method = \"round-robin\"")
        .server("smsc-a", "0A", one.address(), "")
        .server("smsc-b", "0B", two.address(), "")
        .client("esme1", "address-ranges = [\".*\"]");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    let id_at_one = std::iter::repeat_with(|| esme.submit_and_wait("4477", "text").message_id())
        .find(|id| id.starts_with("one"))
        .expect("its turn comes");
    let before = shares(&mut esme, 10);
    assert_eq!((before["one"], before["two"]), (5, 5));

    let said = administered.ctl_text(&["drain", "--server", "smsc-a"]);
    assert!(said.contains("smsc-a gets no new submits"), "{said}");
    assert_eq!(shares(&mut esme, 20), HashMap::from([("two".to_owned(), 20)]));
    assert!(administered.ctl_text(&["servers"]).contains("drained"));
    let number = esme.next_sequence_number();
    esme.send(&smppmux_tests::pdu::query_sm(number, &id_at_one, "1000"));
    assert_eq!(esme.expect(CommandId::QUERY_SM_RESP).status(), Status::ESME_ROK);
    let delivery = one.deliver(0, "4477", "from a server that drains");
    assert_eq!(esme.take_delivery().text(), "from a server that drains");
    assert_eq!(one.response_to(delivery).status(), Status::ESME_ROK);

    administered.ctl_text(&["undrain", "--server", "smsc-a"]);
    let after = shares(&mut esme, 10);
    assert_eq!((after["one"], after["two"]), (5, 5));
    assert_eq!(
        administered.ctl(&["drain", "--server", "smsc-c"]).status.code(),
        Some(65)
    );
}

/// Goal: where servers decide about binds, one that drains gets neither the submits of clients that it has bound nor the first question
/// about new ones.
#[test]
fn a_drained_server_gets_no_new_submits_of_forwarded_binds() {
    let (one, two) = (Smsc::start(), Smsc::start());
    let configuration = Configuration::with_engines(1)
        .vserver("auth = \"forward\"")
        .server("smsc-a", "0A", one.address(), "")
        .server("smsc-b", "0B", two.address(), "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let address = administered.smppmux.address();
    let mut alice = Esme::start_bind(address, BindRequest::of("alice"));
    let (mut at_one, _) = one.accept_bound();
    alice.expect(CommandId::BIND_TRANSCEIVER_RESP);
    let (mut at_two, _) = two.accept_bound();
    // Its answer is read after that of the bind.
    at_two.send(&header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 1));
    at_two.expect(CommandId::ENQUIRE_LINK_RESP);
    alice.submit("4477", "the first of two that are equally busy");
    let submit = at_one.expect(CommandId::SUBMIT_SM);
    at_one.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    alice.expect(CommandId::SUBMIT_SM_RESP);

    administered.ctl_text(&["drain", "--server", "smsc-a"]);
    alice.submit("4477", "text");
    at_two.expect(CommandId::SUBMIT_SM);
    for (system_id, why) in [("bob", "its turn"), ("carol", "the other one drains")] {
        let mut client = Esme::start_bind(address, BindRequest::of(system_id));
        let (_session, bind) = two.accept_bound();
        let asked = bind.octets()[16..].starts_with(system_id.as_bytes());
        assert!(asked, "{why}");
        assert_eq!(
            client.expect(CommandId::BIND_TRANSCEIVER_RESP).status(),
            Status::ESME_ROK
        );
        one.accept_bound();
    }
}

/// Goal: weights that are changed at run time give the new shares at once, on every core.
#[test]
fn weights_change_at_once() {
    let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
    let configuration = Configuration::with_engines(2)
        .vserver("method = \"weighted-round-robin\"")
        .server("smsc-a", "0A", one.address(), "")
        .server("smsc-b", "0B", two.address(), "")
        .client("esme1", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut at_each: Vec<Esme> = (0..2)
        .map(|engine| {
            Esme::bind_with(
                administered.smppmux.address(),
                BindRequest::of("esme1").at_engine(engine),
            )
        })
        .collect();
    administered.ctl_text(&["weight", "smsc-a", "3"]);
    for esme in &mut at_each {
        let shares = shares(esme, 40);
        assert_eq!((shares["one"], shares["two"]), (30, 10));
    }
    assert_eq!(
        administered.ctl(&["weight", "smsc-a", "0"]).status.code(),
        Some(65)
    );
    assert_eq!(
        administered.get("/api/v1/servers").json()["servers"][0]["weight"],
        3
    );
}

/// Goal: an account that is drained has its requests under way answered, its new ones refused, and its session ended by an
/// unbind; it cannot bind until it is undrained; other accounts do not notice.
#[test]
fn a_drained_account_ends_in_order() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "address-ranges = [\"888\"]")
        .client("esme2", "");
    let mut administered = Administered::start(&configuration);
    let (mut server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    let address = administered.smppmux.address();
    let mut idle = Esme::bind(address, "esme1");
    let mut busy = Esme::bind_with_range(address, "esme1", "888");
    let mut other = Esme::bind(address, "esme2");
    let under_way = busy.submit("4477", "under way");
    let submit = server.expect(CommandId::SUBMIT_SM);

    administered.ctl_text(&["drain", "--client", "esme1"]);
    idle.expect(CommandId::UNBIND);
    let refused = busy.submit_and_wait("4477", "too late");
    assert_eq!(refused.status(), Status::ESME_RSYSERR);
    // Its session takes nothing any more, so what comes for it waits.
    server.send(&deliver_sm(7, "2000", "888123", "for later"));
    assert_eq!(
        server.expect(CommandId::DELIVER_SM_RESP).status(),
        Status::ESME_ROK
    );
    assert_eq!(busy.enquire(8), []);
    let response = response_with_id(CommandId::SUBMIT_SM_RESP, submit.sequence_number(), "id");
    server.send(&response);
    let answer = busy.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (under_way, Status::ESME_ROK)
    );
    busy.expect(CommandId::UNBIND);
    let (_, refusal) = Esme::try_bind(address, BindRequest::of("esme1"));
    assert_eq!(refusal.status(), Status::ESME_RBINDFAIL);

    other.submit("4477", "of another");
    server.expect(CommandId::SUBMIT_SM);
    administered.ctl_text(&["undrain", "--client", "esme1"]);
    let mut again = Esme::bind_with_range(address, "esme1", "888");
    assert_eq!(again.take_delivery().text(), "for later");
}
