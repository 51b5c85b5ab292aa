//! What goes over a connection, and how connections end.

use super::fake_engine::{frame, order, pattern};
use super::harness::{DESCRIPTORS, Harness, TestedDriver, wait_until};
use crate::core::contract::ClosedBy;
use proptest::prelude::*;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

on_every_driver!(
    every_split_gives_the_same_echo,
    large_output_to_a_slow_reader_is_whole,
    half_closed_clients_get_their_answers,
    paused_reading_keeps_the_bytes,
    close_after_writing_delivers_all,
    close_at_once_ends_the_connection,
    lost_connections_give_back_the_unsent,
    descriptors_stay_flat,
);

/// Goal: however the stream is cut into writes, the same frames come back. Method: frames of 0 to 70,000 octets, cut at
/// random places, most of them short.
fn every_split_gives_the_same_echo(driver: TestedDriver) {
    let harness = Harness::start_with(driver, 1, |settings| settings.read_buffer_octets = 4096);
    let lengths = prop_oneof![3 => 0..300usize, 1 => 0..70_000usize];
    let frames = prop::collection::vec(lengths, 1..20);
    let cuts = prop::collection::vec(prop_oneof![4 => 1..40usize, 1 => 1..20_000usize], 1..200);
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(lengths in frames, cuts in cuts)| {
        let payload = |length: usize| (0..length).map(pattern).collect::<Vec<u8>>();
        let sent: Vec<u8> = lengths.iter().flat_map(|length| frame(order::ECHO, &payload(*length))).collect();
        let mut client = harness.connect();
        let mut writer = client.0.try_clone().expect("a descriptor");
        let bytes = sent.clone();
        let sending = std::thread::spawn(move || {
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*cut));
                writer.write_all(now).expect("the engine reads");
                rest = later;
                if rest.is_empty() {
                    return;
                }
            }
        });
        let mut received = vec![0; sent.len()];
        client.0.read_exact(&mut received).expect("the echo");
        sending.join().expect("all was sent");
        prop_assert!(received == sent);
    });
}

/// Goal: an answer far larger than the socket's buffers reaches a slow reader whole, and others are served meanwhile.
fn large_output_to_a_slow_reader_is_whole(driver: TestedDriver) {
    const OCTETS: usize = 16 << 20;
    let harness = Harness::start(driver, 1);
    let mut slow = harness.connect();
    slow.send(order::BIG, &16_777_216u32.to_be_bytes());
    let mut other = harness.connect();
    for _ in 0..100 {
        assert_eq!(other.ask(order::ECHO, b"served"), b"served");
    }
    std::thread::sleep(Duration::from_millis(100));
    let (_, payload) = slow.receive();
    assert_eq!(payload.len(), OCTETS);
    assert!((0..OCTETS).all(|position| payload[position] == pattern(position)));
    wait_until("the buffer came back", || {
        harness.observed.lock().expect("no panic").transmitted > OCTETS
    });
}

/// Goal: a client that closes its sending side still gets every answer, then our FIN.
fn half_closed_clients_get_their_answers(driver: TestedDriver) {
    let harness = Harness::start(driver, 2);
    for _ in 0..20 {
        let mut client = harness.connect();
        for number in 0..100u32 {
            client.send(order::ECHO, &number.to_be_bytes());
        }
        client.0.shutdown(Shutdown::Write).expect("an open connection");
        for number in 0..100u32 {
            assert_eq!(client.receive(), (order::ECHO, number.to_be_bytes().to_vec()));
        }
        client.expect_end();
    }
    harness.wait_until_all_closed();
    assert!(harness.observed.lock().expect("no panic").closed.is_empty());
}

