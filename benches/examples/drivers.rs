//! Compares the I/O drivers: CPU of one engine for one submit_sm (214 octets) and its answer, the drivers in turn within one
//! run, and the memory of idle binds.
//!
//! ```text
//! cargo run --release -p smppmux-benches --example drivers            # the table
//! cargo run --release -p smppmux-benches --example drivers -- idle 10000
//! ```
//!
//! The engine has CPU 0; ESMEs and SMSC, which are as plain as can be, share CPU 1 in this process. What counts is the
//! engine's thread alone, user and system, as the scheduler accounts it. Medians of several rounds; only ratios within one
//! run tell something.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use smppmux_benches::settings;
use smppmux_engine::core::contract::Command;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::{IoDriver, RunningEngines, ShellSettings, run_engines};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

const SUBMIT_OCTETS: usize = 214;
/// A submit_sm_resp with the tagged id of ten characters, as a client sees it.
const ANSWER_OCTETS: usize = 33;
const DRIVERS: [(IoDriver, &str); 3] = [
    (IoDriver::Glommio, "glommio"),
    (IoDriver::Epoll, "epoll"),
    (IoDriver::Ring, "ring"),
];
const CELLS: [(usize, usize); 7] = [(1, 1), (1, 100), (10, 1), (10, 10), (100, 1), (100, 10), (500, 1)];
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(200);
const MEASURED: Duration = Duration::from_millis(1000);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("idle") {
        let binds = arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1000);
        return DRIVERS
            .iter()
            .try_for_each(|(driver, name)| idle(*driver, name, binds));
    }
    println!(
        "| connections × window | {} |",
        DRIVERS.map(|(_, name)| name).join(" µs | ")
    );
    for (connections, window) in CELLS {
        let mut figures = [const { Vec::new() }; DRIVERS.len()];
        for _ in 0..ROUNDS {
            for (figures, (driver, _)) in figures.iter_mut().zip(DRIVERS) {
                figures.push(measure(driver, connections, window)?);
            }
        }
        let medians = figures.map(|mut figures| {
            figures.sort_by(f64::total_cmp);
            figures[ROUNDS / 2]
        });
        let ratios = medians.map(|median| format!("{median:.2} ({:.2})", median / medians[0]));
        println!("| {connections} × {window} | {} |", ratios.join(" | "));
    }
    Ok(())
}

/// CPU microseconds of the engine for one message.
fn measure(driver: IoDriver, connections: usize, window: usize) -> Result<f64, Box<dyn Error>> {
    let engines = start_engine(driver, start_smsc())?;
    let address = engines.listening()[0].address;
    // A thread of its own: the next engine is started from a thread that may run everywhere.
    let measuring = thread::spawn(move || measure_load(address, connections, window));
    let (used, messages) = measuring.join().map_err(|_| "the load panicked")??;
    stop(engines);
    #[expect(clippy::cast_precision_loss, reason = "far fewer messages than 2^52")]
    let microseconds = used.as_secs_f64() * 1e6 / messages as f64;
    Ok(microseconds)
}

/// CPU time of the engine, and messages.
fn measure_load(address: SocketAddr, connections: usize, window: usize) -> io::Result<(Duration, u64)> {
    pin_to_second_cpu();
    let mut load = Load::bind(address, connections)?;
    load.send_first(window)?;
    load.run(WARM_UP)?;
    let before = engine_cpu_time()?;
    let messages = load.run(MEASURED)?;
    Ok((engine_cpu_time()? - before, messages))
}

/// Memory of the whole process before and with so many idle binds.
fn idle(driver: IoDriver, name: &str, binds: usize) -> Result<(), Box<dyn Error>> {
    let engines = start_engine(driver, start_smsc())?;
    let before = resident_kib()?;
    let load = Load::bind(engines.listening()[0].address, binds)?;
    thread::sleep(Duration::from_secs(1));
    let cpu_before = engine_cpu_time()?;
    thread::sleep(Duration::from_secs(5));
    let share = (engine_cpu_time()? - cpu_before).as_secs_f64() / 5.0;
    let with = resident_kib()?;
    println!(
        "{name}: {before} KiB before, {with} KiB with {binds} idle binds: {} octets a bind, {:.2} % of a core",
        (with.saturating_sub(before)) * 1024 / binds,
        share * 100.0
    );
    stop(engines);
    drop(load);
    Ok(())
}

