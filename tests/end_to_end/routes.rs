//! Routing rules: which server or client gets a message, and what is changed in it on the way.

use smppmux_engine::core::wire::{CommandId, HEADER_OCTETS, Header, Status, Tag};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, deliver_sm, header_only, response_with_id, submit_sm};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

/// One engine, two servers, two accounts, and rules.
fn start(vserver: &str, rules: &str) -> (Smppmux, [Peer; 2], [Esme; 2]) {
    let smscs = [Smsc::start(), Smsc::start()];
    let configuration = Configuration::with_engines(1)
        .vserver(vserver)
        .server("left", "0A", smscs[0].address(), "")
        .server("right", "0B", smscs[1].address(), "")
        .client("esme1", "address-ranges = [\".*\"]")
        .client("esme2", "")
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    let clients = ["esme1", "esme2"].map(|system_id| Esme::bind(smppmux.address(), system_id));
    (smppmux, servers, clients)
}

/// Sends a message that must reach this server, and answers it; gives what the server saw.
fn pass(client: &mut Esme, server: &mut Peer, source: &str, destination: &str) -> Pdu {
    let number = client.next_sequence_number();
    client.send(&submit_sm(number, source, destination, "text"));
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (number, Status::ESME_ROK)
    );
    submit
}

/// Goal: a server's message whose text only looks like a receipt's meets the rules as any other.
#[test]
fn what_only_looks_like_a_receipt_meets_the_rules() {
    let rules = "[[route]]\ndirection = \"mo\"\ndestination = \"4477\"\nreject = \"ESME_RINVDSTADR\"";
    let (_smppmux, [mut left, _], [mut esme, _]) = start("receipt-hold = \"100ms\"", rules);
    for (number, text) in ["plain", "id:5A sub:001 dlvrd:001 stat:DELIVRD"]
        .into_iter()
        .enumerate()
    {
        let number = number as u32;
        left.send(&deliver_sm(number, "2000", "4477", text));
        let answer = left.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_RINVDSTADR),
            "{text}"
        );
    }
    esme.expect_nothing();
}

/// Goal: the first rule that matches decides: by account, source, destination, expression; whom no rule knows goes anywhere.
#[test]
fn the_first_rule_decides() {
    let rules = r#"
        [[route]]
        clients = ["esme2"]
        destination = "44"
        servers = ["right"]
        [[route]]
        destination = "4477"
        reject = "ESME_RINVDSTADR"
        [[route]]
        source = "^(7|8)[0-9]*$"
        servers = ["left"]
        [[route]]
        destination = "44"
        servers = ["right"]
    "#;
    let (_smppmux, [mut left, mut right], [mut one, mut two]) = start("", rules);
    for _ in 0..5 {
        pass(&mut two, &mut right, "1000", "4477001");
        pass(&mut one, &mut left, "7000", "4488");
        pass(&mut one, &mut right, "9000", "4488");
        pass(&mut one, &mut left, "8000", "1");
    }
    let answer = one.submit_and_wait("4477001", "refused");
    assert_eq!(answer.status(), Status::ESME_RINVDSTADR);
    assert_eq!((left.enquire(9), right.enquire(9)), (vec![], vec![]));
}

/// Goal: a rule's servers are the only ones for a message, also when they are down and others are up.
#[test]
fn a_group_that_is_down_is_not_replaced() {
    let rules = "[[route]]\ndestination = \"44\"\nservers = [\"right\"]\n";
    let (mut smppmux, [mut left, right], [mut one, _]) = start("", rules);
    drop(right);
    smppmux.wait_for_log("server lost");
    assert_eq!(one.submit_and_wait("44", "nobody").status(), Status::ESME_RSYSERR);
    pass(&mut one, &mut left, "1000", "33");
}

