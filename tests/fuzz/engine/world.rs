//! The engines, their connections, the octets on them, and the books of who has been answered.

use super::ledger::{ERRORS_OF_SERVERS_ALONE, Ledger};
use super::link::Link;
use super::peers;
use super::store::Store;
use crate::input::Input;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{
    Action, ClosedBy, Command, ConnectionId, CoreIndex, PasswordVerdict, Transmit, Unsent,
};
use smppmux_engine::core::core_message::CoreMessage;
use smppmux_engine::core::settings::{ServerIndex, Settings, VserverIndex};
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::CommandId;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

const CORES: usize = 2;
/// Settings that the simulation draws, as many as the first octet of an input can choose from.
const SETTINGS: usize = 64;
/// More connections do not make other bugs.
const CONNECTIONS_MAX: usize = 24;
/// Time in the end until everything is overdue.
const LAST_STEPS: usize = 40;
const LAST_STEP: Duration = Duration::from_secs(5);

pub(super) struct World {
    now: Moment,
    cores: Vec<Core>,
    links: Vec<Link>,
    store: Store,
    ledger: Ledger,
    /// Ids that servers have given, and requests that were marked.
    ids: u32,
    marks: u32,
}

struct Core {
    engine: PacketEngine,
    links: BTreeMap<ConnectionId, usize>,
    mail: VecDeque<(usize, CoreMessage)>,
}

/// Drawn once, for they never change.
fn settings_of(choice: u8) -> Arc<Settings> {
    static ALL: OnceLock<Vec<Arc<Settings>>> = OnceLock::new();
    let draw = |seed| smppmux_simulation::settings_of(seed as u64);
    let all = ALL.get_or_init(|| (0..SETTINGS).map(draw).collect());
    Arc::clone(&all[usize::from(choice) % SETTINGS])
}

impl World {
    pub(super) fn new(choice: u8) -> Self {
        let now = Moment::from_nanoseconds(1_000_000_000);
        let settings = settings_of(choice);
        let cores = (0..CORES).map(|core| Core {
            engine: PacketEngine::new(
                CoreIndex(core as u16),
                CORES as u16,
                Arc::clone(&settings),
                u64::from(choice),
                now,
            ),
            links: BTreeMap::new(),
            mail: VecDeque::new(),
        });
        let mut world = Self {
            now,
            cores: cores.collect(),
            links: Vec::new(),
            store: Store::default(),
            ledger: Ledger::new(&settings),
            ids: 0,
            marks: 0,
        };
        for core in 0..CORES {
            world.end_turn(core);
        }
        world
    }

