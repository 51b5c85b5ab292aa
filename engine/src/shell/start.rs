//! Starts the engines: checks what can be checked, binds every listener for every core, then starts the threads.

use super::admission::Admission;
use super::clock::Clock;
use super::core_start::{self, CoreStart};
use super::engine::Engine;
use super::event::event_stream;
use super::io_driver::{self, ChosenDriver};
use super::message::ShellMessage;
use super::passwords::PasswordVerifier;
use super::resolve::Resolver;
use super::running::{Listening, RunningEngines};
use super::settings::ShellSettings;
use super::sockets;
use super::start_error::StartError;
use super::station::{caller_user_timeout, client_user_timeout};
use super::steering::{Entrance, Listener, Steering};
use super::tls::Registry;
use crate::core::PacketEngine;
use crate::core::contract::CoreIndex;
use crate::core::settings::{ServerIndex, Settings, VserverIndex};
use crate::store::StoreThread;
use smppmux_c2c::{Endpoint, MeshCapacity, mesh};
use smppmux_flow_distributor as flow_distributor;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::info;

/// Room in the mailboxes for the shell's own requests (hand-overs, orders), beside the engines'.
const SHELL_REQUESTS_MAX: usize = 64;
/// Control messages without an acknowledgement between two cores: the engine's directory, map entries, questions for words and for
/// leases of rates, and the shell's load.
const CONTROL_MAX: usize = 5;

/// Starts one packet engine for each of `shell_settings.cpus`. When it returns, every listener of every core is bound
/// and every engine runs.
///
/// # Errors
/// See [`StartError`]; nothing is left running or bound then.
pub fn run_engines(
    shell_settings: ShellSettings,
    settings: Arc<Settings>,
) -> Result<RunningEngines, StartError> {
    let clock = Clock::started_now();
    // The standard library's keys come from the operating system's random numbers.
    let seed = RandomState::new();
    let cores = core_count(&shell_settings)?;
    let for_shell = Arc::clone(&settings);
    let log = shell_settings.receipt_log.clone();
    if let Some(log) = &log {
        log.start(&settings).map_err(StartError::ReceiptLog)?;
    }
    if let Some(lanes) = &shell_settings.message_log {
        lanes.set_clock(clock);
    }
    // Before anything listens: what cannot be kept safe must not be taken in.
    let store = match shell_settings.store.clone() {
        Some(store) => Some(StoreThread::start(store, Arc::clone(&settings)).map_err(StartError::Store)?),
        None => None,
    };
    let make_engine = move |core: CoreIndex| {
        let for_engine = Arc::clone(&settings);
        let mut engine = PacketEngine::new(core, cores, for_engine, seed.hash_one(core), clock.now());
        if let Some(log) = &log {
            let started_at = std::time::Instant::now();
            let report = log.load(&settings, |record| engine.handle_loaded(record));
            if core.0 == 0 && report.records + report.skipped > 0 {
                let seconds = started_at.elapsed().as_secs_f32();
                info!(
                    records = report.records,
                    skipped = report.skipped,
                    torn_files = report.torn_files,
                    seconds,
                    "receipts of earlier runs are loaded"
                );
            }
        }
        engine
    };
    start(
        io_driver::choose,
        shell_settings,
        &for_shell,
        clock,
        store,
        make_engine,
    )
}

/// Starts any kind of engine on the driver that `choose` finds; `make_engine` is called on each engine's own thread.
pub(super) fn start<E: Engine>(
    choose: impl FnOnce(&ShellSettings) -> Result<ChosenDriver, StartError>,
    shell_settings: ShellSettings,
    settings: &Arc<Settings>,
    clock: Clock,
    store: Option<StoreThread>,
    make_engine: impl Fn(CoreIndex) -> E + Clone + Send + 'static,
) -> Result<RunningEngines, StartError> {
    let cores = core_count(&shell_settings)?;
    check_cpus(&shell_settings.cpus)?;
    let driver = choose(&shell_settings)?;
    let tls = Registry::new(&shell_settings.tls).map_err(StartError::Tls)?;
    let (listeners, listening) = bind_listeners(settings, tls.as_deref(), usize::from(cores))?;
    let distribution = Arc::new(shell_settings.distribution.clone());
    let shell_settings = Arc::new(shell_settings);
    let (events, event_receiver) = event_stream();
    let resolver = Resolver::default();
    let passwords = PasswordVerifier::start();
    let admission = Admission::new(settings, RandomState::new().hash_one(0));
    let mut endpoints = make_mesh(&shell_settings);
    let control = endpoints.pop().ok_or(StartError::NoEngine)?;
    let mut starts = Vec::with_capacity(usize::from(cores));
    for ((core, listeners), endpoint) in (0..).map(CoreIndex).zip(listeners).zip(endpoints) {
        starts.push(CoreStart {
            core,
            cpu: shell_settings.cpus[usize::from(core.0)],
            clock,
            shell_settings: Arc::clone(&shell_settings),
            settings: Arc::clone(settings),
            endpoint,
            steering: Steering::new(core, Arc::clone(&distribution)).map_err(StartError::Distribution)?,
            admission: admission.clone(),
            tls: tls.clone(),
            listeners,
            resolver: resolver.clone(),
            passwords: passwords.clone(),
            store: store.as_ref().map(StoreThread::control),
            events: events.clone(),
        });
    }
    let (threads, started) = start_threads(driver, starts, &make_engine);
    let running = RunningEngines::new(control, event_receiver, threads, listening, store, tls);
    match started {
        Ok(()) => Ok(running),
        Err(error) => {
            running.stop_and_wait();
            Err(error)
        }
    }
}

