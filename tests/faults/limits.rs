//! Limits of the system that smppmux runs into: file descriptors and memory.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::thread::sleep;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{deliver_sm, submit_sm};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::measure::{descriptors, processor_time, resident_kib, wait_until};
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

/// A control group with a limit of memory, where this machine lets us make one.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new(octets: u64) -> Option<Self> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory/smppmux-test-{}", process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        fs::write(group.0.join("memory.limit_in_bytes"), octets.to_string()).ok()?;
        Some(group)
    }

    fn peak_mib(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.max_usage_in_bytes")).unwrap_or_default();
        text.trim().parse::<u64>().unwrap_or(0) >> 20
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // It is gone when its last process is, which may take a moment.
        wait_until(Duration::from_secs(5), || fs::remove_dir(&self.0).is_ok());
    }
}

/// Goal: what peers can make smppmux keep has a limit. Method: clients send all but the end of the largest PDU, others submit and
/// never read, an SMSC sends what nobody takes; a control group kills the process if it takes more than its limit.
#[test]
fn memory_stays_within_its_limit() {
    const LIMIT_MIB: u64 = 128;
    const FAULT: &str = "memory limit, peers that hoard";
    let promised = format!(
        "unfinished PDUs, unread answers and queued messages stay under {LIMIT_MIB} MiB; a neighbour is served"
    );
    let _alone = alone();
    let sabotage = Sabotage::new();
    let group = MemoryGroup::new(LIMIT_MIB << 20);
    let lines = group.as_ref().map_or(String::new(), |group| {
        format!("echo $$ > {}", group.0.join("cgroup.procs").display())
    });
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .engine("output-buffer = \"256KiB\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", "window = 1000")
        .client("away", "address-ranges = [\"888\"]");
    let smppmux = Smppmux::start_ready(sabotage.program(&lines), &configuration);
    let start_kib = resident_kib(smppmux.process_id());
    let mut neighbour = Esme::bind(smppmux.address(), "esme1");
    let hoarders = if is_long() { 500 } else { 100 };
    let mut crowd = Vec::new();
    for number in 0..hoarders {
        let mut peer = Esme::bind(smppmux.address(), "esme1").into_peer();
        if number % 2 == 0 {
            let mut unfinished = submit_sm(2, "1000", "4477", "");
            unfinished[..4].copy_from_slice(&81_920_u32.to_be_bytes());
            unfinished.resize(81_000, 0);
            peer.send(&unfinished);
        } else {
            peer.send(&submit_sm(2, "1000", "4477", "unread").repeat(500));
        }
        crowd.push(peer);
    }
    for number in 0..5_000 {
        smsc.send(
            number,
            &deliver_sm(number as u32 + 1, "2000", "888123", &"x".repeat(250)),
        );
    }
    for _ in 0..20 {
        assert_eq!(
            neighbour.submit_and_wait("4477", "calm").status(),
            Status::ESME_ROK
        );
    }
    let end_kib = resident_kib(smppmux.process_id());
    let peak = group
        .as_ref()
        .map_or("no control group here".to_owned(), |group| {
            format!("peak of the control group {} MiB", group.peak_mib())
        });
    tell(
        FAULT,
        &promised,
        &format!(
            "{hoarders} hoarders, 5000 queued messages: {} MiB at the start, {} MiB at the end, {peak}",
            start_kib >> 10,
            end_kib >> 10
        ),
    );
    assert!(end_kib >> 10 < LIMIT_MIB);
    assert_eq!(
        neighbour
            .enquire(77)
            .iter()
            .filter(|pdu| pdu.command() == CommandId::UNBIND)
            .count(),
        0
    );
}