    /// One thing happens.
    pub(super) fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.octet();
        let link = input.octet();
        let client = self.pick(link, true);
        let server = self.pick(link, false);
        match (kind % 16, client, server) {
            (0, ..) if link >= 0xC0 => self.call(link, input),
            (0, ..) => self.accept(usize::from(link) % CORES),
            (1, Some(link), _) => self.peer_writes(link, &peers::bind(input)),
            (2..=4, Some(link), _) => {
                let pdu = peers::of_client(&self.mark(), input);
                self.peer_writes(link, &pdu);
            }
            (5 | 6, _, Some(link)) => self.connected_or_answers(link, input),
            (7, _, Some(link)) => {
                let pdu = peers::of_server(&self.mark(), input);
                self.peer_writes(link, &pdu);
            }
            (8, Some(link), _) => self.raw(link, input),
            (9, _, Some(link)) => self.raw(link, input),
            (10, ..) => self.written(),
            (11, ..) => self.mail(input.octet()),
            (12, ..) => self.time_passes(Duration::from_millis(u64::from(input.octet()) * 40)),
            (13, Some(link), _) => self.ends(link, input.octet()),
            (14, _, Some(link)) => self.ends(link, input.octet()),
            (15, Some(link), _) if input.below(3) > 0 => self.answers(link, input),
            (15, ..) if input.octet() == 0xFF => self.drain(usize::from(link) % CORES),
            _ => {}
        }
    }

    /// Nobody says anything any more: everything that was read must have its answer.
    pub(super) fn finish(&mut self) {
        for _ in 0..LAST_STEPS {
            self.written();
            self.mail(0);
            self.time_passes(LAST_STEP);
        }
        self.written();
        for link in self.links.iter().filter(|link| link.is_open && !link.is_over) {
            assert!(
                link.unanswered.is_empty(),
                "a request was never answered: {:?}",
                link.unanswered
            );
        }
    }

    /// Another one each time, of the length of a service_type.
    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("{:05}", self.marks)
    }

    /// For people who look into an input that fails.
    fn tell(&self, link: usize, what: &str, octets: &[u8]) {
        static IS_ASKED_FOR: LazyLock<bool> =
            LazyLock::new(|| std::env::var_os("SMPPMUX_FUZZ_TRACE").is_some());
        if *IS_ASKED_FOR {
            let Link { core, is_client, .. } = self.links[link];
            let peer = if is_client { "client" } else { "server" };
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            eprintln!("{:?} core {core} {what} {peer} {link}: {hex}", self.now);
        }
    }

    fn pick(&self, choice: u8, is_client: bool) -> Option<usize> {
        let mut fitting = (0..self.links.len())
            .filter(|link| self.links[*link].is_open && self.links[*link].is_client == is_client);
        let count = fitting.clone().count();
        fitting.nth(usize::from(choice) % count.max(1))
    }

    fn accept(&mut self, core: usize) {
        if self.links.len() >= CONNECTIONS_MAX {
            return;
        }
        let peer = "192.0.2.1:4000".parse().unwrap_or_else(|_| panic!("an address"));
        let accepted = self.cores[core]
            .engine
            .handle_accepted(self.now, VserverIndex(0), peer);
        if let Some(connection) = accepted {
            self.new_link(core, connection, true);
        }
        self.end_turn(core);
    }

    /// A server opens a connection itself, and says who it is, well or badly.
    fn call(&mut self, choice: u8, input: &mut Input<'_>) {
        if self.links.len() >= CONNECTIONS_MAX {
            return;
        }
        let core = usize::from(choice) % CORES;
        let peer = "192.0.2.9:4000".parse().unwrap_or_else(|_| panic!("an address"));
        let server = ServerIndex(u16::from(choice >> 1) % 4);
        let called = self.cores[core].engine.handle_called(self.now, server, peer);
        if let Some(connection) = called {
            let link = self.links.len();
            self.new_link(core, connection, false);
            self.links[link].is_connected = true;
            self.peer_writes(link, &peers::outbind(server.0, input));
        }
        self.end_turn(core);
    }

    fn new_link(&mut self, core: usize, connection: ConnectionId, is_client: bool) {
        let known = self.cores[core].links.insert(connection, self.links.len());
        assert!(known.is_none(), "a handle that is in use");
        self.links
            .push(Link::new(self.links.len(), core, connection, is_client));
    }

    fn connected_or_answers(&mut self, link: usize, input: &mut Input<'_>) {
        if self.links[link].is_connected {
            return self.answers(link, input);
        }
        if input.octet() == 0xFF {
            return self.closed(link, ClosedBy::ConnectFailed(ErrorKind::ConnectionRefused), 0);
        }
        self.links[link].is_connected = true;
        let (core, connection) = (self.links[link].core, self.links[link].connection);
        self.cores[core].engine.handle_connected(self.now, connection);
        self.end_turn(core);
    }

    /// The peer answers the engine's oldest request, well or badly.
    fn answers(&mut self, link: usize, input: &mut Input<'_>) {
        let Some((number, command)) = self.links[link].asked.pop_front() else {
            return;
        };
        let [own_error, other_own_error] = ERRORS_OF_SERVERS_ALONE.map(|status| status.0);
        let status = [0, 0, 0, 0x58, own_error, 0x0E, other_own_error, 0x08][input.below(8)];
        let command = if input.octet() == 0xFF {
            CommandId::GENERIC_NACK
        } else {
            command.response()
        };
        self.ids += 1;
        // No two are the same, so that whose an answer is can be seen.
        let id = format!("{:04X}\0", self.ids);
        let body = match input.below(4) {
            0 => id,
            1 => "\0".to_owned(),
            2 => String::new(),
            _ => format!("{id}\x02\x10\0\x01\x50"),
        };
        self.peer_writes(link, &peers::pdu(command, status, number, body.as_bytes()));
    }

    fn raw(&mut self, link: usize, input: &mut Input<'_>) {
        let octets = input.below(40);
        let octets = input.take(octets).to_vec();
        self.peer_writes(link, &octets);
    }

    fn peer_writes(&mut self, link: usize, octets: &[u8]) {
        if self.links[link].is_connected {
            self.links[link].unread.extend_from_slice(octets);
            self.show(link);
        }
    }

    /// Shows the engine what the peer has written, as the shell does.
    fn show(&mut self, link: usize) {
        if self.links[link].is_paused || !self.links[link].is_open {
            return;
        }
        let (core, connection) = (self.links[link].core, self.links[link].connection);
        let unread = std::mem::take(&mut self.links[link].unread);
        self.tell(link, "reads", &unread);
        let outcome = self.cores[core]
            .engine
            .handle_bytes(self.now, connection, &unread);
        assert!(outcome.consumed_octets <= unread.len() && outcome.missing_octets > 0);
        self.links[link].read(&unread[..outcome.consumed_octets], &mut self.ledger);
        self.links[link].unread = unread[outcome.consumed_octets..].to_vec();
        self.end_turn(core);
    }

    /// The kernels have written everything.
    fn written(&mut self) {
        for link in 0..self.links.len() {
            while let Some(octets) = self.links[link].sending.take() {
                let (core, connection) = (self.links[link].core, self.links[link].connection);
                self.cores[core]
                    .engine
                    .handle_transmitted(self.now, connection, octets);
                self.end_turn(core);
            }
        }
    }

    /// Messages between the cores arrive, or their requests are refused; the store tells what it has done.
    fn mail(&mut self, choice: u8) {
        if choice == 0xFE {
            self.store.news(0);
        }
        while let Some((core, event)) = self.store.next_event() {
            self.cores[core].engine.handle_store(self.now, event);
            self.end_turn(core);
        }
        for core in 0..CORES {
            for _ in 0..self.cores[core].mail.len() {
                let Some((from, message)) = self.cores[core].mail.pop_front() else {
                    break;
                };
                if choice == 0xFF && matches!(message, CoreMessage::Request(_)) {
                    let to = CoreIndex(core as u16);
                    self.cores[from].engine.handle_core_refused(self.now, to, message);
                    self.end_turn(from);
                } else {
                    let from = CoreIndex(from as u16);
                    self.cores[core]
                        .engine
                        .handle_core_message(self.now, from, message);
                    self.end_turn(core);
                }
            }
        }
    }

    fn time_passes(&mut self, time: Duration) {
        let until = self.now + time;
        for core in 0..CORES {
            // Timers fire when they are due, not all at the end.
            for _ in 0..1_000 {
                let next = self.cores[core].engine.next_timeout();
                if next > until {
                    break;
                }
                self.now = self.now.max(next);
                self.cores[core].engine.handle_timeout(self.now);
                assert!(
                    self.cores[core].engine.next_timeout() > self.now,
                    "a timer in the past"
                );
                self.end_turn(core);
            }
        }
        self.now = self.now.max(until);
    }

    fn ends(&mut self, link: usize, how: u8) {
        if !self.links[link].is_connected {
            return;
        }
        if how.is_multiple_of(2) {
            let written = usize::from(how);
            return self.closed(link, ClosedBy::Error(ErrorKind::ConnectionReset), written);
        }
        self.links[link].is_over = true;
        let (core, connection) = (self.links[link].core, self.links[link].connection);
        self.cores[core].engine.handle_read_closed(self.now, connection);
        self.end_turn(core);
    }

    fn closed(&mut self, link: usize, by: ClosedBy, written_octets: usize) {
        let unsent = self.links[link].sending.take().map(|octets| Unsent {
            written_octets: written_octets.min(octets.len()),
            octets,
        });
        let unwritten = unsent
            .as_ref()
            .map_or(0, |unsent| unsent.octets.len() - unsent.written_octets);
        self.ledger
            .closed(link, self.links[link].stream_end - unwritten as u64);
        self.links[link].is_open = false;
        let (core, connection) = (self.links[link].core, self.links[link].connection);
        self.cores[core].links.remove(&connection);
        self.cores[core]
            .engine
            .handle_closed(self.now, connection, by, unsent);
        self.end_turn(core);
    }

    fn drain(&mut self, core: usize) {
        self.cores[core].engine.handle_command(self.now, Command::Drain);
        self.end_turn(core);
    }

    /// Polls everything, in the order that the contract asks for.
    fn end_turn(&mut self, core: usize) {
        self.cores[core].engine.check_invariants();
        while let Some(Transmit { connection, octets }) = self.cores[core].engine.poll_transmit() {
            assert!(!octets.is_empty(), "an empty transmit");
            let link = self.cores[core].links[&connection];
            self.tell(link, "writes", &octets);
            self.links[link].engine_wrote(&octets, &mut self.ledger);
            assert!(
                self.links[link].sending.replace(octets).is_none(),
                "two buffers at once"
            );
        }
        while let Some((to, message)) = self.cores[core].engine.poll_core_message() {
            self.cores[to.as_usize()].mail.push_back((core, message));
        }
        let mut resumed = Vec::new();
        while let Some(command) = self.cores[core].engine.poll_store() {
            self.store.order(core, command);
        }
        while let Some(octets) = self.cores[core].engine.poll_receipt_log() {
            self.cores[core].engine.handle_log_buffer(octets);
        }
        while let Some(action) = self.cores[core].engine.poll_action() {
            match action {
                Action::Connect { connection, .. } => self.new_link(core, connection, false),
                Action::Close { connection, .. } => {
                    if let Some(link) = self.cores[core].links.remove(&connection) {
                        self.links[link].is_open = false;
                        self.links[link].sending = None;
                        self.ledger.closed(link, self.links[link].stream_end);
                    }
                }
                Action::PauseReading(connection) => self.set_paused(core, connection, true),
                Action::ResumeReading(connection) => {
                    self.set_paused(core, connection, false);
                    resumed.extend(self.cores[core].links.get(&connection).copied());
                }
                Action::VerifyPassword {
                    question,
                    password,
                    hash,
                } => {
                    // The simulation's settings have a word and the password itself for a hash.
                    let verdict = if hash.reveal().ends_with(password.reveal()) {
                        PasswordVerdict::Right
                    } else {
                        PasswordVerdict::Wrong
                    };
                    let now = self.now;
                    self.cores[core].engine.handle_password(now, question, verdict);
                }
                Action::Drained { .. } => {
                    assert!(self.cores[core].links.is_empty(), "drained with connections");
                }
            }
        }
        while self.cores[core].engine.poll_notice().is_some() {}
        if let Some(records) = self.cores[core].engine.poll_message_log() {
            records.clear();
        }
        self.ledger
            .turn_ended(|link| self.links[link].is_open && !self.links[link].is_over);
        for link in resumed {
            self.show(link);
        }
    }

    fn set_paused(&mut self, core: usize, connection: ConnectionId, is_paused: bool) {
        if let Some(link) = self.cores[core].links.get(&connection) {
            self.links[*link].is_paused = is_paused;
        }
    }
}