/// Starts the threads and waits until every engine runs. Those that were started are returned in any case.
fn start_threads<E: Engine>(
    driver: ChosenDriver,
    starts: Vec<CoreStart>,
    make_engine: &(impl Fn(CoreIndex) -> E + Clone + Send + 'static),
) -> (Vec<JoinHandle<()>>, Result<(), StartError>) {
    let cores = starts.len();
    let (started, words) = sync_channel(cores);
    let mut threads = Vec::with_capacity(cores);
    for start in starts {
        match core_start::spawn(driver, start, make_engine.clone(), SyncSender::clone(&started)) {
            Ok(thread) => threads.push(thread),
            Err(error) => return (threads, Err(error)),
        }
    }
    drop(started);
    (threads, wait_until_started(&words, cores))
}

fn wait_until_started(words: &Receiver<Result<(), StartError>>, cores: usize) -> Result<(), StartError> {
    for _ in 0..cores {
        words.recv().unwrap_or_else(|_| {
            let error = io::Error::other("an engine's thread ended while it started");
            Err(StartError::System(error))
        })?;
    }
    Ok(())
}

fn core_count(shell_settings: &ShellSettings) -> Result<u16, StartError> {
    let cores = shell_settings.cpus.len();
    if cores == 0 {
        return Err(StartError::NoEngine);
    }
    let too_many = || StartError::Distribution(flow_distributor::SettingsError::CoreCount { cores });
    if shell_settings.distribution.cores != cores {
        return Err(too_many());
    }
    // The control core needs a seat too.
    u16::try_from(cores)
        .ok()
        .filter(|cores| *cores < u16::MAX)
        .ok_or_else(too_many)
}

fn check_cpus(cpus: &[usize]) -> Result<(), StartError> {
    let available: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .into_iter()
        .map(|core| core.id)
        .collect();
    match cpus.iter().find(|cpu| !available.contains(cpu)) {
        Some(cpu) if !available.is_empty() => Err(StartError::NoSuchCpu { cpu: *cpu, available }),
        _ => Ok(()),
    }
}

/// One endpoint for each engine, and the last one for the control core.
fn make_mesh(shell_settings: &ShellSettings) -> Vec<Endpoint<ShellMessage>> {
    let capacity = MeshCapacity {
        requests: shell_settings.core_requests_max + SHELL_REQUESTS_MAX,
        control: CONTROL_MAX,
    };
    mesh(shell_settings.cpus.len() + 1, capacity)
}

/// Every listener for every core (one list for each core), and where they listen.
fn bind_listeners(
    settings: &Settings,
    tls: Option<&Registry>,
    cores: usize,
) -> Result<(Vec<Vec<Listener>>, Vec<Listening>), StartError> {
    let mut of_cores: Vec<Vec<Listener>> = (0..cores).map(|_| Vec::new()).collect();
    let mut listening = Vec::new();
    for (index, vserver) in (0..).map(VserverIndex).zip(&settings.vservers) {
        let entrance = Entrance::Clients(index);
        let user_timeout = client_user_timeout(settings, index);
        let plain = vserver.listen.iter().map(|address| (*address, false));
        let secured = tls.map(|tls| tls.listen(index)).unwrap_or_default();
        let secured = secured.into_iter().map(|address| (address, true));
        for (address, is_tls) in plain.chain(secured) {
            let way_in = WayIn {
                entrance,
                is_tls,
                user_timeout,
            };
            let address = bind_entrance(&mut of_cores, way_in, &vserver.name, address)
                .map_err(|error| listen_error(format!("vserver {:?}", vserver.name), address, error))?;
            listening.push(Listening {
                vserver: index,
                address,
                is_tls,
            });
        }
    }
    for (index, server) in (0..).map(ServerIndex).zip(&settings.servers) {
        let Some(outbind) = &server.outbind else { continue };
        let user_timeout = caller_user_timeout(settings, index);
        let way_in = WayIn {
            entrance: Entrance::Server(index),
            is_tls: false,
            user_timeout,
        };
        let address = bind_entrance(&mut of_cores, way_in, &server.name, outbind.listen)
            .map_err(|error| listen_error(format!("server {:?}", server.name), outbind.listen, error))?;
        info!(server = server.name, %address, "waits for outbinds");
    }
    Ok((of_cores, listening))
}

/// What the listeners of one address are for.
#[derive(Clone, Copy)]
struct WayIn {
    entrance: Entrance,
    is_tls: bool,
    user_timeout: Option<Duration>,
}

/// Listens at an address on every core; gives the address with the port that was found.
fn bind_entrance(
    of_cores: &mut [Vec<Listener>],
    way_in: WayIn,
    name: &str,
    address: SocketAddr,
) -> io::Result<SocketAddr> {
    let name: Arc<str> = name.into();
    let (address, sockets) = sockets::listen_on_every_core(address, of_cores.len())?;
    for (listeners, socket) in of_cores.iter_mut().zip(sockets) {
        listeners.push(Listener {
            entrance: way_in.entrance,
            name: Arc::clone(&name),
            address,
            socket,
            is_tls: way_in.is_tls,
            user_timeout: way_in.user_timeout,
        });
    }
    Ok(address)
}

fn listen_error(listener: String, address: SocketAddr, error: io::Error) -> StartError {
    if error.kind() == io::ErrorKind::AddrInUse {
        StartError::AddressTaken { listener, address }
    } else {
        StartError::CannotListen {
            listener,
            address,
            error,
        }
    }
}