/// Goal: TON, NPI and the prefix that a rule names are changed in both addresses, and nothing else; what would not fit is
/// refused.
#[test]
fn addresses_are_changed() {
    let rules = r#"
        [[route]]
        source = "00"
        destination = "07"
        set-source-prefix = "+"
        set-source-ton = 5
        set-destination-prefix = "447"
        set-destination-npi = 8
        servers = ["left"]
        [[route]]
        destination = "9"
        set-destination-prefix = "12345678901234567890"
    "#;
    let (_smppmux, [mut left, _], [mut one, _]) = start("", rules);
    let submit = pass(&mut one, &mut left, "0049", "07700900123");
    let view = submit.message();
    assert_eq!(
        (view.source().ton, view.source().npi, view.source().addr),
        (5, 1, &b"+49"[..])
    );
    assert_eq!(
        (
            view.destination().ton,
            view.destination().npi,
            view.destination().addr
        ),
        (1, 8, &b"447700900123"[..])
    );
    assert_eq!(view.short_message(), b"text");
    assert_eq!(
        one.submit_and_wait("999", "too long").status(),
        Status::ESME_RINVDSTADR
    );
}

/// Goal: a message that waits for room has its addresses changed once, and one that moves from a lost session to the next
/// is not changed again.
#[test]
fn a_message_is_changed_once() {
    let rules = "[[route]]\ndestination = \"1\"\nset-destination-prefix = \"11\"\n";
    let smscs = [Smsc::start(), Smsc::start()];
    let configuration = Configuration::with_engines(1)
        .vserver("on-server-loss = \"retry\"\nhold-time = \"8s\"")
        .server("left", "0A", smscs[0].address(), "window = 1")
        .server("right", "0B", smscs[1].address(), "window = 1\npriority = 1")
        .client("esme1", "")
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let [mut left, mut right] = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    for text in ["one", "two", "three"] {
        client.submit("12", text);
    }
    assert_eq!(left.expect(CommandId::SUBMIT_SM).destination(), "112");
    let second = right.expect(CommandId::SUBMIT_SM);
    assert_eq!(second.destination(), "112");
    std::thread::sleep(std::time::Duration::from_millis(50));
    left.reset();
    let mut texts = Vec::new();
    let mut answered = second;
    for _ in 0..2 {
        right.send(&response_with_id(
            CommandId::SUBMIT_SM_RESP,
            answered.sequence_number(),
            "id",
        ));
        answered = right.expect(CommandId::SUBMIT_SM);
        assert_eq!(answered.destination(), "112");
        texts.push(answered.text());
    }
    texts.sort();
    assert_eq!(texts, ["one", "three"]);
}

/// Goal: rules for MO refuse messages and change them before their pool is looked for.
#[test]
fn messages_of_servers_meet_their_rules() {
    let rules = r#"
        [[route]]
        direction = "mo"
        from-servers = ["left"]
        destination = "0"
        set-destination-prefix = "44"
        [[route]]
        direction = "mo"
        source = "666"
        reject = "ESME_RX_R_APPN"
    "#;
    let (_smppmux, [mut left, mut right], [mut one, _]) = start("", rules);
    left.send(&deliver_sm(7, "1000", "0123", "to the account"));
    assert_eq!(one.take_delivery().destination(), "44123");
    assert_eq!(left.expect(CommandId::DELIVER_SM_RESP).sequence_number(), 7);
    right.send(&deliver_sm(8, "1000", "0123", "as it is"));
    assert_eq!(one.take_delivery().destination(), "0123");
    right.expect(CommandId::DELIVER_SM_RESP);
    right.send(&deliver_sm(9, "66612", "1", "refused"));
    let answer = right.expect(CommandId::DELIVER_SM_RESP);
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (9, Status::ESME_RX_R_APPN)
    );
}

fn vendor_command(number: u32, body: &[u8]) -> Vec<u8> {
    let header = Header {
        command_length: u32::try_from(HEADER_OCTETS + body.len()).expect("short"),
        command_id: CommandId(0x0001_0234),
        command_status: Status::ESME_ROK,
        sequence_number: number,
    };
    [&header.to_octets()[..], body].concat()
}

/// Goal: a client's vendor command passes untouched where a rule lets it, its answer comes back, and it is refused where none
/// does.
#[test]
fn vendor_commands_pass_by_a_rule() {
    let rules = "[[route]]\nclients = [\"esme1\"]\nvendor-commands = true\nservers = [\"right\"]\n";
    let (_smppmux, [_left, mut right], [mut one, mut two]) = start("", rules);
    one.send(&vendor_command(77, b"\x01\x02vendor"));
    let request = right.expect(CommandId(0x0001_0234));
    assert_eq!(request.body(), b"\x01\x02vendor");
    let mut answer = vendor_command(request.sequence_number(), b"\x03");
    answer[4] |= 0x80;
    right.send(&answer);
    let answer = one.expect(CommandId(0x8001_0234));
    assert_eq!((answer.sequence_number(), answer.body()), (77, &b"\x03"[..]));
    two.send(&vendor_command(78, b""));
    let refusal = two.expect(CommandId::GENERIC_NACK);
    assert_eq!(
        (refusal.sequence_number(), refusal.status()),
        (78, Status::ESME_RINVCMDID)
    );
}

