//! Several engines: hand-overs, messages between cores, wake-ups.

use super::fake_engine::order;
use super::harness::{Client, Harness, TestedDriver, wait_until};
use crate::core::contract::CoreIndex;
use smppmux_flow_distributor::{IndirectionTable, RssBits, Scheme};
use std::sync::Arc;
use std::time::Duration;

on_every_driver!(
    connections_are_handed_over,
    least_loaded_fills_the_emptier_core,
    new_connections_follow_a_published_table,
    refused_hand_overs_stay,
    an_idle_core_answers_soon,
    no_wake_up_is_lost,
);

fn core_of(client: &mut Client) -> u16 {
    let answer = client.ask(order::WHICH_CORE, b"");
    u16::from_be_bytes([answer[0], answer[1]])
}

/// Nanoseconds of one question to the other core and back, as the asking core saw it.
fn ping(client: &mut Client, core: u16) -> u64 {
    let answer = client.ask(order::PING, &core.to_be_bytes());
    u64::from_be_bytes(answer.try_into().expect("eight octets"))
}

/// Goal: connections accepted on the wrong core are handed over, live there and lose nothing; the spread is even.
/// Method: 200 connections in turn over two cores, each says what it has to say before and after it learns its core.
fn connections_are_handed_over(driver: TestedDriver) {
    let harness = Harness::start(driver, 2);
    let mut clients: Vec<Client> = (0..200).map(|_| harness.connect()).collect();
    let mut of_core = [0u32; 2];
    for (number, client) in (0u32..).zip(&mut clients) {
        let text = number.to_be_bytes();
        assert_eq!(client.ask(order::ECHO, &text), text);
        of_core[usize::from(core_of(client))] += 1;
    }
    let reports = harness.reports();
    let sum = |figure: fn(&super::super::ShellReport) -> u64| -> u64 {
        reports.iter().map(|report| figure(&report.shell)).sum()
    };
    assert_eq!(sum(|shell| shell.accepted), 200);
    assert_eq!(sum(|shell| shell.links_open), 200);
    assert_eq!(sum(|shell| shell.hand_overs_refused), 0);
    assert_eq!(
        sum(|shell| shell.handed_over),
        sum(|shell| shell.received_by_hand_over)
    );
    assert!(sum(|shell| shell.handed_over) > 50, "{reports:?}");
    // Each accepting core takes turns for itself, so the halves may differ by the kernel's spread rounded.
    assert!(
        of_core.iter().all(|count| (98..=102).contains(count)),
        "{of_core:?}"
    );
    for client in &mut clients {
        assert_eq!(client.ask(order::ECHO, b"still here"), b"still here");
    }
}

/// Goal: `least-loaded` evens out what ended: cores learn each other's number of connections.
fn least_loaded_fills_the_emptier_core(driver: TestedDriver) {
    let harness = Harness::start_with(driver, 2, |settings| {
        settings.distribution.scheme = Scheme::LeastLoaded;
    });
    let mut clients: Vec<(u16, Client)> = Vec::new();
    let connect = |clients: &mut Vec<(u16, Client)>| {
        let mut client = harness.connect();
        clients.push((core_of(&mut client), client));
    };
    for _ in 0..40 {
        connect(&mut clients);
    }
    clients.retain(|(core, _)| *core == 0);
    std::thread::sleep(Duration::from_millis(200));
    let left = clients.len();
    for _ in 0..left {
        connect(&mut clients);
    }
    let on_core_1 = clients.iter().filter(|(core, _)| *core == 1).count();
    assert!(
        on_core_1.abs_diff(left) <= 2,
        "{left} on core 0, {on_core_1} on core 1"
    );
}

/// Goal: new connections follow a table that the control core publishes, on every core; those that are there stay.
fn new_connections_follow_a_published_table(driver: TestedDriver) {
    let harness = Harness::start_with(driver, 2, |settings| {
        settings.distribution.scheme = Scheme::Rss;
    });
    let mut before: Vec<(u16, Client)> = Vec::new();
    for _ in 0..60 {
        let mut client = harness.connect();
        before.push((core_of(&mut client), client));
    }
    assert!((0..2).all(|core| before.iter().any(|(of, _)| *of == core)));
    let mut table = IndirectionTable::round_robin(RssBits::MAX, 2).expect("two cores");
    for bucket in 0..table.buckets() {
        table.rewrite(bucket, 1).expect("they are there");
    }
    let (version, table) = (table.version(), Arc::new(table));
    for core in 0..2 {
        let used = harness.running().use_table(CoreIndex(core), Arc::clone(&table));
        used.expect("it runs");
    }
    wait_until("the table is in use", || {
        harness
            .reports()
            .iter()
            .all(|report| report.steering.table_version == version)
    });
    for _ in 0..60 {
        assert_eq!(core_of(&mut harness.connect()), 1);
    }
    assert!(before.iter_mut().all(|(core, client)| core_of(client) == *core));
    let reports = harness.reports();
    let arrivals = reports.iter().flat_map(|report| &report.steering.arrivals);
    assert_eq!(arrivals.sum::<u64>(), 120);
}

/// Goal: a mailbox without room keeps connections where they were accepted; none is lost.
fn refused_hand_overs_stay(driver: TestedDriver) {
    let harness = Harness::start_with(driver, 2, |settings| settings.core_requests_max = 0);
    let mut clients: Vec<Client> = (0..300).map(|_| harness.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(order::ECHO, b"x"), b"x");
    }
    let shells: Vec<_> = harness.reports().iter().map(|report| report.shell).collect();
    let handed: u64 = shells.iter().map(|shell| shell.handed_over).sum();
    let received: u64 = shells.iter().map(|shell| shell.received_by_hand_over).sum();
    assert_eq!(handed, received);
    assert_eq!(shells.iter().map(|shell| shell.links_open).sum::<u64>(), 300);
}

/// Goal: a message wakes an idle core within milliseconds, and its answer the asker. The figures are printed.
fn an_idle_core_answers_soon(driver: TestedDriver) {
    let harness = Harness::start(driver, 2);
    let mut client = harness.connect();
    let other = 1 - core_of(&mut client);
    let mut nanoseconds: Vec<u64> = (0..500)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(2));
            ping(&mut client, other)
        })
        .collect();
    nanoseconds.sort_unstable();
    let (median, p99) = (nanoseconds[250] / 1000, nanoseconds[495] / 1000);
    println!("question and answer between idle cores: p50 {median} µs, p99 {p99} µs");
    assert!(median < 5_000 && p99 < 50_000, "p50 {median} µs, p99 {p99} µs");
}

/// Goal: no wake-up is ever lost. Method: 10,000 rounds in which both cores fall asleep at about the moment when they
/// are woken. A lost one would be mended by the heartbeat, after a second.
fn no_wake_up_is_lost(driver: TestedDriver) {
    const ROUNDS: u32 = 10_000;
    let harness = Harness::start(driver, 2);
    let mut client = harness.connect();
    let other = 1 - core_of(&mut client);
    let mut longest = 0;
    for round in 0..ROUNDS {
        for _ in 0..(round * 7) % 400 {
            std::hint::spin_loop();
        }
        longest = longest.max(ping(&mut client, other) / 1000);
    }
    println!("{ROUNDS} wake-ups there and back: the longest {longest} µs");
    assert!(longest < 900_000, "{longest} µs");
}
