//! SIGKILL at random moments under MO load with clients coming and going: what an SMSC saw acknowledged reaches a client.
//!
//! `SMPPMUX_KILLS=50` kills so many times; ordinary runs do a few. The figures are printed.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{Pdu, deliver_sm, response_with_id};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;
use tempfile::TempDir;

/// Kills in an ordinary run.
const KILLS: u64 = 4;
/// Destinations, each with a client that may claim it; the first digit is the same for all.
const DESTINATIONS: u64 = 8;
/// Messages that one SMSC session has unanswered at most.
const UNANSWERED_MAX: usize = 50;
/// How long a life of the process is, at least and at most.
const LIFE_MS: (u64, u64) = (150, 700);

/// What all threads know.
#[derive(Default)]
struct Ledger {
    /// Texts that an SMSC saw acknowledged with ESME_ROK.
    acknowledged: Mutex<HashSet<String>>,
    /// Texts that a client got, and how often.
    delivered: Mutex<HashMap<String, u32>>,
    /// The SMSC sends no more, and the clients stay.
    is_over: AtomicBool,
    /// Everything has arrived, or had its time: the clients may leave.
    may_leave: AtomicBool,
    sent: AtomicU64,
    /// Messages that may still be acknowledged: sent on a session that stands, without answer so far.
    unanswered: AtomicU64,
}

impl Ledger {
    /// Whether nothing more will be acknowledged, and what was has been delivered. Only for the end: the SMSC sends no more.
    fn is_complete(&self) -> bool {
        self.unanswered.load(Ordering::SeqCst) == 0 && {
            let acknowledged = self.acknowledged.lock().expect("no panic");
            let delivered = self.delivered.lock().expect("no panic");
            acknowledged.iter().all(|text| delivered.contains_key(text))
        }
    }
}

/// Numbers that look random: xorshift.
struct Random(u64);

