//! Limits of the system that smppmux runs into: file descriptors and memory.

use std::thread::sleep;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, submit_sm};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::measure::{descriptors, peak_kib, processor_time, resident_kib, wait_until};
use crate::memory_limit::MemoryLimit;
use crate::sabotage::Sabotage;
use crate::{alone, is_long, load, tell};

/// Goal: with no file descriptor left new connections wait; those that stand work on, no processor is burnt, and when there are
/// descriptors again, connections are accepted.
#[test]
fn descriptors_run_out() {
    const LIMIT: usize = 80;
    let _alone = alone();
    let sabotage = Sabotage::new();
    let program = sabotage.program(&format!("ulimit -n {LIMIT}"));
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .vserver("bind-timeout = \"60s\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "");
    let smppmux = Smppmux::start_ready(&program, &configuration);
    let mut client = Esme::bind(smppmux.address(), "esme1");
    let crowd: Vec<Peer> = (0..LIMIT * 2).map(|_| Peer::connect(smppmux.address())).collect();
    let is_full = wait_until(Duration::from_secs(10), || {
        descriptors(smppmux.process_id()) + 2 >= LIMIT
    });
    let open = descriptors(smppmux.process_id());
    let before = processor_time(smppmux.process_id());
    let watched = Duration::from_secs(if is_long() { 30 } else { 2 });
    let mut answered = 0;
    for _ in 0..20 {
        let answer = client.submit_and_wait("4477", "crowded");
        answered += u32::from(answer.status() == Status::ESME_ROK);
        sleep(watched / 20);
    }
    let burnt = processor_time(smppmux.process_id()).saturating_sub(before);
    drop(crowd);
    let back = wait_until(Duration::from_secs(20), || {
        load::try_bind(smppmux.address(), "esme1").is_some()
    });
    tell(
        "file descriptors run out",
        "what is bound works on, no processor is burnt, connections are accepted again once there are descriptors",
        &format!(
            "limit {LIMIT}, {open} open: {answered} of 20 submits good, {} ms of processor in {} s; a new bind {} after the crowd left",
            burnt.as_millis(),
            watched.as_secs(),
            back.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis()))
        ),
    );
    assert!(is_full.is_some(), "{open} descriptors");
    assert_eq!(answered, 20);
    assert!(burnt < watched / 2 && back.is_some());
}

/// Goal: what peers can make smppmux keep has a limit. Method: clients send all but the end of the largest PDU, an SMSC sends
/// what nobody takes; where there are control groups, one kills the process if it takes more than its limit. (Answers that nobody
/// reads: `unread.rs`.)
#[test]
fn memory_stays_within_its_limit() {
    const LIMIT_MIB: u64 = 128;
    const QUEUED: u32 = 5_000;
    const PDU_OCTETS: u32 = 81_920;
    let _alone = alone();
    let sabotage = Sabotage::new();
    let limit = MemoryLimit::new(LIMIT_MIB << 20);
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "window = 1000")
        .client("away", "address-ranges = [\"888\"]");
    let smppmux = Smppmux::start_ready(sabotage.program(&limit.shell_lines()), &configuration);
    let start_kib = resident_kib(smppmux.process_id());
    let mut neighbour = Esme::bind(smppmux.address(), "esme1");
    let hoarders: u32 = if is_long() { 500 } else { 100 };
    let mut unfinished = submit_sm(2, "1000", "4477", "");
    unfinished[..4].copy_from_slice(&PDU_OCTETS.to_be_bytes());
    unfinished.resize(PDU_OCTETS as usize - 1, 0);
    let mut crowd: Vec<Peer> = (0..hoarders)
        .map(|_| {
            let mut peer = Esme::bind(smppmux.address(), "esme1").into_peer();
            peer.send(&unfinished);
            peer
        })
        .collect();
    for number in 1..=QUEUED {
        smsc.send(0, &deliver_sm(number, "2000", "888123", &"x".repeat(250)));
        // So many at once that the store's own limit does not refuse them.
        if number % 50 == 0 {
            assert_eq!(smsc.response_to(number).status(), Status::ESME_ROK);
        }
    }
    for _ in 0..20 {
        assert_eq!(
            neighbour.submit_and_wait("4477", "calm").status(),
            Status::ESME_ROK
        );
    }
    // The group counts what the kernel keeps for it too: its sockets, and the pages of the queue's file.
    let peak_kib = peak_kib(smppmux.process_id());
    let peak_of_group = limit.peak_octets();
    // Each of them was there all the time, and its PDU is one when its last octet comes.
    for peer in &mut crowd {
        peer.send(&[0]);
        peer.expect(CommandId::SUBMIT_SM_RESP);
    }
    let of_group = peak_of_group.map_or(String::new(), |octets| {
        format!(", of its group {} MiB", octets >> 20)
    });
    tell(
        "memory limit, peers that hoard",
        &format!(
            "unfinished PDUs and queued messages stay under {LIMIT_MIB} MiB; a neighbour is served, no PDU is lost"
        ),
        &format!(
            "limit by {}: {hoarders} clients each with {} KiB of an unfinished PDU, {QUEUED} queued messages: {} MiB at the start, peak of \
             the process {} MiB{of_group}",
            limit.name(),
            unfinished.len() >> 10,
            start_kib >> 10,
            peak_kib >> 10,
        ),
    );
    // Else nothing was tried.
    assert!(
        peak_kib > start_kib + u64::from(hoarders) * u64::from(PDU_OCTETS) / 2 / 1024,
        "{peak_kib} KiB"
    );
    assert!(peak_kib >> 10 < LIMIT_MIB, "{peak_kib} KiB");
    assert!(
        peak_of_group.is_none_or(|octets| octets >> 20 < LIMIT_MIB),
        "{peak_of_group:?}"
    );
}
