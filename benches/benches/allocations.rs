//! Proves that no message allocates: counts what the pure core, and one engine with its sockets, allocate for a message in
//! a steady state. Run with `cargo bench -p smppmux-benches --bench allocations`; ends with 1 if anything does.
//!
//! Debug builds check the engine's invariants after every event, which allocates; so this is no `cargo test`.

use smppmux_benches::{RoundTrip, TwoCores, settings};
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::core::message_log::MessageRecords;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::{IoDriver, MessageLogLanes, RunningEngines, ShellSettings, run_engines};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Messages before the count, which fill the pools of buffers.
const WARM_UP: u32 = 5_000;
/// Messages that are counted.
const COUNTED: u32 = 50_000;
/// Requests under way at once through the sockets.
const WINDOW: usize = 20;
/// The sequence numbers of the requests of a round trip, which must come back.
const NUMBER: u32 = 7;
const RECEIPT_NUMBER: u32 = 9;
const PATIENCE: Duration = Duration::from_secs(30);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The peers of the engines allocate as they like.
    static IGNORED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator with a count.
struct Counting;

// SAFETY: every call goes to the system's allocator with the caller's own arguments, so its promises are the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, octets: usize) -> *mut u8 {
        count();
        // SAFETY: by the caller's promise.
        unsafe { System.realloc(pointer, layout, octets) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count() {
    // A thread that is ending has no more thread-locals; its allocations are not a message's.
    if !IGNORED.try_with(Cell::get).unwrap_or(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    let mut round_trip = RoundTrip::new();
    round_trip.submit_for_receipt(0);
    let mut logged = RoundTrip::logged();
    let mut two_cores = TwoCores::new();
    let mut outcomes = vec![
        (
            "submit_sm and its answer",
            of_rounds(NUMBER, || round_trip.submit()),
        ),
        (
            "deliver_sm and its answer",
            of_rounds(NUMBER, || round_trip.deliver()),
        ),
        (
            "receipt and its answer",
            of_rounds(RECEIPT_NUMBER, || round_trip.receipt()),
        ),
        (
            "deliver_sm across cores",
            of_rounds(NUMBER, || two_cores.deliver()),
        ),
        (
            "logged submit_sm and deliver_sm",
            of_rounds(NUMBER, || {
                logged.submit();
                let number = logged.deliver();
                assert_eq!(logged.take_records(), 4);
                number
            }),
        ),
    ];
    for (name, driver) in [
        ("submit_sm through sockets, ring driver", (IoDriver::Ring, false)),
        (
            "submit_sm through sockets, epoll driver",
            (IoDriver::Epoll, false),
        ),
        ("logged submit_sm through sockets, epoll", (IoDriver::Epoll, true)),
    ] {
        match of_sockets(driver) {
            Ok(allocations) => outcomes.push((name, allocations)),
            // Not every machine has io_uring.
            Err(reason) => println!("{name:45} NOT MEASURED: {reason}"),
        }
    }
    for (name, allocations) in &outcomes {
        println!("{name:45} {allocations:6} allocations for {COUNTED} messages");
    }
    ExitCode::from(u8::from(outcomes.iter().any(|(_, allocations)| *allocations > 0)))
}

fn of_rounds(number: u32, mut round: impl FnMut() -> u32) -> u64 {
    (0..WARM_UP).for_each(|_| assert_eq!(round(), number));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..COUNTED).for_each(|_| assert_eq!(round(), number));
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// What an engine allocates between an ESME and an SMSC, both on threads of this process that do not count.
/// Records of messages, where they are logged, fill their lane and are then counted.
fn of_sockets((driver, is_logged): (IoDriver, bool)) -> Result<u64, String> {
    IGNORED.set(true);
    let engines = start_engine(driver, start_smsc(), is_logged).map_err(|error| error.to_string())?;
    let address = engines.listening()[0].address;
    let end = Instant::now() + PATIENCE;
    while engines.report(PATIENCE)[0].engine.servers[0].bound_sessions == 0 {
        assert!(Instant::now() < end, "the server is bound");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut esme = bind_esme(address).expect("a bind");
    send(&mut esme, WARM_UP).expect("answers");
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    send(&mut esme, COUNTED).expect("answers");
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    drop((esme, engines));
    IGNORED.set(false);
    Ok(allocations)
}

fn start_engine(
    driver: IoDriver,
    smsc: SocketAddr,
    is_logged: bool,
) -> Result<RunningEngines, smppmux_engine::shell::StartError> {
    let template = settings();
    let mut vservers = template.vservers.clone();
    vservers[0].listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let mut servers = template.servers.clone();
    servers[0].addresses = vec![smsc.to_string()];
    let settings = Settings::new(template.engine, vservers, servers, template.clients.clone(), 1)
        .with_message_log(is_logged);
    let mut shell_settings = ShellSettings::for_cpus(vec![0]);
    let lanes = MessageLogLanes::new(1);
    drop(lanes.take(CoreIndex(0), MessageRecords::with_room(1 << 20)));
    shell_settings.message_log = Some(lanes);
    shell_settings.io_driver = driver;
    run_engines(shell_settings, Arc::new(settings))
}

/// Answers every request.
fn start_smsc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        IGNORED.set(true);
        let (mut stream, _) = listener.accept().expect("the engine connects");
        stream.set_nodelay(true).expect("an option of the socket");
        let mut pdu = [0; 1024];
        while let Ok(octets) = read_pdu(&mut stream, &mut pdu) {
            let body: &[u8] = match octets {
                0..=15 => return,
                _ if pdu[7] == 9 => b"smsc\0",
                _ if pdu[7] == 4 => b"5F2A9C3E01\0",
                _ => b"",
            };
            let mut answer = [0; 32];
            let length = 16 + body.len();
            answer[3] = u8::try_from(length).unwrap_or_default();
            answer[4] = 0x80;
            answer[7] = pdu[7];
            answer[12..16].copy_from_slice(&pdu[12..16]);
            answer[16..length].copy_from_slice(body);
            if stream.write_all(&answer[..length]).is_err() {
                return;
            }
        }
    });
    address
}

