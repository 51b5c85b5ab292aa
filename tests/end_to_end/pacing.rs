//! Servers that throttle, rates, and requests that are sent again.

use std::thread;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, header_only, response_with_id};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use crate::start_ready;

/// So long an SMSC thinks before it answers: the answer must not overtake the kernel's word that the request was written.
const THINKING: Duration = Duration::from_millis(30);
/// An SMSC that takes so long for one message is given a rest of about the same length: longer than a busy machine stops.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// One engine, a first choice and a second one, and a client.
fn start(vserver: &str) -> (Smppmux, Peer, Peer, Esme) {
    let (first, second) = (Smsc::start(), Smsc::start());
    let configuration = Configuration::with_engines(1)
        .vserver(vserver)
        .server("first", "0A", first.address(), "")
        .server("second", "0B", second.address(), "priority = 1")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let ((first, _), (second, _)) = (first.accept_bound(), second.accept_bound());
    smppmux.wait_for_log("smppmux ready");
    let client = Esme::bind(smppmux.address(), "esme1");
    (smppmux, first, second, client)
}

fn accept(server: &mut Peer, submit: &Pdu, id: &str) {
    let number = submit.sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, number, id));
}

fn refuse(server: &mut Peer, submit: &Pdu, status: Status) {
    thread::sleep(THINKING);
    let number = submit.sequence_number();
    server.send(&header_only(CommandId::SUBMIT_SM_RESP, status, number));
}

/// Goal: a server that throttles gets less, and what it does not get goes to another one at once; who sent the message that
/// was too much is told so (default), or it goes to the other server as well and nobody notices (`on-throttle = "retry"`).
#[test]
fn a_server_that_throttles_is_relieved() {
    for status in [Status::ESME_RTHROTTLED, Status::ESME_RMSGQFUL] {
        for retries in [false, true] {
            let policy = if retries { "on-throttle = \"retry\"" } else { "" };
            let (_smppmux, mut first, mut second, mut client) = start(policy);
            let number = client.submit("4477", "one");
            let submit = first.expect(CommandId::SUBMIT_SM);
            thread::sleep(SLOW_ANSWER);
            refuse(&mut first, &submit, status);
            if retries {
                let again = second.expect(CommandId::SUBMIT_SM);
                assert_eq!(again.body(), submit.body());
                accept(&mut second, &again, "id");
            }
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            let expected = if retries { Status::ESME_ROK } else { status };
            assert_eq!((answer.sequence_number(), answer.status()), (number, expected));
            if retries {
                assert_eq!(answer.message_id(), "id#mx-0B");
            }
            let number = client.submit("4477", "two");
            let submit = second.expect(CommandId::SUBMIT_SM);
            assert_eq!(submit.text(), "two");
            accept(&mut second, &submit, "id");
            assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), number);
            assert_eq!(first.enquire(9), [], "the first one has a rest");
        }
    }
}

/// Goal: with nobody else to take it, a throttled message is tried again until its hold time is over, then the client is told;
/// and when the server takes it in time, the client only sees that.
#[test]
fn a_throttled_message_is_tried_until_its_time_is_over() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .vserver("on-throttle = \"retry\"\nhold-time = \"700ms\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    client.submit("4477", "taken the second time");
    let submit = server.expect(CommandId::SUBMIT_SM);
    refuse(&mut server, &submit, Status::ESME_RTHROTTLED);
    let submit = server.expect(CommandId::SUBMIT_SM);
    accept(&mut server, &submit, "id");
    assert_eq!(
        client.expect(CommandId::SUBMIT_SM_RESP).status(),
        Status::ESME_ROK
    );
    let sent_at = Instant::now();
    client.submit("4477", "never taken");
    let mut writer = server.writer();
    let refuser = thread::spawn(move || {
        let mut tries = 0;
        while let smppmux_tests::peer::Received::Pdu(submit) = server.receive_within(Duration::from_secs(2)) {
            refuse(&mut writer, &submit, Status::ESME_RTHROTTLED);
            tries += 1;
        }
        tries
    });
    let answer = client.expect(CommandId::SUBMIT_SM_RESP);
    let waited = sent_at.elapsed();
    assert_eq!(answer.status(), Status::ESME_RTHROTTLED);
    assert!(waited > Duration::from_millis(500), "{waited:?}");
    let tries = refuser.join().expect("no panic");
    assert!((2..20).contains(&tries), "{tries} tries in 700ms");
}

