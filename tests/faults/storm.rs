//! All clients of a big installation lose their connections at once and come back at once.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::bind;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::skip::not_checked;
use smppmux_tests::smsc::AnsweringSmsc;

use crate::measure::{descriptors, resident_kib, wait_until};
use crate::{PROGRAM, alone, is_long, tell};

const THREADS: usize = 20;
const RANGE: &str = "888";

/// Connects and binds so many at once; those that are bound.
fn bind_all(address: SocketAddr, count: usize) -> Vec<Peer> {
    let workers = (0..THREADS).map(|worker| {
        thread::spawn(move || {
            let mine = (worker..count).step_by(THREADS);
            let mut peers: Vec<Peer> = mine.filter_map(|_| Peer::try_connect(address).ok()).collect();
            let account = ("esme1", PASSWORD);
            let request = bind(CommandId::BIND_TRANSCEIVER, 1, account, Version::V34, RANGE);
            peers.retain_mut(|peer| peer.try_send(&request));
            peers.retain_mut(|peer| {
                matches!(peer.receive_within(Duration::from_secs(30)),
                    Received::Pdu(answer) if answer.status() == Status::ESME_ROK)
            });
            peers
        })
    });
    let workers: Vec<_> = workers.collect();
    workers
        .into_iter()
        .flat_map(|worker| worker.join().expect("no panic"))
        .collect()
}

/// So many clients, or, where the limit of descriptors does not allow them, as many as it does, which is said aloud.
fn as_many_as_allowed(wanted: usize) -> usize {
    // smppmux has one end of each connection and this process the other, under the same limit; some are for other things.
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(500);
    if most < wanted {
        not_checked(
            &format!("{wanted} clients that reconnect at once"),
            &format!("`ulimit -n` is {allowed} here; it is tried with {most}"),
        );
    }
    wanted.min(most)
}

/// Goal: everybody who comes back at once is bound again, no session of before is left, and a neighbour is served meanwhile.
#[test]
fn everybody_reconnects_at_once() {
    let _alone = alone();
    let clients = as_many_as_allowed(if is_long() { 10_000 } else { 400 });
    let storms = if is_long() { 3 } else { 2 };
    let smsc = AnsweringSmsc::start("smsc");
    let configuration = Configuration::with_engines(2)
        .vserver("bind-timeout = \"30s\"")
        .server("smsc", "0A", smsc.address(), "")
        .client("esme1", &format!("address-ranges = [\"{RANGE}\"]"));
    let smppmux = Smppmux::start_ready(PROGRAM, &configuration);
    let mut neighbour = Esme::bind(smppmux.address(), "esme1");
    let before = descriptors(smppmux.process_id());
    let mut measured = Vec::new();
    for _ in 0..storms {
        let start = Instant::now();
        let storm = thread::spawn({
            let address = smppmux.address();
            move || bind_all(address, clients)
        });
        let mut longest = Duration::ZERO;
        while !storm.is_finished() {
            let sent_at = Instant::now();
            assert_eq!(
                neighbour.submit_and_wait("4477", "calm").status(),
                Status::ESME_ROK
            );
            longest = longest.max(sent_at.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
        let bound = storm.join().expect("no panic");
        let took = start.elapsed();
        measured.push(format!(
            "{} of {clients} bound in {:.1} s with {} MiB, the neighbour waited at most {} ms",
            bound.len(),
            took.as_secs_f64(),
            resident_kib(smppmux.process_id()) >> 10,
            longest.as_millis()
        ));
        assert_eq!(bound.len(), clients);
        bound.into_iter().for_each(Peer::reset);
    }
    let gone = wait_until(Duration::from_secs(20), || {
        descriptors(smppmux.process_id()) <= before
    });
    tell(
        "all clients are reset and bind again at once",
        "all are bound again, the neighbour is served, nothing of the old sessions is left",
        &format!(
            "{}; then all gone {}",
            measured.join("; "),
            if gone.is_some() { "in time" } else { "not" }
        ),
    );
    assert!(gone.is_some());
    let last = neighbour.submit_and_wait("4477", "calm again");
    assert_eq!(last.status(), Status::ESME_ROK);
}
