//! Starts fake engines on loopback and talks to them.

use super::super::clock::Clock;
use super::super::io_driver::{ChosenDriver, choose};
use super::super::ring_driver::RingFeatures;
use super::super::start::start;
use super::super::{CoreReport, Event, IoDriver, RunningEngines, ShellSettings, StartError};
use super::fake_engine::{FakeEngine, HEADER_OCTETS, SharedObserved, frame};
use crate::core::contract::{Command, CoreIndex};
use crate::core::settings::samples::{engine_settings, vserver_settings};
use crate::core::settings::{EmptyRange, EngineSettings, Method, Overload, Settings, VserverSettings};
use smppmux_flow_distributor::Scheme;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Long enough for anything on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Tests that count the descriptors of the process take this for themselves.
pub(super) static DESCRIPTORS: RwLock<()> = RwLock::new(());

/// The drivers that each test runs on.
#[derive(Clone, Copy, Debug)]
pub(super) enum TestedDriver {
    Glommio,
    Epoll,
    Ring,
    /// With as little of io_uring as the ring driver can do with.
    RingOfAnOldKernel,
}

impl TestedDriver {
    fn choose(self, settings: &ShellSettings) -> Result<ChosenDriver, StartError> {
        let io_driver = match self {
            Self::Glommio => IoDriver::Glommio,
            Self::Epoll => IoDriver::Epoll,
            Self::Ring => IoDriver::Ring,
            Self::RingOfAnOldKernel => return Ok(ChosenDriver::Ring(RingFeatures::FEWEST)),
        };
        let settings = ShellSettings {
            io_driver,
            ..settings.clone()
        };
        choose(&settings)
    }
}

/// Running fake engines. Stops and joins them when dropped.
pub(super) struct Harness {
    pub(super) running: Option<RunningEngines>,
    pub(super) observed: SharedObserved,
    pub(super) address: SocketAddr,
    _shared: Option<RwLockReadGuard<'static, ()>>,
}

impl Harness {
    /// `cores` engines, connections spread in turn.
    pub(super) fn start(driver: TestedDriver, cores: usize) -> Self {
        Self::start_with(driver, cores, |_| {})
    }

    pub(super) fn start_with(
        driver: TestedDriver,
        cores: usize,
        adjust: impl FnOnce(&mut ShellSettings),
    ) -> Self {
        let shared = DESCRIPTORS.read().ok();
        let mut harness = Self::start_alone(driver, cores, adjust);
        harness._shared = shared;
        harness
    }

    /// Without the share of [`DESCRIPTORS`]: for a test that holds all of it.
    pub(super) fn start_alone(
        driver: TestedDriver,
        cores: usize,
        adjust: impl FnOnce(&mut ShellSettings),
    ) -> Self {
        let mut shell_settings = ShellSettings::for_cpus(cpus(cores));
        shell_settings.distribution.scheme = Scheme::RoundRobin;
        adjust(&mut shell_settings);
        let observed = SharedObserved::default();
        let running = start_fake(driver, shell_settings, any_port(), &observed).expect("the engines start");
        Self {
            address: running.listening()[0].address,
            running: Some(running),
            observed,
            _shared: None,
        }
    }

    pub(super) fn running(&self) -> &RunningEngines {
        self.running.as_ref().expect("not stopped yet")
    }

    pub(super) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(super) fn reports(&self) -> Vec<CoreReport> {
        self.running().report(PATIENCE)
    }

    /// Waits until no link is open on any core.
    pub(super) fn wait_until_all_closed(&self) {
        wait_until("all links are closed", || {
            self.reports().iter().all(|report| report.shell.links_open == 0)
        });
    }

    /// Stops the engines and says what they told meanwhile.
    pub(super) fn stop(&mut self) -> Vec<Event> {
        let Some(running) = self.running.take() else {
            return Vec::new();
        };
        running.command_all(&Command::Stop);
        let mut events = Vec::new();
        let mut stopped = 0;
        while stopped < running.cores() {
            let event = running.next_event(PATIENCE).expect("the engines stop");
            stopped += u16::from(matches!(event, Event::Stopped { .. }));
            events.push(event);
        }
        running.join().expect("no engine failed");
        events
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub(super) fn start_fake(
    driver: TestedDriver,
    shell_settings: ShellSettings,
    address: SocketAddr,
    observed: &SharedObserved,
) -> Result<RunningEngines, StartError> {
    let observed = Arc::clone(observed);
    let make_engine = move |core: CoreIndex| FakeEngine::new(core, Arc::clone(&observed));
    start(
        |settings| driver.choose(settings),
        shell_settings,
        &Arc::new(settings(address)),
        Clock::started_now(),
        None,
        make_engine,
    )
}

/// One client's connection.
pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("an option of the socket");
        stream.set_nodelay(true).expect("an option of the socket");
        Self(stream)
    }

    pub(super) fn send(&mut self, order: u8, payload: &[u8]) {
        self.0
            .write_all(&frame(order, payload))
            .expect("the engine reads");
    }

    pub(super) fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; HEADER_OCTETS];
        self.0.read_exact(&mut header).expect("an answer");
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let mut payload = vec![0; length - HEADER_OCTETS];
        self.0.read_exact(&mut payload).expect("all of the answer");
        (header[4], payload)
    }

    pub(super) fn ask(&mut self, order: u8, payload: &[u8]) -> Vec<u8> {
        self.send(order, payload);
        let (answered, payload) = self.receive();
        assert_eq!(answered, order);
        payload
    }

    /// Nothing more comes, in an orderly way.
    pub(super) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("no reset");
        assert_eq!(rest.len(), 0, "unexpected octets");
    }
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// As many CPUs as engines, repeated where there are fewer.
pub(super) fn cpus(cores: usize) -> Vec<usize> {
    let available = core_affinity::get_core_ids().expect("this machine has CPUs");
    (0..cores)
        .map(|core| available[core % available.len()].id)
        .collect()
}

pub(super) fn settings(address: SocketAddr) -> Settings {
    let engine = EngineSettings {
        core_requests_max: 1024,
        sessions_max: 100_000,
        ..engine_settings()
    };
    let vserver = VserverSettings {
        name: "test".to_owned(),
        listen: vec![address],
        method: Method::RoundRobin,
        servers: Vec::new(),
        overload: Overload::Throttle,
        empty_range: EmptyRange::None,
        ..vserver_settings()
    };
    Settings::new(engine, vec![vserver], Vec::new(), Vec::new(), 0)
}
