//! Many who mean no good, beside clients that do: what these notice, and what memory it takes.
//!
//! Small by default. `SMPPMUX_STORM=full` makes the sizes those of docs/SECURITY.md and prints the figures that stand there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Version};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::bind;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;
use socket2::{Domain, Socket, Type};

/// How often each good client sends.
const PACE: Duration = Duration::from_millis(50);

/// How long a bad client waits before it tries again.
const RECONNECT: Duration = Duration::from_secs(1);

struct Sizes {
    good_clients: usize,
    bad_addresses: u8,
    bad_clients_of_an_address: usize,
    phase: Duration,
    garbage: usize,
    slow: usize,
}

fn sizes() -> Sizes {
    if std::env::var_os("SMPPMUX_STORM").is_some_and(|size| size == "full") {
        return Sizes {
            good_clients: 100,
            bad_addresses: 50,
            bad_clients_of_an_address: 100,
            phase: Duration::from_secs(10),
            garbage: 10_000,
            slow: 1_000,
        };
    }
    Sizes {
        good_clients: 10,
        bad_addresses: 10,
        bad_clients_of_an_address: 20,
        phase: Duration::from_secs(2),
        garbage: 300,
        slow: 50,
    }
}

/// Clients that send at a steady pace, and what became of it.
struct GoodClients {
    answered: Arc<AtomicU64>,
    slowest_us: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl GoodClients {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let good = Self {
            answered: Arc::default(),
            slowest_us: Arc::default(),
            is_over: Arc::default(),
            threads: Vec::new(),
        };
        let threads = (0..clients)
            .map(|_| {
                let mut esme = Esme::bind(address, "alice");
                let (answered, slowest_us) = (Arc::clone(&good.answered), Arc::clone(&good.slowest_us));
                let is_over = Arc::clone(&good.is_over);
                thread::spawn(move || {
                    let mut due = Instant::now();
                    while !is_over.load(Ordering::Relaxed) {
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        due += PACE;
                        let start = Instant::now();
                        let answer = esme.submit_and_wait("4477", "all is well");
                        assert!(answer.status().is_ok(), "{answer:?}");
                        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                        slowest_us.fetch_max(took, Ordering::Relaxed);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        Self { threads, ..good }
    }

    /// Answers in a second, and the slowest answer, over this time.
    fn measure(&self, time: Duration) -> (f64, Duration) {
        let before = self.answered.load(Ordering::Relaxed);
        self.slowest_us.store(0, Ordering::Relaxed);
        let start = Instant::now();
        thread::sleep(time);
        #[expect(clippy::cast_precision_loss, reason = "a count of answers")]
        let answers = (self.answered.load(Ordering::Relaxed) - before) as f64;
        let slowest = Duration::from_micros(self.slowest_us.load(Ordering::Relaxed));
        (answers / start.elapsed().as_secs_f64(), slowest)
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("every message of a good client is answered");
        }
    }
}

fn start(vserver: &str) -> (Smppmux, AnsweringSmsc) {
    let smsc = AnsweringSmsc::start("id");
    let configuration = Configuration::with_engines(2)
        .vserver(vserver)
        .server("smsc", "0A", smsc.address(), "")
        .client("alice", "");
    (crate::start_ready(&configuration), smsc)
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into()).ok()?;
    socket
        .connect_timeout(&address.into(), Duration::from_secs(5))
        .ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// Binds with wrong passwords from one address: so many clients at once, again and again. Gives tries and refusals with a
/// bind_resp.
fn storm(
    source: Ipv4Addr,
    address: SocketAddr,
    clients: usize,
    is_over: &AtomicBool,
    tries: &AtomicU64,
    answers: &AtomicU64,
) {
    let wrong = bind(
        CommandId::BIND_TRANSCEIVER,
        1,
        ("alice", "wrong"),
        Version::V34,
        "",
    );
    while !is_over.load(Ordering::Relaxed) {
        let mut streams: Vec<TcpStream> = (0..clients)
            .filter_map(|_| connect_from(source, address))
            .collect();
        tries.fetch_add(clients as u64, Ordering::Relaxed);
        for stream in &mut streams {
            // Whoever is banned is disconnected already.
            let _ = stream.write_all(&wrong);
        }
        for stream in &mut streams {
            let mut answer = [0; 16];
            if stream.read_exact(&mut answer).is_ok() {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }
        thread::sleep(RECONNECT);
    }
}

/// A storm that runs until it is ended.
struct Storm {
    is_over: Arc<AtomicBool>,
    tries: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Aims it at an address. Its threads have the lowest priority: elsewhere they would not be on this host at all.
    fn start(address: SocketAddr, sizes: &Sizes) -> Self {
        let (is_over, tries, answers) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let threads = (0..sizes.bad_addresses)
            .map(|last| {
                let (is_over, tries, answers) =
                    (Arc::clone(&is_over), Arc::clone(&tries), Arc::clone(&answers));
                let source = Ipv4Addr::new(127, 0, 20, last + 1);
                let clients = sizes.bad_clients_of_an_address;
                thread::spawn(move || {
                    // Where that is not allowed the storm only costs more.
                    let _ = rustix::process::setpriority_process(None, 19);
                    storm(source, address, clients, &is_over, &tries, &answers);
                })
            })
            .collect();
        Self {
            is_over,
            tries,
            answers,
            threads,
        }
    }

    /// Ends it; gives tries, and those that got a bind_resp.
    fn end(self) -> (u64, u64) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("it only tries");
        }
        (
            self.tries.load(Ordering::Relaxed),
            self.answers.load(Ordering::Relaxed),
        )
    }
}

/// Accepts connections and closes them: what a storm costs this host without smppmux.
fn start_sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || listener.incoming().for_each(drop));
    address
}

/// CPU that a process has used, in hundredths of a second.
fn cpu_ticks(smppmux: &Smppmux) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", smppmux.process_id())).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap_or(0))
        .sum()
}