/// Goal: `on-server-loss = "retry"`: what a session had when it was lost goes to another server, and the client gets the one
/// answer of the one that took it; by default the client is told.
/// Method: one engine; and two, where the client's engine reaches both servers by way of the other one.
#[test]
fn requests_of_a_lost_session_are_sent_again() {
    for engines in [1, 2] {
        let (first, second) = (Smsc::start(), Smsc::start());
        let spare = AnsweringSmsc::start("spare");
        let configuration = Configuration::with_engines(engines)
            .vserver("on-server-loss = \"retry\"")
            .server("first", "0A", first.address(), "connections-total = 1")
            .server("spare", "0Z", spare.address(), "priority = 9")
            .server(
                "second",
                "0B",
                second.address(),
                "connections-total = 1\npriority = 1",
            )
            .client("esme1", "");
        let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        let ((mut first_session, _), (mut second_session, _)) = (first.accept_bound(), second.accept_bound());
        smppmux.wait_for_log("smppmux ready");
        // Both servers' sessions are on engine 0: their places in the file are even.
        let request = BindRequest::of("esme1").at_engine(engines - 1);
        let mut client = Esme::bind_with(smppmux.address(), request);
        let texts: Vec<String> = (0..20).map(|number| format!("text {number}")).collect();
        let mut numbers: Vec<u32> = texts.iter().map(|text| client.submit("4477", text)).collect();
        for text in &texts {
            assert_eq!(&first_session.expect(CommandId::SUBMIT_SM).text(), text);
        }
        thread::sleep(THINKING);
        first_session.reset();
        for _ in &texts {
            let submit = second_session.expect(CommandId::SUBMIT_SM);
            assert!(texts.contains(&submit.text()));
            accept(&mut second_session, &submit, "id");
        }
        while !numbers.is_empty() {
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!(
                (answer.status(), answer.message_id().as_str()),
                (Status::ESME_ROK, "id#mx-0B")
            );
            numbers.retain(|number| *number != answer.sequence_number());
        }
        assert_eq!(client.enquire(99), [], "one answer each");
    }
}

/// Goal: a server's `rate` holds over all engines together, and what is too much for now waits.
/// Method: two engines with sessions of their own, a client at each, far more messages than the rate lets through at once.
#[test]
fn a_servers_rate_holds_over_all_engines() {
    const RATE: u32 = 100;
    const MESSAGES: u32 = 150;
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .vserver("hold-time = \"9s\"")
        .server("smsc", "0A", smsc.address(), &format!("rate = {RATE}"))
        .client("esme1", "");
    let smppmux = start_ready(&configuration);
    let mut clients =
        [0, 1].map(|engine| Esme::bind_with(smppmux.address(), BindRequest::of("esme1").at_engine(engine)));
    let started_at = Instant::now();
    for client in &mut clients {
        for number in 0..MESSAGES / 2 {
            client.submit("4477", &number.to_string());
        }
    }
    for client in &mut clients {
        for _ in 0..MESSAGES / 2 {
            assert_eq!(
                client.expect(CommandId::SUBMIT_SM_RESP).status(),
                Status::ESME_ROK
            );
        }
    }
    let took = started_at.elapsed();
    // At once: the burst (a tenth of the rate), and a lease (a twentieth) and a message at each engine.
    let at_once = RATE / 10 + 2 * (RATE / 20 + 1);
    let least = Duration::from_secs_f64(f64::from(MESSAGES - at_once) / f64::from(RATE));
    println!("{MESSAGES} messages at {RATE}/s took {took:?}, at least {least:?}");
    assert!(took >= least, "{took:?}, at least {least:?}");
    assert!(took < least * 3, "{took:?}, at least {least:?}");
}