impl Random {
    const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Sends messages on one session until it ends.
fn run_server_session(peer: Peer, ledger: &Ledger, seed: u64) {
    let mut waiting = HashMap::new();
    send_until_closed(peer, ledger, seed, &mut waiting);
    ledger
        .unanswered
        .fetch_sub(waiting.len() as u64, Ordering::SeqCst);
}

fn send_until_closed(mut peer: Peer, ledger: &Ledger, seed: u64, waiting: &mut HashMap<u32, String>) {
    let mut random = Random(seed | 1);
    let mut number = 0;
    loop {
        while waiting.len() < UNANSWERED_MAX {
            // Counted before the look whether it is over, so that whoever ended it and then counts none is right.
            ledger.unanswered.fetch_add(1, Ordering::SeqCst);
            if ledger.is_over.load(Ordering::SeqCst) {
                ledger.unanswered.fetch_sub(1, Ordering::SeqCst);
                break;
            }
            number += 1;
            let text = format!("{seed}-{number}");
            let destination = format!("888{}", random.below(DESTINATIONS));
            let message = deliver_sm(number, "2000", &destination, &text);
            waiting.insert(number, text);
            if !peer.try_send(&message) {
                return;
            }
            ledger.sent.fetch_add(1, Ordering::Relaxed);
            if random.below(4) == 0 {
                break;
            }
        }
        match peer.receive_within(Duration::from_millis(2)) {
            Received::Pdu(pdu) if pdu.command() == CommandId::DELIVER_SM_RESP => {
                let text = waiting
                    .remove(&pdu.sequence_number())
                    .expect("an answer to a message");
                if pdu.status() == Status::ESME_ROK {
                    ledger.acknowledged.lock().expect("no panic").insert(text);
                }
                ledger.unanswered.fetch_sub(1, Ordering::SeqCst);
            }
            Received::Pdu(_) | Received::Nothing => {}
            Received::Closed => return,
        }
    }
}

/// Answers the binds of an SMSC and sends messages on each of its sessions, until the end.
fn run_smsc(smsc: &Smsc, ledger: &Arc<Ledger>) {
    let mut sessions = 0;
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !ledger.is_over.load(Ordering::Relaxed) {
        let Some(mut peer) = smsc.accept_within(Duration::from_millis(20)) else {
            continue;
        };
        let Received::Pdu(bind) = peer.receive_within(Duration::from_secs(2)) else {
            continue;
        };
        let answer = response_with_id(bind.command().response(), bind.sequence_number(), "smsc");
        if peer.try_send(&answer) {
            sessions += 1;
            let ledger = Arc::clone(ledger);
            threads.push(thread::spawn(move || run_server_session(peer, &ledger, sessions)));
        }
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// A client that binds, takes messages for a while, vanishes or unbinds, and comes back; at last it stays.
fn run_client(address: &Mutex<Option<SocketAddr>>, ledger: &Ledger, number: u64) {
    let mut random = Random(number * 7_919 + 1);
    let (system_id, range) = (format!("esme{number}"), format!("888{number}"));
    let is_over = || ledger.is_over.load(Ordering::Relaxed);
    let may_leave = || ledger.may_leave.load(Ordering::Relaxed);
    while !may_leave() {
        let at = *address.lock().expect("no panic");
        let Some(mut client) = at.and_then(|at| bind(at, &system_id, &range)) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let stays_ms = 20 + random.below(400);
        let start = Instant::now();
        loop {
            let leaves = start.elapsed() > Duration::from_millis(stays_ms) && !is_over();
            if leaves || may_leave() {
                break;
            }
            match client.receive_within(Duration::from_millis(20)) {
                Received::Pdu(pdu) if pdu.command() == CommandId::DELIVER_SM => {
                    *ledger
                        .delivered
                        .lock()
                        .expect("no panic")
                        .entry(pdu.text())
                        .or_default() += 1;
                    let answer = response_with_id(CommandId::DELIVER_SM_RESP, pdu.sequence_number(), "");
                    client.try_send(&answer);
                }
                Received::Pdu(_) | Received::Nothing => {}
                Received::Closed => break,
            }
        }
        if random.below(2) == 0 {
            client.into_peer().reset();
        }
        thread::sleep(Duration::from_millis(random.below(200)));
    }
}

/// Binds, unless smppmux is just being killed.
fn bind(address: SocketAddr, system_id: &str, range: &str) -> Option<Esme> {
    let connected = std::net::TcpStream::connect(address).ok()?;
    drop(connected);
    std::panic::catch_unwind(|| Esme::start_bind(address, BindRequest::of(system_id).with_range(range)))
        .ok()
        .and_then(|mut esme| match esme.receive_within(Duration::from_secs(2)) {
            Received::Pdu(answer) => is_bound(&answer).then_some(esme),
            Received::Nothing | Received::Closed => None,
        })
}

fn is_bound(answer: &Pdu) -> bool {
    answer.command() == CommandId::BIND_TRANSCEIVER_RESP && answer.status() == Status::ESME_ROK
}

/// Goal: kill -9 at any moment loses nothing that was acknowledged. Method: two SMSC sessions send as fast as they may,
/// eight clients come and go, the process is killed and started again; at last everybody stays and the queue drains.
#[test]
fn nothing_acknowledged_is_lost() {
    let kills = std::env::var("SMPPMUX_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let folder = TempDir::new().expect("a temporary folder");
    let smsc = Smsc::start();
    let mut configuration = Configuration::with_engines(2)
        .vserver("hold-time = \"500ms\"\nresponse-timeout = \"2s\"")
        .server(
            "smsc",
            "0A",
            smsc.address(),
            "connections = 1\nreconnect-max = \"200ms\"",
        )
        .queue(&format!(
            "path = \"{}\"",
            folder.path().join("queue.redb").display()
        ));
    for number in 0..DESTINATIONS {
        let lines = format!("address-ranges = [\"888{number}\"]");
        configuration = configuration.client(&format!("esme{number}"), &lines);
    }
    let ledger = Arc::new(Ledger::default());
    let address = Arc::new(Mutex::new(None));
    let mut threads = vec![{
        let ledger = Arc::clone(&ledger);
        thread::spawn(move || run_smsc(&smsc, &ledger))
    }];
    threads.extend((0..DESTINATIONS).map(|number| {
        let (address, ledger) = (Arc::clone(&address), Arc::clone(&ledger));
        thread::spawn(move || run_client(&address, &ledger, number))
    }));
    let start = Instant::now();
    let mut random = Random(0x5E5E_5E5E);
    for _ in 0..kills {
        let smppmux = Smppmux::start(crate::PROGRAM, &configuration);
        *address.lock().expect("no panic") = Some(smppmux.address());
        thread::sleep(Duration::from_millis(
            LIFE_MS.0 + random.below(LIFE_MS.1 - LIFE_MS.0),
        ));
        *address.lock().expect("no panic") = None;
        // Dropping it is SIGKILL.
        drop(smppmux);
    }
    let smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    *address.lock().expect("no panic") = Some(smppmux.address());
    thread::sleep(Duration::from_millis(500));
    ledger.is_over.store(true, Ordering::SeqCst);
    // The clients stay until everything is there, or has had its time; the SMSC's sessions end with smppmux.
    let deadline = Instant::now() + PATIENCE;
    while !ledger.is_complete() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    ledger.may_leave.store(true, Ordering::Relaxed);
    for thread in threads.drain(1..) {
        thread.join().expect("no panic");
    }
    drop(smppmux);
    for thread in threads {
        thread.join().expect("no panic");
    }
    report(&ledger, kills, start.elapsed());
}

fn report(ledger: &Ledger, kills: u64, took: Duration) {
    let acknowledged = ledger.acknowledged.lock().expect("no panic");
    let delivered = ledger.delivered.lock().expect("no panic");
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|text| !delivered.contains_key(*text))
        .collect();
    let duplicates = delivered.values().filter(|times| **times > 1).count();
    println!(
        "{kills} kills in {took:.1?}: {} messages sent, {} acknowledged, {} of these delivered, {} lost; {} delivered in \
         all, {duplicates} of them more than once",
        ledger.sent.load(Ordering::Relaxed),
        acknowledged.len(),
        acknowledged.len() - lost.len(),
        lost.len(),
        delivered.len(),
    );
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(
        acknowledged.len() as u64 > kills * 10,
        "there was hardly any load"
    );
}