fn start_engine(driver: IoDriver, smsc: SocketAddr) -> Result<RunningEngines, Box<dyn Error>> {
    let template = settings();
    let mut engine = template.engine;
    engine.sessions_max = 100_000;
    let mut vservers = template.vservers.clone();
    vservers[0].listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let mut servers = template.servers.clone();
    servers[0].addresses = vec![smsc.to_string()];
    servers[0].window = 60_000;
    let settings = Settings::new(engine, vservers, servers, template.clients.clone(), 1);
    let mut shell_settings = ShellSettings::for_cpus(vec![0]);
    shell_settings.io_driver = driver;
    let engines = run_engines(shell_settings, Arc::new(settings))?;
    let end = Instant::now() + PATIENCE;
    while engines
        .report(PATIENCE)
        .first()
        .is_none_or(|report| report.engine.servers[0].bound_sessions == 0)
    {
        if Instant::now() > end {
            return Err("the server is not bound".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(engines)
}

fn stop(engines: RunningEngines) {
    engines.command_all(&Command::Stop);
    // What ended it is of no interest here.
    let _ = engines.join();
}

/// Time that the thread `engine-0` has run.
fn engine_cpu_time() -> io::Result<Duration> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == "engine-0" {
            let schedule = fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = schedule.split_whitespace().next().unwrap_or_default();
            return Ok(Duration::from_nanos(
                nanoseconds.parse().map_err(io::Error::other)?,
            ));
        }
    }
    Err(io::Error::other("no engine runs"))
}

fn resident_kib() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}

/// The ESMEs: each keeps its window full.
struct Load {
    epoll: OwnedFd,
    esmes: Vec<TcpStream>,
    /// Octets of an answer that is not whole yet.
    pending_octets: Vec<usize>,
    submit: Vec<u8>,
}

impl Load {
    fn bind(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut esmes = Vec::with_capacity(connections);
        for index in 0..connections {
            let mut esme = TcpStream::connect(address)?;
            esme.set_nodelay(true)?;
            esme.set_read_timeout(Some(PATIENCE))?;
            esme.write_all(&pdu(9, 1, b"esme1\0secret\0\0\x34\0\0\0"))?;
            let mut length = [0; 4];
            esme.read_exact(&mut length)?;
            let rest = usize::try_from(u32::from_be_bytes(length))
                .unwrap_or_default()
                .saturating_sub(4);
            let mut answer = vec![0; rest];
            esme.read_exact(&mut answer)?;
            if answer.get(4..8) != Some(&[0; 4]) {
                return Err(io::Error::other("the bind is refused"));
            }
            epoll::add(&epoll, &esme, EventData::new_u64(index as u64), EventFlags::IN)?;
            esmes.push(esme);
        }
        let mut body = b"\0\x01\x014477009001\0\x01\x0188876500001\0\0\0\0\0\0\0\0\0\0".to_vec();
        body.push(160);
        body.extend([b'x'; 160]);
        let submit = pdu(4, 7, &body);
        assert_eq!(submit.len(), SUBMIT_OCTETS, "as in the load tables");
        Ok(Self {
            epoll,
            pending_octets: vec![0; connections],
            esmes,
            submit,
        })
    }

    fn send_first(&mut self, window: usize) -> io::Result<()> {
        let batch = self.submit.repeat(window);
        self.esmes.iter_mut().try_for_each(|esme| esme.write_all(&batch))
    }

    /// Sends a message for each answer; gives how many were answered.
    fn run(&mut self, duration: Duration) -> io::Result<u64> {
        let end = Instant::now() + duration;
        let mut answered = 0;
        let mut events = Vec::with_capacity(256);
        let mut read = vec![0; 64 * 1024];
        while Instant::now() < end {
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                let index = usize::try_from(event.data.u64()).unwrap_or_default();
                let octets = self.pending_octets[index] + self.esmes[index].read(&mut read)?;
                let answers = octets / ANSWER_OCTETS;
                self.pending_octets[index] = octets % ANSWER_OCTETS;
                self.esmes[index].write_all(&self.submit.repeat(answers))?;
                answered += answers as u64;
            }
        }
        Ok(answered)
    }
}

/// Answers every request of one connection, with one write for each read.
fn start_smsc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        pin_to_second_cpu();
        let (stream, _) = listener.accept().expect("the engine connects");
        // It ends with its engine.
        drop(serve(stream));
    });
    address
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = vec![0; 256 * 1024];
    let mut kept = 0;
    let mut answers = Vec::new();
    loop {
        let octets = stream.read(&mut read[kept..])?;
        if octets == 0 {
            return Ok(());
        }
        let end = kept + octets;
        let mut at = 0;
        while let Some(length) = read[at..end].first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or_default();
            if at + length > end {
                break;
            }
            let request = &read[at..at + length];
            let sequence = u32::from_be_bytes([request[12], request[13], request[14], request[15]]);
            let body: &[u8] = match request[7] {
                9 => b"smsc\0",
                4 => b"5F2A9C3E01\0",
                _ => b"",
            };
            let mut answer = pdu(request[7], sequence, body);
            answer[4] = 0x80;
            answers.extend(answer);
            at += length;
        }
        stream.write_all(&answers)?;
        answers.clear();
        read.copy_within(at..end, 0);
        kept = end - at;
    }
}

fn pdu(command: u8, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut pdu = length.to_be_bytes().to_vec();
    pdu.extend([0, 0, 0, command, 0, 0, 0, 0]);
    pdu.extend(sequence.to_be_bytes());
    pdu.extend(body);
    pdu
}

/// Away from the engine, where there is a second CPU.
fn pin_to_second_cpu() {
    // On a machine with one CPU everything shares that.
    core_affinity::set_for_current(core_affinity::CoreId { id: 1 });
}