/// Goal: while very many clients bind with wrong passwords, the good ones keep 95 % of their throughput. Method: one run; the
/// same storm first hits a listener that only closes, which shows what generating it costs the good clients on this host.
#[test]
fn a_storm_of_wrong_binds_leaves_good_clients_alone() {
    let sizes = sizes();
    let (smppmux, _smsc) =
        start("failed-binds-max = 5\nban-time = \"30s\"\nmax-connections-per-address = 200");
    let good = GoodClients::start(smppmux.address(), sizes.good_clients);
    good.measure(Duration::from_millis(500));
    let ticks = [cpu_ticks(&smppmux)];
    let (calm, slowest_calm) = good.measure(sizes.phase);
    let ticks = [ticks[0], cpu_ticks(&smppmux)];
    let elsewhere = Storm::start(start_sink(), &sizes);
    let (beside, slowest_beside) = good.measure(sizes.phase);
    elsewhere.end();
    let before = cpu_ticks(&smppmux);
    let storm = Storm::start(smppmux.address(), &sizes);
    let (stormy, slowest_stormy) = good.measure(sizes.phase);
    let after = cpu_ticks(&smppmux);
    let (tries, answers) = storm.end();
    println!(
        "calm {calm:.0}/s (slowest {slowest_calm:?}, CPU {} ms), the storm elsewhere {beside:.0}/s (slowest {slowest_beside:?}), \
         storm {stormy:.0}/s (slowest {slowest_stormy:?}, CPU {} ms): {:.1} % of calm, {:.1} % of elsewhere; {tries} tries, \
         {answers} of them got a bind_resp",
        (ticks[1] - ticks[0]) * 10,
        (after - before) * 10,
        100.0 * stormy / calm,
        100.0 * stormy / beside
    );
    good.end();
    assert!(
        stormy >= 0.95 * beside.min(calm),
        "{stormy:.0} answers a second in the storm; {calm:.0} before, {beside:.0} with the storm elsewhere"
    );
    // All of an address are connected before the first of them is refused; afterwards it is banned for longer than this lasts.
    let first_wave = usize::from(sizes.bad_addresses) * sizes.bad_clients_of_an_address;
    assert!(
        tries > first_wave as u64 && answers <= first_wave as u64,
        "bans keep all out that come again: {answers} of {tries} tries were answered"
    );
}

fn memory_kib(smppmux: &Smppmux) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", smppmux.process_id())).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Goal: garbage, lengths that are only claimed, and connections that say a little now and then take no memory that counts,
/// and the good clients do not notice.
#[test]
fn garbage_and_slow_connections_cost_little() {
    let sizes = sizes();
    let (smppmux, _smsc) = start("bind-timeout = \"3s\"");
    let address = smppmux.address();
    let good = GoodClients::start(address, sizes.good_clients);
    let (calm, _) = good.measure(sizes.phase);
    let before_kib = memory_kib(&smppmux);
    let bodies: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: smsc\r\n\r\n",
        // A TLS ClientHello's beginning.
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
        // command_length of 4 GiB, 16 MiB, and the largest that is accepted.
        &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 1, 0x40, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    let mut slow: Vec<TcpStream> = Vec::new();
    let mut most_kib = before_kib;
    let start = Instant::now();
    for number in 0..sizes.garbage {
        let source = Ipv4Addr::new(127, 0, 30, u8::try_from(number % 50).unwrap_or_default() + 1);
        if let Some(mut stream) = connect_from(source, address) {
            let _ = stream.write_all(bodies[number % bodies.len()]);
            if slow.len() < sizes.slow {
                slow.push(stream);
            }
        }
        if number % 100 == 0 {
            for stream in &mut slow {
                // An octet more of a PDU that never ends.
                let _ = stream.write_all(&[0]);
            }
            most_kib = most_kib.max(memory_kib(&smppmux));
        }
    }
    let took = start.elapsed();
    let (stormy, slowest) = good.measure(sizes.phase);
    most_kib = most_kib.max(memory_kib(&smppmux));
    println!(
        "{} connections of garbage, {} held open, in {took:?}: memory {before_kib} KiB before, {most_kib} KiB at most; \
         calm {calm:.0}/s, then {stormy:.0}/s (slowest {slowest:?})",
        sizes.garbage,
        slow.len()
    );
    good.end();
    assert_eq!(slow.len(), sizes.slow, "connections held open");
    assert!(
        most_kib < before_kib + 16 * 1024,
        "memory grew from {before_kib} to {most_kib} KiB"
    );
    assert!(
        stormy >= 0.95 * calm,
        "{stormy:.0} answers a second with garbage, {calm:.0} without"
    );
}
