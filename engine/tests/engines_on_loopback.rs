//! The real packet engines in their real shell: clients on loopback, a small SMSC behind them.

use smppmux_engine::core::contract::Command;
use smppmux_engine::core::settings::samples::{
    client_settings, engine_settings, server_settings, vserver_settings,
};
use smppmux_engine::core::settings::{
    ClientSettings, EngineSettings, ServerSettings, Settings, VserverSettings,
};
use smppmux_engine::shell::{CoreReport, Event, IoDriver, RunningEngines, ShellSettings, run_engines};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const CORES: usize = 2;
const BIND_TRANSCEIVER: u32 = 0x09;
const SUBMIT_SM: u32 = 0x04;
const UNBIND: u32 = 0x06;
const ENQUIRE_LINK: u32 = 0x15;
const RESPONSE: u32 = 0x8000_0000;

/// One PDU: command_id, command_status, sequence_number, body.
type Pdu = (u32, u32, u32, Vec<u8>);

fn write_pdu(stream: &mut TcpStream, command: u32, sequence: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(16 + body.len()).expect("a short PDU");
    let mut pdu = Vec::new();
    for field in [length, command, 0, sequence] {
        pdu.extend_from_slice(&field.to_be_bytes());
    }
    pdu.extend_from_slice(body);
    stream.write_all(&pdu)
}

fn read_pdu(stream: &mut TcpStream) -> io::Result<Pdu> {
    let mut header = [0; 16];
    stream.read_exact(&mut header)?;
    let field = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let mut body = vec![0; field(0) as usize - 16];
    stream.read_exact(&mut body)?;
    Ok((field(4), field(8), field(12), body))
}

/// Answers every request, until the connection ends.
fn serve_as_smsc(mut stream: TcpStream) {
    while let Ok((command, _, sequence, _)) = read_pdu(&mut stream) {
        let body: &[u8] = match command {
            BIND_TRANSCEIVER => b"smsc\0",
            SUBMIT_SM => b"id-1\0",
            _ => b"",
        };
        if command & RESPONSE == 0 && write_pdu(&mut stream, command | RESPONSE, sequence, body).is_err() {
            return;
        }
    }
}

fn start_smsc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve_as_smsc(stream));
        }
    });
    address
}

fn start_engines(driver: IoDriver, smsc: SocketAddr) -> RunningEngines {
    let available = core_affinity::get_core_ids().expect("this machine has CPUs");
    let cpus = (0..CORES)
        .map(|core| available[core % available.len()].id)
        .collect();
    let mut shell_settings = ShellSettings::for_cpus(cpus);
    shell_settings.io_driver = driver;
    run_engines(shell_settings, Arc::new(settings(smsc))).expect("the engines start")
}

/// Binds and sends; every answer must carry its request's number.
fn send_as_esme(address: SocketAddr, messages: u32) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    write_pdu(&mut stream, BIND_TRANSCEIVER, 77, b"esme1\0secret\0\0\x34\0\0\0").expect("it reads");
    let (command, status, sequence, _) = read_pdu(&mut stream).expect("bind_resp");
    assert_eq!((command, status, sequence), (BIND_TRANSCEIVER | RESPONSE, 0, 77));
    let submit = b"\0\x01\x01source\0\x01\x01888765\0\0\0\0\0\0\0\0\0\0\x05hello";
    for number in 0..messages {
        write_pdu(&mut stream, SUBMIT_SM, 1_000_000 + number, submit).expect("it reads");
    }
    let mut answered: Vec<u32> = (0..messages)
        .map(|_| {
            let (command, status, sequence, body) = read_pdu(&mut stream).expect("submit_sm_resp");
            assert_eq!((command, status), (SUBMIT_SM | RESPONSE, 0));
            assert_eq!(body, b"id-1#mx-0A\0");
            sequence - 1_000_000
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (0..messages).collect::<Vec<_>>());
    write_pdu(&mut stream, ENQUIRE_LINK, 2, b"").expect("it reads");
    assert_eq!(
        read_pdu(&mut stream).expect("an answer").0,
        ENQUIRE_LINK | RESPONSE
    );
    write_pdu(&mut stream, UNBIND, 3, b"").expect("it reads");
    assert_eq!(read_pdu(&mut stream).expect("an answer").0, UNBIND | RESPONSE);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an orderly end");
    assert!(rest.is_empty());
}

/// What the engines report; a core that is silent has no say in "all" and "any", so each must be there.
fn reports_of_all_cores(running: &RunningEngines) -> Vec<CoreReport> {
    let reports = running.report(PATIENCE);
    assert_eq!(reports.len(), CORES, "each core reports");
    reports
}

/// Goal: binds and messages of many clients go through two engines to the SMSC and back, each answered once; then a
/// drain settles and the engines stop.
fn messages_go_through_and_a_drain_settles(driver: IoDriver) {
    const CLIENTS: u64 = 20;
    const MESSAGES: u32 = 200;
    let running = start_engines(driver, start_smsc());
    let address = running.listening()[0].address;
    let end = Instant::now() + PATIENCE;
    while reports_of_all_cores(&running)
        .iter()
        .any(|report| report.engine.servers[0].bound_sessions == 0)
    {
        assert!(Instant::now() < end, "every core binds at the SMSC");
        std::thread::sleep(Duration::from_millis(10));
    }
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| std::thread::spawn(move || send_as_esme(address, MESSAGES)))
        .collect();
    for client in clients {
        client.join().expect("all was answered");
    }
    let reports = reports_of_all_cores(&running);
    let answers: u64 = reports
        .iter()
        .map(|report| report.engine.counters.client_answers)
        .sum();
    assert_eq!(answers, CLIENTS * u64::from(MESSAGES));
    assert!(
        reports
            .iter()
            .all(|report| report.engine.counters.client_answers > 0),
        "both cores worked"
    );

    running.command_all(&Command::Drain);
    let mut drained = 0;
    while drained < running.cores() {
        match running.next_event(PATIENCE).expect("the drain ends") {
            Event::Drained { settled, .. } => {
                assert!(settled);
                drained += 1;
            }
            Event::Notice { .. } | Event::Woken => {}
            Event::Stopped { core, .. } => panic!("{core:?} has stopped"),
        }
    }
    running.command_all(&Command::Stop);
    running.join().expect("no engine failed");
}

#[test]
fn messages_go_through_on_glommio() {
    messages_go_through_and_a_drain_settles(IoDriver::Glommio);
}

#[test]
fn messages_go_through_on_epoll() {
    messages_go_through_and_a_drain_settles(IoDriver::Epoll);
}

fn settings(smsc: SocketAddr) -> Settings {
    let engine = EngineSettings {
        drain_timeout: Duration::from_secs(10),
        core_requests_max: 1024,
        ..engine_settings()
    };
    let vserver = VserverSettings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        hold_time: Duration::from_secs(10),
        ..vserver_settings()
    };
    let server = ServerSettings {
        addresses: vec![smsc.to_string()],
        reconnect_min: Duration::from_millis(50),
        reconnect_max: Duration::from_secs(1),
        ..server_settings()
    };
    let client = ClientSettings {
        window: 1000,
        ..client_settings("esme1")
    };
    Settings::new(engine, vec![vserver], vec![server], vec![client], 1)
}

#[test]
fn messages_go_through_on_ring() {
    messages_go_through_and_a_drain_settles(IoDriver::Ring);
}
