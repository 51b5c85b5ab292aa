//! Clients that mean no good, or know no better: they connect and say nothing, say it octet by octet, or say rubbish.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{bind, submit_sm};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::measure::{descriptors, resident_kib, wait_until};
use crate::{PROGRAM, alone, is_long, tell};

/// Of the vservers here.
const BIND_TIMEOUT: Duration = Duration::from_secs(2);
/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_secs(4);

fn start() -> (Smppmux, AnsweringSmsc, Esme) {
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .vserver(&format!("bind-timeout = \"{}s\"", BIND_TIMEOUT.as_secs()))
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let smppmux = Smppmux::start_ready(PROGRAM, &configuration);
    let neighbour = Esme::bind(smppmux.address(), "esme1");
    (smppmux, smsc, neighbour)
}

fn bind_octets() -> Vec<u8> {
    let account = ("esme1", PASSWORD);
    bind(CommandId::BIND_TRANSCEIVER, 1, account, Version::V34, "")
}

/// The longest of some submits, which all must be good.
fn longest_of(client: &mut Esme, submits: u32) -> Duration {
    let times = (0..submits).map(|_| {
        let start = Instant::now();
        assert_eq!(
            client.submit_and_wait("4477", "still here").status(),
            Status::ESME_ROK
        );
        start.elapsed()
    });
    times.max().unwrap_or_default()
}

/// Goal: a flood of connections that never bind, or stop in the middle of it, ends by the bind-timeout, and holds up nobody.
#[test]
fn half_open_binds_end_by_their_timeout() {
    let _alone = alone();
    let (smppmux, _smsc, mut neighbour) = start();
    let before = descriptors(smppmux.process_id());
    let flood = if is_long() { 5_000 } else { 300 };
    let half_a_bind = &bind_octets()[..20];
    let begin = Instant::now();
    let crowd: Vec<Peer> = (0..flood)
        .map(|number| {
            let mut peer = Peer::connect(smppmux.address());
            if number % 2 == 0 {
                peer.try_send(half_a_bind);
            }
            peer
        })
        .collect();
    let came_in = begin.elapsed();
    let bind_start = Instant::now();
    let mut late = Esme::bind(smppmux.address(), "esme1");
    let bind_took = bind_start.elapsed();
    let longest = longest_of(&mut neighbour, 20).max(longest_of(&mut late, 20));
    let ended = wait_until(BIND_TIMEOUT + SLACK + came_in, || {
        descriptors(smppmux.process_id()) <= before + 1
    });
    tell(
        "flood of connections that never bind",
        "each ends by the bind-timeout (2 s); binds and messages of others pass",
        &format!(
            "{flood} connections in {} ms; a bind among them took {} ms, submits at most {} ms; all gone {} after",
            came_in.as_millis(),
            bind_took.as_millis(),
            longest.as_millis(),
            ended.map_or("not".to_owned(), |time| format!("{} ms", time.as_millis()))
        ),
    );
    assert!(
        ended.is_some(),
        "{} descriptors",
        descriptors(smppmux.process_id())
    );
    drop(crowd);
    longest_of(&mut neighbour, 1);
    longest_of(&mut late, 1);
}