/// Goal: a server's vendor command reaches the account that a rule names, on whatever engine, and its answer comes back, which
/// may be a generic_nack; it does not wait for an account that is away, and is refused where no rule lets it through.
#[test]
fn vendor_commands_of_servers_reach_an_account() {
    let rules = r#"
        [[route]]
        direction = "mo"
        vendor-commands = true
        from-servers = ["left"]
        to-client = "esme2"
    "#;
    let smscs = [Smsc::start(), Smsc::start()];
    let configuration = Configuration::with_engines(2)
        .server("left", "0A", smscs[0].address(), "connections-total = 1")
        .server("right", "0B", smscs[1].address(), "connections-total = 1")
        .client("esme1", "address-ranges = [\".*\"]")
        .client("esme2", "")
        .section(rules);
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let [mut left, mut right] = smscs.map(|smsc| smsc.accept_bound().0);
    smppmux.wait_for_log("smppmux ready");
    let mut other = Esme::bind_with_range(smppmux.address(), "esme1", "");
    left.send(&vendor_command(5, b"nobody is there"));
    let answer = left.expect(CommandId(0x8001_0234));
    assert_eq!(
        (answer.sequence_number(), answer.status()),
        (5, Status::ESME_RX_T_APPN)
    );
    for engine in [0, 1] {
        let mut client = Esme::bind_with(smppmux.address(), BindRequest::of("esme2").at_engine(engine));
        left.send(&vendor_command(77, b"\x01\x02vendor"));
        let request = client.expect(CommandId(0x0001_0234));
        assert_eq!(request.body(), b"\x01\x02vendor");
        let mut answer = vendor_command(request.sequence_number(), b"\x03");
        answer[4] |= 0x80;
        client.send(&answer);
        let answer = left.expect(CommandId(0x8001_0234));
        assert_eq!((answer.sequence_number(), answer.body()), (77, &b"\x03"[..]));
        left.send(&vendor_command(78, b""));
        let number = client.expect(CommandId(0x0001_0234)).sequence_number();
        client.send(&header_only(
            CommandId::GENERIC_NACK,
            Status::ESME_RINVCMDID,
            number,
        ));
        let answer = left.expect(CommandId(0x8001_0234));
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (78, Status::ESME_RINVCMDID)
        );
        right.send(&vendor_command(79, b""));
        let refusal = right.expect(CommandId::GENERIC_NACK);
        assert_eq!(
            (refusal.sequence_number(), refusal.status()),
            (79, Status::ESME_RINVCMDID)
        );
        client.unbind();
    }
    assert_eq!(other.enquire(99), []);
}

/// Goal: the hop guard counts in its TLV, and refuses what has passed too many gateways (PITFALLS 36).
#[test]
fn messages_that_go_round_are_stopped() {
    let (_smppmux, [mut left, _], [mut one, _]) = start(
        "method = \"priority\"\nhop-guard-tag = 0x1500\nhop-guard-max = 2",
        "[[route]]\nservers = [\"left\"]\n",
    );
    let submit = pass(&mut one, &mut left, "1000", "44");
    let hops = |pdu: &Pdu| {
        pdu.message()
            .tlvs()
            .find(Tag(0x1500))
            .and_then(|tlv| tlv.integer())
    };
    assert_eq!(hops(&submit), Some(1));
    one.send(submit.octets());
    let again = left.expect(CommandId::SUBMIT_SM);
    assert_eq!(hops(&again), Some(2));
    left.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        again.sequence_number(),
        "id",
    ));
    one.expect(CommandId::SUBMIT_SM_RESP);
    one.send(again.octets());
    assert_eq!(
        one.expect(CommandId::SUBMIT_SM_RESP).status(),
        Status::ESME_RSUBMITFAIL
    );
}
