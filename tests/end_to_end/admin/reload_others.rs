//! What else a reload must carry on: routing rules and what they said of messages under way, and the queue.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::smsc::Smsc;
use std::time::{Duration, Instant};

fn answer(server: &mut Peer, sequence_number: u32) {
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        sequence_number,
        "id",
    ));
}

/// Sends a message that must reach this server, and answers it.
fn pass(client: &mut Esme, server: &mut Peer) {
    let number = client.submit("4477", "text");
    let submit = server.expect(CommandId::SUBMIT_SM);
    answer(server, submit.sequence_number());
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
}

/// Goal: rules that a reload brings hold for the next message, and one that is under way still goes where its own rule said
/// when its server is lost.
#[test]
fn routing_rules_follow_the_file() {
    let smscs = [Smsc::start(), Smsc::start(), Smsc::start()];
    let with = |rules: &str| {
        Configuration::with_engines(1)
            .vserver("on-server-loss = \"retry\"")
            .server("left", "0A", smscs[0].address(), "")
            .server("middle", "0B", smscs[1].address(), "priority = 1")
            .server("right", "0C", smscs[2].address(), "")
            .client("esme1", "")
            .section(rules)
    };
    let rule = |servers: &str| format!("[[route]]\ndestination = \"44\"\nservers = {servers}\n");
    let mut administered = Administered::start(&with(""));
    let [mut left, mut middle, mut right] = smscs.each_ref().map(|smsc| smsc.accept_bound().0);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    let to_left =
        rule("[\"left\", \"middle\"]") + "[[route]]\ndirection = \"mo\"\nreject = \"ESME_RINVSRCADR\"\n";
    administered.rewrite(&with(&to_left));
    administered.ctl_text(&["reload"]);
    (0..4).for_each(|_| pass(&mut esme, &mut left));
    right.send(&deliver_sm(7, "2000", "888", "text"));
    let refused = right.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(refused.status(), Status::ESME_RINVSRCADR);
    let under_way = esme.submit("4477", "under way");
    left.expect(CommandId::SUBMIT_SM);

    administered.rewrite(&with(&rule("[\"right\"]")));
    let said = administered.ctl_text(&["reload"]);
    assert!(said.contains("routing rules changed"), "{said}");
    pass(&mut esme, &mut right);
    drop(left);
    let again = middle.expect(CommandId::SUBMIT_SM);
    answer(&mut middle, again.sequence_number());
    let answered = esme.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answered.sequence_number(), answered.status()),
        (under_way, Status::ESME_ROK)
    );
    assert_eq!(right.enquire(9), []);

    let reject = "[[route]]\ndestination = \"44\"\nreject = \"ESME_RINVDSTADR\"\n";
    administered.rewrite(&with(&(reject.to_owned() + &rule("[\"right\"]"))));
    administered.ctl_text(&["reload"]);
    let refused = esme.submit_and_wait("4477", "refused");
    assert_eq!(refused.status(), Status::ESME_RINVDSTADR);
    administered.rewrite(&with(&rule("[\"nowhere\"]")));
    let output = administered.ctl(&["reload"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(".toml:") && error.contains("nowhere"), "{error}");
    let refused = esme.submit_and_wait("4477", "still refused");
    assert_eq!(refused.status(), Status::ESME_RINVDSTADR);
    administered.rewrite(&with(""));
    administered.ctl_text(&["reload"]);
    right.send(&deliver_sm(8, "2000", "888", "text"));
    let refused = right.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(
        refused.status(),
        Status::ESME_RINVDSTADR,
        "nobody may claim it, but no rule rejects it"
    );
}

/// Goal: what was queued before a reload is delivered after it; the limit of an account that the reload brings holds; a change
/// of the queue itself is refused with its place.
#[test]
fn the_queue_outlives_a_reload() {
    let smsc = Smsc::start();
    let with = |clients: &[(&str, &str)], queue: &str| {
        let configuration = Configuration::with_engines(2)
            .server("smsc", "0A", smsc.address(), "connections-total = 1")
            .queue(queue);
        clients
            .iter()
            .fold(configuration, |configuration, (name, range)| {
                configuration.client(name, &format!("address-ranges = [\"{range}\"]"))
            })
    };
    let queue = "store = \"memory\"\naccount-max-count = 2";
    let mut administered = Administered::start(&with(&[("old", "777"), ("goes", "666")], queue));
    let (mut server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    let send = |server: &mut Peer, number: u32, destination: &str, status: Status| {
        server.send(&deliver_sm(number, "2000", destination, &number.to_string()));
        let answer = server.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!((answer.sequence_number(), answer.status()), (number, status));
    };
    send(&mut server, 1, "777123", Status::ESME_ROK);
    send(&mut server, 2, "888123", Status::ESME_RINVDSTADR);

    let after = [("new", "888"), ("old", "777")];
    administered.rewrite(&with(&after, queue));
    administered.ctl_text(&["reload"]);
    send(&mut server, 3, "777123", Status::ESME_ROK);
    send(&mut server, 4, "777123", Status::ESME_RMSGQFUL);
    send(&mut server, 5, "888123", Status::ESME_ROK);
    send(&mut server, 6, "888124", Status::ESME_ROK);
    send(&mut server, 7, "888123", Status::ESME_RMSGQFUL);
    send(&mut server, 8, "666123", Status::ESME_RINVDSTADR);
    let address = administered.smppmux.address();
    let mut old = Esme::bind_with_range(address, "old", "777");
    let mut new = Esme::bind_with_range(address, "new", "888");
    assert_eq!([1, 2].map(|_| old.take_delivery().text()), ["1", "3"]);
    let mut texts = [1, 2].map(|_| new.take_delivery().text());
    texts.sort();
    assert_eq!(texts, ["5", "6"]);

    administered.rewrite(&with(&after, "store = \"memory\""));
    let output = administered.ctl(&["reload"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{error}");
    assert!(
        error.contains("restart") && error.contains(".toml:") && error.contains("[queue] has changed"),
        "{error}"
    );
}

/// Goal: what a rate had held up goes at once when a reload takes the rate away, and a rate that a reload brings holds for
/// sessions that are there.
#[test]
fn rates_follow_the_file() {
    let smsc = Smsc::start();
    let with = |lines: &str| {
        Configuration::with_engines(1)
            .vserver("hold-time = \"8s\"")
            .server("smsc", "0A", smsc.address(), lines)
            .client("esme1", "")
    };
    let mut administered = Administered::start(&with(""));
    let (mut server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    pass(&mut esme, &mut server);
    administered.rewrite(&with("rate = 1"));
    administered.ctl_text(&["reload"]);
    let numbers: Vec<u32> = (0..12).map(|_| esme.submit("4477", "text")).collect();
    let some = server.enquire(9).len();
    assert!(some < numbers.len(), "{some} at once, at one a second");
    administered.rewrite(&with(""));
    administered.ctl_text(&["reload"]);
    let started_at = Instant::now();
    for _ in some..numbers.len() {
        server.expect(CommandId::SUBMIT_SM);
    }
    assert!(started_at.elapsed() < Duration::from_secs(3));
}
