//! Servers that go away, refuse, or come slowly.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, patch_command_length};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{header_only, response_with_id, submit_sm};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc, answer_bind};

use crate::start_ready;

/// How long a connection that must not come is waited for.
const NO_CONNECTION_TIME: Duration = Duration::from_millis(300);

/// Goal: when a server closes or resets its session, each unanswered request gets one answer, ESME_RSYSERR, and the
/// session that follows carries messages again.
#[test]
fn unanswered_requests_get_one_answer_each() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    for is_reset in [false, true] {
        let mut unanswered: HashSet<u32> = (0..20).map(|_| client.submit("4477", "lost")).collect();
        for _ in 0..20 {
            server.expect(CommandId::SUBMIT_SM);
        }
        if is_reset {
            server.reset();
        } else {
            drop(server);
        }
        while !unanswered.is_empty() {
            let answer = client.expect(CommandId::SUBMIT_SM_RESP);
            assert_eq!(answer.status(), Status::ESME_RSYSERR);
            assert!(unanswered.remove(&answer.sequence_number()), "once each");
        }
        let answer = client.submit_and_wait("4477", "no server now");
        assert_eq!(answer.status(), Status::ESME_RSYSERR);
        server = smsc.accept_bound().0;
        smppmux.wait_for_log("server bound");
        let number = client.submit("4477", "again");
        let submit = server.expect(CommandId::SUBMIT_SM);
        assert_eq!(submit.text(), "again");
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
    }
}

/// Goal: a server that takes no octets and then dies: what was not written to it moves to the other server, the rest is
/// answered with an error, and each request has one answer. Method: large PDUs, more than the kernel takes.
#[test]
fn unwritten_requests_move_to_another_server() {
    const REQUESTS: u32 = 250;
    const PADDING_OCTETS: u16 = 60_000;
    let stuck = Smsc::start();
    let other = AnsweringSmsc::start("other");
    let configuration = Configuration::with_engines(1)
        .server("stuck", "0A", stuck.address(), "priority = 0")
        .server("other", "0B", other.address(), "priority = 1")
        .client("esme1", "window = 1000");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (server, _) = stuck.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    let mut writer = client.writer();
    let sending = std::thread::spawn(move || {
        for number in 1..=REQUESTS {
            let mut submit = submit_sm(number, "1000", "4477", &number.to_string());
            // A vendor TLV, which is relayed as it is.
            submit.extend([0x14, 0x01]);
            submit.extend(PADDING_OCTETS.to_be_bytes());
            submit.resize(submit.len() + usize::from(PADDING_OCTETS), b'x');
            patch_command_length(&mut submit);
            writer.send(&submit);
        }
    });
    // The other server is used only when no octet more goes to the first.
    other.next_request();
    sending.join().expect("all was taken");
    server.reset();
    let (mut refused, mut accepted) = (HashSet::new(), HashSet::new());
    for _ in 0..REQUESTS {
        let answer = client.expect(CommandId::SUBMIT_SM_RESP);
        let answers = if answer.status().is_ok() {
            &mut accepted
        } else {
            &mut refused
        };
        assert!(answers.insert(answer.sequence_number()), "one answer each");
    }
    assert!(refused.is_disjoint(&accepted), "one answer each");
    assert!(!refused.is_empty(), "some were written and not answered");
    let reached = 1 + other.requests_so_far().len();
    assert_eq!(
        reached,
        accepted.len(),
        "the other server got what it answered, once"
    );
}

/// Goal: one engine binds first; the other follows when the bind was accepted, and not before.
#[test]
fn one_engine_binds_first() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let _smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let mut first = smsc.accept();
    let bind = first.expect(CommandId::BIND_TRANSCEIVER);
    assert!(
        smsc.accept_within(NO_CONNECTION_TIME).is_none(),
        "the other engine waits"
    );
    let number = bind.sequence_number();
    first.send(&response_with_id(
        CommandId::BIND_TRANSCEIVER_RESP,
        number,
        "smsc",
    ));
    let _second = smsc.accept_bound();
    assert!(
        smsc.accept_within(NO_CONNECTION_TIME).is_none(),
        "one for each engine"
    );
}

/// Goal: after a refused password the next try comes after `auth-retry`, from one engine alone, and it can succeed.
#[test]
fn a_refused_password_is_tried_again_slowly() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "auth-retry = \"1500ms\"")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let mut server = smsc.accept();
    let bind = server.expect(CommandId::BIND_TRANSCEIVER);
    let number = bind.sequence_number();
    let refused_at = Instant::now();
    server.send(&header_only(
        CommandId::BIND_TRANSCEIVER_RESP,
        Status::ESME_RINVPASWD,
        number,
    ));
    let alarm = smppmux.wait_for_log("server refused our bind");
    assert_eq!(alarm["server"], "smsc");
    let mut server = smsc.accept();
    assert!(
        refused_at.elapsed() >= Duration::from_millis(1400),
        "{:?}",
        refused_at.elapsed()
    );
    answer_bind(&mut server);
    smsc.accept_bound();
}

/// Goal: a server that drops every connection is tried after pauses that grow.
#[test]
fn reconnects_slow_down() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let _smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let times: Vec<Instant> = (0..5)
        .map(|_| {
            drop(smsc.accept());
            Instant::now()
        })
        .collect();
    let (first, last) = (times[1] - times[0], times[4] - times[3]);
    // 100 ms and 800 ms before jitter.
    assert!(last > first * 2, "{first:?}, then {last:?}");
}

/// Goal: a server that unbinds gets its unbind_resp once it has answered, and smppmux binds anew.
#[test]
fn a_server_that_unbinds_is_left_in_order() {
    let smsc = AnsweringSmsc::start("other");
    let leaving = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("leaving", "0A", leaving.address(), "priority = 0")
        .server("other", "0B", smsc.address(), "priority = 1")
        .client("esme1", "");
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let (mut server, _) = leaving.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    let mut client = Esme::bind(smppmux.address(), "esme1");
    let number = client.submit("4477", "before");
    let submit = server.expect(CommandId::SUBMIT_SM);
    server.send(&header_only(CommandId::UNBIND, Status::ESME_ROK, 77));
    assert_eq!(
        server.enquire(78),
        [],
        "the unbind waits for the answer that is due"
    );
    let answer = client.submit_and_wait("4477", "after");
    assert!(answer.message_id().ends_with("#mx-0B"), "{}", answer.message_id());
    server.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        submit.sequence_number(),
        "id",
    ));
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), number);
    assert_eq!(server.expect(CommandId::UNBIND_RESP).sequence_number(), 77);
    server.expect_closed();
    leaving.accept_bound();
}

/// Goal: smppmux is ready, and clients can bind, without any server.
#[test]
fn no_server_is_no_reason_to_refuse_clients() {
    let dead = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("dead", "0A", dead.address(), "")
        .client("esme1", "");
    // Its connections are accepted and never answered.
    let smppmux = start_ready(&configuration);
    let mut client = Esme::bind(smppmux.address(), "esme1");
    let answer = client.submit_and_wait("4477", "no server");
    assert_eq!(answer.status(), Status::ESME_RSYSERR);
}