/// Goal: an account over its `rate` gets ESME_RTHROTTLED for what is too much, and goes on when it is slower.
#[test]
fn an_account_over_its_rate_is_throttled() {
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(1)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "rate = 2\nburst = 5")
        .client("esme2", "");
    let smppmux = start_ready(&configuration);
    let mut client = Esme::bind(smppmux.address(), "esme1");
    for number in 0..10 {
        client.submit("4477", &number.to_string());
    }
    let statuses: Vec<_> = (0..10)
        .map(|_| client.expect(CommandId::SUBMIT_SM_RESP).status())
        .collect();
    let accepted = statuses.iter().filter(|status| status.is_ok()).count();
    assert!((5..7).contains(&accepted), "{statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| [Status::ESME_ROK, Status::ESME_RTHROTTLED].contains(status))
    );
    let mut other = Esme::bind(smppmux.address(), "esme2");
    assert_eq!(
        other.submit_and_wait("4477", "not limited").status(),
        Status::ESME_ROK
    );
    thread::sleep(Duration::from_millis(700));
    assert_eq!(
        client.submit_and_wait("4477", "slower").status(),
        Status::ESME_ROK
    );
}

/// Goal: an account with `burst = 1` that keeps to its rate is never throttled, on whichever engine each of its requests comes: no
/// engine keeps a token that another one needs.
#[test]
fn an_account_within_its_rate_is_not_throttled_on_any_engine() {
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(3)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "rate = 20\nburst = 1");
    let smppmux = start_ready(&configuration);
    let bind = |engine| Esme::bind_with(smppmux.address(), BindRequest::of("esme1").at_engine(engine));
    let mut clients = [0, 1, 2].map(bind);
    for turn in [0, 1, 2, 0, 0, 1, 1, 2, 2, 0, 2, 1, 0, 1, 0, 2] {
        let client: &mut Esme = &mut clients[turn];
        let answer = client.submit_and_wait("4477", "in time");
        assert_eq!(answer.status(), Status::ESME_ROK, "engine {turn}");
        // A twentieth of a second, and what the engines take to tell each other on a busy machine.
        thread::sleep(Duration::from_millis(150));
    }
    let statuses: Vec<Status> = (0..12)
        .map(|turn| clients[turn % 3].submit_and_wait("4477", "too fast").status())
        .collect();
    assert!(statuses.contains(&Status::ESME_RTHROTTLED), "{statuses:?}");
}

/// Goal: an account that was too fast on several engines is welcome on each of them after a pause: no engine holds against it what it let
/// through in advance.
#[test]
fn an_account_that_was_too_fast_is_welcome_after_a_pause() {
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(3)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "rate = 70\nburst = 2");
    let smppmux = start_ready(&configuration);
    let bind = |engine| Esme::bind_with(smppmux.address(), BindRequest::of("esme1").at_engine(engine));
    let mut clients = [0, 1, 2].map(bind);
    for round in 0..8 {
        let statuses: Vec<Status> = (0..600)
            .map(|turn| clients[turn % 3].submit_and_wait("4477", "too fast").status())
            .collect();
        assert!(statuses.contains(&Status::ESME_RTHROTTLED), "{statuses:?}");
        thread::sleep(Duration::from_millis(200));
        for (engine, client) in clients.iter_mut().enumerate() {
            let answer = client.submit_and_wait("4477", "after a pause");
            assert_eq!(
                answer.status(),
                Status::ESME_ROK,
                "round {round}, engine {engine}"
            );
            thread::sleep(Duration::from_millis(60));
        }
    }
}