/// Goal: a paused connection's bytes are kept, shown again in order after the pause, and nobody else waits.
fn paused_reading_keeps_the_bytes(driver: TestedDriver) {
    const PAUSE_MS: u32 = 200;
    let harness = Harness::start(driver, 1);
    let mut paused = harness.connect();
    let began = Instant::now();
    paused.send(order::PAUSE, &PAUSE_MS.to_be_bytes());
    for number in 0..2000u32 {
        paused.send(order::ECHO, &number.to_be_bytes());
    }
    assert_eq!(paused.receive().0, order::PAUSE);
    let mut other = harness.connect();
    assert_eq!(other.ask(order::ECHO, b"served"), b"served");
    for number in 0..2000u32 {
        assert_eq!(paused.receive(), (order::ECHO, number.to_be_bytes().to_vec()));
    }
    assert!(began.elapsed() >= Duration::from_millis(PAUSE_MS.into()));
}

/// Goal: closing after writing delivers every octet and then FIN, although the peer goes on sending what nobody reads
/// (which would make a careless close reset the connection and destroy the answer).
fn close_after_writing_delivers_all(driver: TestedDriver) {
    const OCTETS: u32 = 4 << 20;
    let harness = Harness::start(driver, 1);
    for round in 0..10u32 {
        let octets = OCTETS / (1 << round);
        let mut client = harness.connect();
        client.send(order::BIG, &octets.to_be_bytes());
        client.send(order::QUIT, b"bye");
        // Nobody wants these any more; the connection may well be closed while they are written.
        drop(client.0.write_all(&frame(order::ECHO, &[0; 3000])));
        std::thread::sleep(Duration::from_millis(20));
        drop(client.0.write_all(&frame(order::ECHO, &[0; 3000])));
        let (_, payload) = client.receive();
        assert_eq!(payload.len(), octets as usize);
        assert_eq!(client.receive(), (order::QUIT, b"bye".to_vec()));
        client.expect_end();
    }
    harness.wait_until_all_closed();
}

/// Goal: closing at once does not wait for anything.
fn close_at_once_ends_the_connection(driver: TestedDriver) {
    let harness = Harness::start(driver, 1);
    let mut client = harness.connect();
    client.send(order::BIG, &(64u32 << 20).to_be_bytes());
    client.send(order::KILL, b"");
    let mut sink = Vec::new();
    match client.0.read_to_end(&mut sink) {
        Ok(octets) => assert!(octets < 64 << 20, "it was cut"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    harness.wait_until_all_closed();
}

/// Goal: when a connection is lost, the engine gets back what the kernel had not taken.
fn lost_connections_give_back_the_unsent(driver: TestedDriver) {
    const OCTETS: usize = 64 << 20;
    let harness = Harness::start(driver, 1);
    let mut client = harness.connect();
    client.send(order::BIG, &(64u32 << 20).to_be_bytes());
    client.0.read_exact(&mut [0; 1]).expect("it begins");
    let socket = socket2::SockRef::from(&client.0);
    socket
        .set_linger(Some(Duration::ZERO))
        .expect("an option of the socket");
    drop(client);
    wait_until("the engine heard of it", || {
        !harness.observed.lock().expect("no panic").closed.is_empty()
    });
    let closed = harness.observed.lock().expect("no panic").closed.clone();
    let [(ClosedBy::Error(error), Some(left))] = closed[..] else {
        panic!("unexpected end: {closed:?}");
    };
    assert!(matches!(
        error,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    ));
    assert!(left > 0 && left < OCTETS);
}

/// Goal: neither descriptors nor links leak, whoever closes and however.
fn descriptors_stay_flat(driver: TestedDriver) {
    let _alone = DESCRIPTORS.write();
    let harness = Harness::start_alone(driver, 2, |_| {});
    let round = |connections: usize| {
        for number in 0..connections {
            let mut client = harness.connect();
            assert_eq!(client.ask(order::ECHO, b"x"), b"x");
            match number % 4 {
                0 => drop(client),
                1 => client.send(order::QUIT, b""),
                2 => client.send(order::KILL, b""),
                _ => {
                    let socket = socket2::SockRef::from(&client.0);
                    drop(socket.set_linger(Some(Duration::ZERO)));
                }
            }
        }
        harness.wait_until_all_closed();
        std::fs::read_dir("/proc/self/fd").expect("procfs").count()
    };
    let before = round(100);
    let after = round(2000);
    // Other tests may hold a few for a moment.
    assert!(after <= before + 20, "{before} descriptors grew to {after}");
}
