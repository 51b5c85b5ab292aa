//! The world of one run: engines, peers, links, the clock; and the loop that moves it on.

use crate::between::Asked;
use crate::concatenated::Group;
use crate::esme::Esme;
use crate::event::{Event, Events, Input, LinkId};
use crate::exercised::Exercised;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::link::{Link, Peer};
use crate::plan::Plan;
use crate::random::Random;
use crate::rare::Alert;
use crate::rates::Passed;
use crate::restart::Life;
use crate::scenario::Scenario;
use crate::smsc::Smsc;
use crate::store::Store;
use crate::trace::Trace;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::core::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// Events within one virtual second at most; more is a livelock.
const EVENTS_PER_SECOND_MAX: u32 = 150_000;

/// What the run is about just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Faults strike.
    Chaos,
    /// All is well again; everyone comes back.
    Healing,
    /// Nobody sends anything new, so that every window is free.
    Settling,
    /// Each request must succeed.
    Probing,
    /// The clients leave.
    Leaving,
    /// The engines drain.
    Draining,
    Over,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) random: Random,
    pub(crate) scenario: Scenario,
    pub(crate) events: Events,
    /// What the operator has ordered, in order.
    pub(crate) orders: Vec<smppmux_engine::core::contract::Command>,
    pub(crate) last_order_at: Option<Moment>,
    /// How long an order is under way to each core; drawn once in a run.
    pub(crate) order_delays: Vec<Duration>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) life: Life,
    pub(crate) asked: Asked,
    pub(crate) passed: Passed,
    pub(crate) exercised: Exercised,
    pub(crate) links: Vec<Link>,
    pub(crate) smscs: Vec<Smsc>,
    pub(crate) esmes: Vec<Esme>,
    pub(crate) ledger: Ledger,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) store: Store,
    /// Concatenated messages.
    pub(crate) groups: Vec<Group>,
    pub(crate) phase: Phase,
    pub(crate) trace: Trace,
    events_this_second: (u64, u32),
    pub(crate) events_handled: u64,
}

impl World {
    pub(crate) fn new(plan: &Plan, trace: Trace) -> Self {
        let mut random = Random::new(plan.seed);
        let scenario = plan.reduce(Scenario::draw(&mut random));
        if plan.salt != 0 {
            random = Random::new(random.next() ^ plan.salt);
        }
        let mut world = Self {
            now: Moment::from_nanoseconds(1_000_000_000),
            hosts: Vec::new(),
            life: Life::first(),
            asked: Asked::default(),
            passed: Passed::default(),
            exercised: Exercised::default(),
            links: Vec::new(),
            smscs: scenario
                .settings
                .servers
                .iter()
                .map(|_| Smsc::default())
                .collect(),
            esmes: scenario.esmes.iter().cloned().map(Esme::new).collect(),
            events: Events::default(),
            orders: Vec::new(),
            last_order_at: None,
            order_delays: Vec::new(),
            ledger: Ledger::new(&scenario),
            alerts: Vec::new(),
            store: Store::default(),
            groups: Vec::new(),
            phase: Phase::Chaos,
            random,
            scenario,
            trace,
            events_this_second: (0, 0),
            events_handled: 0,
        };
        world.trace_scenario();
        world.start();
        world
    }

    /// Runs to the end. Panics, with a sentence that says which promise was broken, when one is.
    pub(crate) fn run(mut self) -> Summary {
        while self.phase != Phase::Over {
            let (at, event) = self.events.pop().expect("the next phase is always ahead");
            assert!(at >= self.now, "time goes forward");
            self.now = at;
            self.count_event();
            self.handle(event);
        }
        Summary {
            events: self.events_handled,
            requests: self.ledger.requests.len(),
            messages: self.ledger.messages.len(),
            concatenated: self.groups.len(),
            exercised: self.exercised,
        }
    }

    fn start(&mut self) {
        let settings = Arc::clone(&self.scenario.settings);
        self.start_engines(&settings);
        for index in 0..self.esmes.len() {
            let wait = self.random.milliseconds(0, 500);
            self.events.at(self.now + wait, Event::EsmeActs(index));
        }
        for index in 0..self.smscs.len() {
            self.events
                .at(self.now + Duration::from_millis(100), Event::SmscActs(index));
        }
        self.events
            .at(self.now + Duration::from_millis(10), Event::FaultStrikes);
        self.events.at(self.now + self.scenario.chaos, Event::NextPhase);
    }

    /// Engines that know nothing but these settings.
    pub(crate) fn start_engines(&mut self, settings: &Arc<Settings>) {
        self.hosts.clear();
        let engines = self.scenario.engines;
        for core in 0..engines {
            let host = Host::new(core, engines, settings, self.random.next(), self.now);
            self.hosts.push(host);
        }
        for core in 0..engines {
            self.end_turn(core);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Engine(core, input) => self.engine_input(core, input),
            Event::PeerReadable(link) => self.peer_readable(link),
            Event::PeerWrites(link, pdu) => self.peer_writes(link, &pdu),
            Event::PeerCloses(link) => self.peer_closes(link),
            Event::ReadsAgain(link) => self.reads_again(link),
            Event::EsmeActs(index) => self.esme_acts(index),
            Event::SmscActs(index) => self.smsc_acts(index),
            Event::SmscCalls(index) => self.call_while_all_is_well(index),
            Event::StoreActs => self.store_acts(),
            Event::Probe(turn) => self.probe_one(turn),
            Event::ProcessStarts => self.process_starts(),
            Event::FaultStrikes => self.fault_strikes(),
            Event::NextPhase => self.next_phase(),
        }
    }

    /// Progress: so much can happen in a second and no more.
    fn count_event(&mut self) {
        self.events_handled += 1;
        let second = self.now.as_nanoseconds() / 1_000_000_000;
        if self.events_this_second.0 != second {
            self.events_this_second = (second, 0);
        }
        self.events_this_second.1 += 1;
        assert!(
            self.events_this_second.1 <= EVENTS_PER_SECOND_MAX,
            "livelock: more than {EVENTS_PER_SECOND_MAX} events in one virtual second"
        );
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.events.at(self.now + wait, event);
    }

    pub(crate) fn input_after(&mut self, wait: Duration, core: usize, input: Input) {
        self.events.at(self.now + wait, Event::Engine(core, input));
    }

    /// A link between a core and a peer that is about to come up.
    pub(crate) fn new_link(&mut self, core: usize, peer: Peer) -> LinkId {
        let capacity = if self.random.chance(self.scenario.faults.small_kernel_buffer) {
            self.random.between(1, 400)
        } else {
            100_000
        };
        self.links.push(Link::new(core, peer, self.now, capacity));
        self.links.len() - 1
    }

    fn trace_scenario(&self) {
        let scenario = &self.scenario;
        self.trace.line(self.now, || {
            format!(
                "{} engines, {} servers, {} ESMEs, chaos for {:?}\n{:#?}\n{:#?}\n{:#?}",
                scenario.engines,
                scenario.settings.servers.len(),
                scenario.esmes.len(),
                scenario.chaos,
                scenario.settings,
                scenario.faults,
                scenario.esmes,
            )
        });
    }
}

/// How much a run did, so that a suite can say that it did something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Events that were handled.
    pub events: u64,
    /// Requests of ESMEs.
    pub requests: usize,
    /// Messages of SMSCs.
    pub messages: usize,
    /// Concatenated messages among both.
    pub concatenated: usize,
    /// What went wrong, and which limits were reached.
    pub exercised: Exercised,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.requests += other.requests;
        self.messages += other.messages;
        self.concatenated += other.concatenated;
        self.exercised += other.exercised;
    }
}
