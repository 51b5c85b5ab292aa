//! How engines start, connect, drain and stop.

use super::super::{Event, ShellSettings, StartError};
use super::fake_engine::{SharedObserved, order};
use super::harness::{Client, Harness, TestedDriver, any_port, cpus, start_fake, wait_until};
use crate::core::contract::{ClosedBy, Command, CoreIndex};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

on_every_driver!(
    start_errors_are_typed,
    a_running_port_is_taken,
    connects_end_in_one_event,
    an_unanswered_connect_times_out,
    drain_then_stop,
    dropping_the_handle_stops_the_engines,
);

/// Goal: each fault of the start is told as what it is, and leaves nothing behind.
fn start_errors_are_typed(driver: TestedDriver) {
    let observed = SharedObserved::default();
    let taken = TcpListener::bind(any_port()).expect("a free port");
    let address = taken.local_addr().expect("bound");
    let start =
        |cpus: Vec<usize>, address| start_fake(driver, ShellSettings::for_cpus(cpus), address, &observed);

    let error = start(cpus(2), address).expect_err("the port is taken");
    assert!(matches!(error, StartError::AddressTaken { address: at, .. } if at == address));
    let error = start(vec![100_000], any_port()).expect_err("no such CPU");
    assert!(matches!(error, StartError::NoSuchCpu { cpu: 100_000, .. }));
    let error = start(Vec::new(), any_port()).expect_err("no engine");
    assert!(matches!(error, StartError::NoEngine));
    let foreign = std::net::SocketAddr::from(([192, 0, 2, 1], 0));
    let error = start(cpus(1), foreign).expect_err("not our address");
    assert!(matches!(error, StartError::CannotListen { .. }), "{error}");
    drop(taken);
    assert!(start(cpus(2), address).is_ok(), "nothing was left on the port");
}

/// Goal: a second process (here: a second start) cannot share a port that engines listen on.
fn a_running_port_is_taken(driver: TestedDriver) {
    let harness = Harness::start(driver, 2);
    let settings = ShellSettings::for_cpus(cpus(1));
    let error =
        start_fake(driver, settings, harness.address, &SharedObserved::default()).expect_err("it is taken");
    assert!(matches!(error, StartError::AddressTaken { .. }));
}

/// Goal: the engine's connects reach a name, are refused or time out as they should, each told once.
fn connects_end_in_one_event(driver: TestedDriver) {
    let harness = Harness::start(driver, 1);
    let mut client = harness.connect();
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = server.local_addr().expect("bound").port();
    client.send(order::CONNECT, format!("localhost:{port}").as_bytes());
    let (mut accepted, _) = server.accept().expect("the engine connects");
    let mut hello = [0; 10];
    accepted.read_exact(&mut hello).expect("the greeting");
    assert_eq!(&hello[5..], b"hello");
    assert_eq!(harness.observed.lock().expect("no panic").connected, 1);

    drop(server);
    client.send(order::CONNECT, format!("127.0.0.1:{port}").as_bytes());
    client.send(order::CONNECT, b"name.invalid:2775");
    client.send(order::CONNECT, b"no port");
    let failures = || {
        let observed = harness.observed.lock().expect("no panic");
        observed
            .closed
            .iter()
            .filter_map(|(by, _)| match by {
                ClosedBy::ConnectFailed(error) => Some(*error),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    wait_until("three connects failed", || failures().len() == 3);
    assert!(failures().contains(&io::ErrorKind::ConnectionRefused));
}

/// Goal: a connect that nobody answers ends at its time limit. Method: a listener whose queue is full drops the SYN.
fn an_unanswered_connect_times_out(driver: TestedDriver) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&any_port().into()).expect("a free port");
    socket.listen(0).expect("a listener");
    let address = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("an address");
    let fillers: Vec<_> = (0..4)
        .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)))
        .collect();
    assert!(fillers.iter().any(Result::is_err), "the queue is full");

    let harness = Harness::start(driver, 1);
    let mut client = harness.connect();
    let began = Instant::now();
    client.send(order::CONNECT, address.to_string().as_bytes());
    wait_until("the connect failed", || {
        !harness.observed.lock().expect("no panic").closed.is_empty()
    });
    let closed = harness.observed.lock().expect("no panic").closed.clone();
    assert_eq!(closed, [(ClosedBy::ConnectFailed(io::ErrorKind::TimedOut), None)]);
    assert!(began.elapsed() >= Duration::from_millis(300));
    drop(fillers);
}

/// Goal: a drain refuses new connections and keeps the old; a stop ends both in order, on every core.
fn drain_then_stop(driver: TestedDriver) {
    let mut harness = Harness::start(driver, 2);
    let mut clients: Vec<Client> = (0..4).map(|_| harness.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(order::ECHO, b"x"), b"x");
    }
    harness.running().command_all(&Command::Drain);
    let mut drained = Vec::new();
    while drained.len() < 2 {
        match harness.running().next_event(Duration::from_secs(10)) {
            Some(Event::Drained { core, settled: true }) => drained.push(core),
            other => panic!("unexpected: {other:?}"),
        }
    }
    drained.sort_unstable();
    assert_eq!(drained, [CoreIndex(0), CoreIndex(1)]);
    wait_until("nobody listens", || TcpStream::connect(harness.address).is_err());
    for client in &mut clients {
        assert_eq!(client.ask(order::ECHO, b"old"), b"old");
    }
    let events = harness.stop();
    let orderly = |event: &&Event| matches!(event, Event::Stopped { orderly: true, .. });
    assert_eq!(events.iter().filter(orderly).count(), 2);
    for client in &mut clients {
        client.expect_end();
    }
}

/// Goal: a handle that is dropped, not stopped, leaves no engine behind.
fn dropping_the_handle_stops_the_engines(driver: TestedDriver) {
    let mut harness = Harness::start(driver, 2);
    drop(harness.running.take());
    wait_until("nobody listens", || TcpStream::connect(harness.address).is_err());
}