fn bind_esme(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let body = b"esme1\0secret\0\0\x34\0\0\0";
    stream.write_all(&pdu(9, body))?;
    let mut answer = [0; 1024];
    read_pdu(&mut stream, &mut answer)?;
    assert_eq!(answer[8..12], [0; 4], "the bind is accepted");
    Ok(stream)
}

fn send(esme: &mut TcpStream, messages: u32) -> io::Result<()> {
    let submit = pdu(
        4,
        b"\0\x01\x01source\0\x01\x0188876500001\0\0\0\0\0\0\0\0\0\0\x05hello",
    );
    let batch = submit.repeat(WINDOW);
    let mut answer = [0; 1024];
    for _ in 0..messages as usize / WINDOW {
        esme.write_all(&batch)?;
        for _ in 0..WINDOW {
            read_pdu(esme, &mut answer)?;
            assert_eq!(answer[8..12], [0; 4], "the message is accepted");
        }
    }
    Ok(())
}

fn pdu(command: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut pdu = length.to_be_bytes().to_vec();
    pdu.extend([0, 0, 0, command, 0, 0, 0, 0, 0, 0, 0, 1]);
    pdu.extend(body);
    pdu
}

/// One PDU into `pdu`; gives its length.
fn read_pdu(stream: &mut TcpStream, pdu: &mut [u8; 1024]) -> io::Result<usize> {
    stream.read_exact(&mut pdu[..16])?;
    let length = u32::from_be_bytes([pdu[0], pdu[1], pdu[2], pdu[3]]) as usize;
    stream.read_exact(&mut pdu[16..length.max(16)])?;
    Ok(length)
}
