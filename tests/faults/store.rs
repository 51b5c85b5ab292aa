//! The queue's store on a disk that is full, and on one whose fsync fails.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::deliver_sm;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

use crate::measure::wait_until;
use crate::sabotage::{Sabotage, is_allowed, switch_on};
use crate::{Lacks, alone, is_long, skip, tell};

/// Messages that are under way at once.
const BATCH: u32 = 50;

/// One SMSC session and the book of what it was told.
struct Sender {
    server: Peer,
    last_number: u32,
    acknowledged: HashSet<String>,
    refused: u64,
    last_refusal: Option<Status>,
}

impl Sender {
    fn new(server: Peer) -> Self {
        Self {
            server,
            last_number: 0,
            acknowledged: HashSet::new(),
            refused: 0,
            last_refusal: None,
        }
    }

    /// Sends a batch; how many were acknowledged.
    fn send_batch(&mut self) -> u32 {
        let first = self.last_number + 1;
        let text = |number: u32| format!("{number:0200}");
        for number in first..first + BATCH {
            self.server
                .send(&deliver_sm(number, "2000", "888123", &text(number)));
        }
        self.last_number += BATCH;
        let mut good = 0;
        for _ in 0..BATCH {
            let answer = self.server.expect(CommandId::DELIVER_SM_RESP);
            if answer.status() == Status::ESME_ROK {
                self.acknowledged.insert(text(answer.sequence_number()));
                good += 1;
            } else {
                self.refused += 1;
                self.last_refusal = Some(answer.status());
            }
        }
        good
    }

    /// Sends until a whole batch is taken again; how long that took.
    fn recovers(&mut self) -> Option<Duration> {
        wait_until(Duration::from_secs(30), || self.send_batch() == BATCH)
    }

    /// A client binds and takes everything: what was acknowledged and does not come.
    fn missing(&self, smppmux: &Smppmux) -> usize {
        let mut client = Esme::bind_with_range(smppmux.address(), "esme1", "888");
        let mut missing = self.acknowledged.clone();
        while !missing.is_empty() {
            match client.receive_within(Duration::from_secs(10)) {
                Received::Pdu(pdu) if pdu.command() == CommandId::DELIVER_SM => {
                    client.accept(&pdu);
                    missing.remove(&pdu.text());
                }
                Received::Pdu(_) => {}
                Received::Closed | Received::Nothing => break,
            }
        }
        missing.len()
    }

    fn status(&self) -> String {
        self.last_refusal
            .map_or("none".to_owned(), |status| status.to_string())
    }
}

fn configuration(smsc: &Smsc, queue: &Path) -> Configuration {
    Configuration::with_engines(2)
        .vserver("response-timeout = \"3s\"")
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "window = 100\naddress-ranges = [\"888\"]")
        .queue(&format!("path = \"{}\"", queue.display()))
}

fn start(
    smsc: &Smsc,
    program: &Path,
    queue: &Path,
    environment: &[(&str, std::ffi::OsString)],
) -> (Smppmux, Sender) {
    let mut smppmux = Smppmux::start_in(program, &configuration(smsc, queue), environment);
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, Sender::new(server))
}

/// Goal: when the disk is full nothing more is acknowledged, with a status that the SMSC tries again for; what was acknowledged
/// before is kept; when there is room again, so is what comes then.
#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    const FAULT: &str = "full disk under the queue (tmpfs of 8 MiB)";
    const PROMISED: &str = "what does not fit is refused for a while, what was acknowledged is delivered, and with room it goes on";
    let _alone = alone();
    if !is_allowed("unshare", &["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]) {
        return skip(FAULT, PROMISED, &Lacks::Rights("no mount namespace"));
    }
    let sabotage = Sabotage::new();
    let disk = sabotage.path("disk");
    fs::create_dir(&disk).expect("the folder is ours");
    let ballast = disk.join("ballast");
    let program = sabotage.program_with_mounts(&format!(
        "mount -t tmpfs -o size=8m none {disk}; head -c 5m /dev/zero > {ballast}",
        disk = disk.display(),
        ballast = ballast.display()
    ));
    let smsc = Smsc::start();
    let (smppmux, mut sender) = start(&smsc, &program, &disk.join("queue.redb"), &[]);
    let filled = wait_until(Duration::from_secs(60), || sender.send_batch() == 0);
    assert!(filled.is_some(), "{} fit", sender.acknowledged.len());
    let before = sender.acknowledged.len();
    let tries = if is_long() { 100 } else { 5 };
    let slipped_in: u32 = (0..tries).map(|_| sender.send_batch()).sum();
    let status = sender.status();
    // Seen through the process's own eyes.
    let hidden = format!("/proc/{}/root{}", smppmux.process_id(), ballast.display());
    fs::remove_file(hidden).expect("the ballast lies there");
    let recovered = sender.recovers();
    let missing = sender.missing(&smppmux);
    tell(
        FAULT,
        PROMISED,
        &format!(
            "{before} fit, {} refused with {status} ({slipped_in} taken in between), good again {} after room was made; {} \
             acknowledged in all, {missing} missing",
            sender.refused,
            recovered.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis())),
            sender.acknowledged.len(),
        ),
    );
    assert!(recovered.is_some() && missing == 0 && before > 0);
    assert!(
        matches!(
            sender.last_refusal,
            Some(Status::ESME_RMSGQFUL | Status::ESME_RX_T_APPN | Status::ESME_RSYSERR)
        ),
        "{status}"
    );
}

/// Goal: after a failed fsync nothing is acknowledged until the store has been opened again; nothing acknowledged is lost, also
/// not when the process is killed meanwhile.
#[test]
fn a_failing_fsync_acknowledges_nothing() {
    const FAULT: &str = "fsync fails with EIO under the queue, then SIGKILL";
    const PROMISED: &str = "nothing is acknowledged while it fails, all that was is delivered, also by the process after the kill";
    let _alone = alone();
    let sabotage = Sabotage::new();
    let Some(library) = sabotage.library() else {
        return skip(FAULT, PROMISED, &Lacks::Program("no C compiler".to_owned()));
    };
    let (switch, queue) = (sabotage.path("sync-fails"), sabotage.path("queue.redb"));
    let environment = [
        ("LD_PRELOAD", library.into_os_string()),
        ("SABOTAGE_SYNC", switch.clone().into_os_string()),
    ];
    let smsc = Smsc::start();
    let program = Path::new(crate::PROGRAM);
    let (smppmux, mut sender) = start(&smsc, program, &queue, &environment);
    let rounds = if is_long() { 20 } else { 2 };
    let (mut taken_meanwhile, mut longest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        assert_eq!(sender.send_batch(), BATCH);
        switch_on(&switch);
        taken_meanwhile += sender.send_batch() + sender.send_batch();
        fs::remove_file(&switch).expect("it is ours");
        longest = longest.max(sender.recovers().expect("it recovers"));
    }
    switch_on(&switch);
    taken_meanwhile += sender.send_batch();
    drop(smppmux);
    fs::remove_file(&switch).expect("it is ours");
    let refused = sender.refused;
    let status = sender.status();
    let (smppmux, again) = start(&smsc, program, &queue, &environment);
    sender.server = again.server;
    let missing = sender.missing(&smppmux);
    tell(
        FAULT,
        PROMISED,
        &format!(
            "{rounds} failures and a kill: {} acknowledged, {taken_meanwhile} of them while fsync failed, {refused} refused with \
             {status}, good again at most {} ms after; {missing} missing",
            sender.acknowledged.len(),
            longest.as_millis()
        ),
    );
    assert_eq!((taken_meanwhile, missing), (0, 0));
    assert!(refused > 0);
}