/// Goal: a client that sends a bind octet by octet has no more time for it than any other, and one that is bound and dawdles
/// over its PDUs costs nobody anything.
#[test]
fn slow_talkers_hold_up_nobody() {
    const TALKERS: usize = 50;
    let _alone = alone();
    let (smppmux, _smsc, mut neighbour) = start();
    let memory = resident_kib(smppmux.process_id());
    let octets = bind_octets();
    let mut dawdlers: Vec<Peer> = (0..TALKERS)
        .map(|_| Esme::bind(smppmux.address(), "esme1").into_peer())
        .collect();
    let mut talkers: Vec<Peer> = (0..TALKERS).map(|_| Peer::connect(smppmux.address())).collect();
    let submit = submit_sm(2, "1000", "4477", "octet by octet");
    let gap = (BIND_TIMEOUT + SLACK) / octets.len() as u32;
    let mut longest = Duration::ZERO;
    for place in 0..octets.len() {
        for talker in &mut talkers {
            talker.try_send(&octets[place..=place]);
        }
        for dawdler in &mut dawdlers {
            dawdler.send(&submit[place..=place]);
        }
        longest = longest.max(longest_of(&mut neighbour, 1));
        std::thread::sleep(gap);
    }
    let bound =
        talkers
            .iter_mut()
            .filter_map(|talker| match talker.receive_within(Duration::from_millis(1)) {
                Received::Pdu(pdu) => Some(pdu),
                Received::Closed => None,
                Received::Nothing => panic!("still open"),
            });
    let bound = bound.count();
    let mut served = 0;
    for dawdler in &mut dawdlers {
        dawdler.send(&submit[octets.len()..]);
        served += usize::from(dawdler.expect(CommandId::SUBMIT_SM_RESP).status() == Status::ESME_ROK);
    }
    let memory = resident_kib(smppmux.process_id()).saturating_sub(memory);
    tell(
        "slowloris: binds and submits octet by octet",
        "a bind has the bind-timeout (2 s) in all; a bound client may dawdle; nobody else waits",
        &format!(
            "{bound} of {TALKERS} slow binds got through, {served} of {TALKERS} slow submits; others waited at most {} ms; {memory} KiB \
             more memory",
            longest.as_millis()
        ),
    );
    assert_eq!((bound, served), (0, TALKERS));
}

/// What is no SMPP, by name.
fn rubbish() -> Vec<(&'static str, Vec<u8>)> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let random = (0..4_096).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    let mut out_of_step = submit_sm(2, "1000", "4477", "out of step");
    out_of_step[3] += 1;
    vec![
        ("zeros", vec![0; 1_000]),
        ("ones", vec![0xFF; 1_000]),
        ("noise", random.collect()),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: smsc\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20)),
        (
            "a length of 2 GiB",
            b"\x7f\xff\xff\xff\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x02".to_vec(),
        ),
        (
            "a length of 15",
            b"\x00\x00\x00\x0f\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00".to_vec(),
        ),
        ("out of step", out_of_step.repeat(3)),
    ]
}

/// Goal: rubbish ends the connection that it came on, before a bind at once, and no other; nothing is kept for a length that
/// was only claimed.
#[test]
fn rubbish_ends_its_own_connection() {
    let _alone = alone();
    let rounds = if is_long() { 200 } else { 5 };
    let (smppmux, _smsc, mut neighbour) = start();
    let (before, memory) = (
        descriptors(smppmux.process_id()),
        resident_kib(smppmux.process_id()),
    );
    let (mut ended, mut longest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        for (name, octets) in rubbish() {
            for is_bound in [false, true] {
                let mut peer = if is_bound {
                    Esme::bind(smppmux.address(), "esme1").into_peer()
                } else {
                    Peer::connect(smppmux.address())
                };
                let start = Instant::now();
                peer.try_send(&octets);
                // What is out of step may look like the beginning of a long PDU: then it is the end of the stream that ends it.
                peer.finish_writing();
                for answer in peer.receive_until_closed() {
                    let command = answer.command();
                    assert!(command.is_response(), "{name}: {answer:?}");
                }
                longest = longest.max(start.elapsed());
                ended += 1;
            }
        }
        longest_of(&mut neighbour, 1);
    }
    let gone = wait_until(SLACK, || descriptors(smppmux.process_id()) <= before);
    let memory = resident_kib(smppmux.process_id()).saturating_sub(memory);
    tell(
        "rubbish instead of SMPP, before and after a bind",
        "it ends its own connection and nothing else; nothing is kept for it",
        &format!(
            "{ended} connections ended, after at most {} ms; {memory} KiB more memory; the neighbour was served all the time",
            longest.as_millis()
        ),
    );
    assert!(gone.is_some() && memory < 16 << 10);
    longest_of(&mut neighbour, 1);
}
