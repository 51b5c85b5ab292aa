//! One run at full size: hundreds of engines, thousands of servers and clients, no faults; how the work grows with the cores.
//!
//! The engines are the real ones. Peers answer at once, octets and core messages arrive in the order in which they were sent, and
//! time passes a microsecond with each of them. Every request must have one answer that says ESME_ROK and an id of the server that
//! it reached, and every message must reach the one client of its range.

use crate::pdu::{self, Pdu, command};
use crate::random::Random;
use crate::scenario;
use smppmux_engine::core::PacketEngine;
use smppmux_engine::core::contract::{Action, ConnectionId, CoreIndex, Transmit};
use smppmux_engine::core::core_message::CoreMessage;
use smppmux_engine::core::settings::{Connections, Settings, VserverIndex};
use smppmux_engine::core::time::Moment;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How large.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Packet engines, one for each core.
    pub engines: usize,
    /// Clients, each with a range of its own.
    pub clients: usize,
    /// Servers, each with one session on one of the cores.
    pub servers: usize,
    /// Messages in each direction.
    pub messages: usize,
}

/// What one phase of a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Calls of the engines' `handle_*`.
    pub calls: u64,
    /// Requests and answers between cores.
    pub core_messages: u64,
    /// Directory updates and acknowledgements between cores.
    pub directory_messages: u64,
    /// Processor time of the whole simulation, engines and peers together.
    pub time: Duration,
}

/// What a run at full size measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// How large it was.
    pub size: Size,
    /// Connecting to all servers and binding all clients.
    pub binding: Work,
    /// The submit_sms.
    pub submits: Work,
    /// The deliver_sms.
    pub delivers: Work,
    /// Pools in one engine's table.
    pub pools_per_engine: u64,
    /// Resident memory that the engines took for all this, in octets, for each.
    pub memory_per_engine: u64,
}

/// Runs it.
///
/// # Panics
///
/// When a promise is broken.
pub fn measure(size: Size) -> Measured {
    let memory = resident_octets();
    let mut world = ScaleWorld::new(size);
    let binding = world.phase(ScaleWorld::bind_all);
    world.check_bound();
    let memory_per_engine = resident_octets().saturating_sub(memory) / size.engines as u64;
    let submits = world.phase(ScaleWorld::submit_all);
    assert_eq!(world.answered, size.messages, "every submit_sm was answered");
    let delivers = world.phase(ScaleWorld::deliver_all);
    assert_eq!(
        world.delivered, size.messages,
        "every deliver_sm reached its client"
    );
    assert_eq!(world.acknowledged, size.messages, "every deliver_sm was answered");
    Measured {
        size,
        binding,
        submits,
        delivers,
        pools_per_engine: world.cores[0].report().pools,
        memory_per_engine,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Client(usize),
    Server(usize),
}

struct FarLink {
    core: usize,
    connection: ConnectionId,
    far: Far,
    input: Vec<u8>,
    is_bound: bool,
    next_sequence: u32,
}

enum Happening {
    Connected(usize),
    Octets(usize, Vec<u8>),
    Written(usize, bytes::BytesMut),
    Core {
        from: usize,
        to: usize,
        message: CoreMessage,
    },
}

struct ScaleWorld {
    size: Size,
    now: Moment,
    random: Random,
    cores: Vec<PacketEngine>,
    places: Vec<HashMap<ConnectionId, usize>>,
    links: Vec<FarLink>,
    clients: Vec<usize>,
    servers: Vec<usize>,
    queue: VecDeque<Happening>,
    work: Work,
    answered: usize,
    delivered: usize,
    acknowledged: usize,
}

/// A client's range, which is also where messages for it go.
fn range_of(client: usize) -> String {
    format!("888{client:07}")
}

fn settings(size: Size) -> Arc<Settings> {
    let mut random = Random::new(1);
    let patience = Duration::from_secs(3_600);
    let mut engine = scenario::engine(&mut random);
    engine.sessions_max = 20_000;
    engine.core_requests_max = 1_000;
    engine.first_sequence_number = 1;
    engine.output_octets_max = 1 << 20;
    engine.server_output_octets_max = 1 << 20;
    engine.has_queue = false;
    let mut vserver = scenario::vserver(&mut random, size.servers, false, patience);
    vserver.method = smppmux_engine::core::settings::Method::RoundRobin;
    vserver.message_id.mode = smppmux_engine::core::settings::MessageIdMode::Tagged;
    vserver.enquire_link_interval = patience;
    vserver.bind_timeout = patience;
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let servers = (0..size.servers).map(|index| {
        let mut server = scenario::server(&mut random, 0, patience);
        server.name = format!("smsc{index}");
        server.addresses = vec![index.to_string()];
        server.uid = [digits[index / 36 % 36], digits[index % 36]];
        server.bind = smppmux_engine::core::settings::ServerBind::Transceiver;
        server.connections = Connections::Total(1);
        server.window = 1_000;
        server.rate = None;
        server.priority = 0;
        server.enquire_link_interval = patience;
        server
    });
    let servers = servers.collect();
    let clients = (0..size.clients).map(|index| {
        let mut client = scenario::client(&mut random, 0, true);
        client.system_id = format!("esme{index}");
        client.window = 1_000;
        client.rate = None;
        client.max_binds = None;
        client
    });
    let clients = clients.collect();
    Arc::new(Settings::new(engine, vec![vserver], servers, clients, 1))
}

impl ScaleWorld {
    fn new(size: Size) -> Self {
        let settings = settings(size);
        let now = Moment::from_nanoseconds(1_000_000_000);
        let cores = (0..size.engines).map(|core| {
            let index = CoreIndex(core as u16);
            PacketEngine::new(
                index,
                size.engines as u16,
                Arc::clone(&settings),
                core as u64,
                now,
            )
        });
        Self {
            size,
            now,
            random: Random::new(7),
            cores: cores.collect(),
            places: vec![HashMap::new(); size.engines],
            links: Vec::new(),
            clients: Vec::new(),
            servers: vec![usize::MAX; size.servers],
            queue: VecDeque::new(),
            work: Work::default(),
            answered: 0,
            delivered: 0,
            acknowledged: 0,
        }
    }

    fn phase(&mut self, begin: impl FnOnce(&mut Self)) -> Work {
        self.work = Work::default();
        let start = processor_time();
        begin(self);
        self.work.time = processor_time().saturating_sub(start);
        self.work
    }

    fn bind_all(&mut self) {
        for core in 0..self.size.engines {
            self.end_turn(core);
        }
        self.run_until_quiet();
        let peer = "192.0.2.1:4000".parse().expect("an address");
        for client in 0..self.size.clients {
            let core = client % self.size.engines;
            let accepted = self.cores[core].handle_accepted(self.now, VserverIndex(0), peer);
            let link = self.new_link(core, accepted.expect("room for it"), Far::Client(client));
            self.clients.push(link);
            let bind = pdu::bind(
                command::BIND_TRANSCEIVER,
                1,
                &format!("esme{client}"),
                scenario::PASSWORD,
                0x34,
                &range_of(client),
            );
            self.queue.push_back(Happening::Octets(link, bind.encode()));
        }
        self.run_until_quiet();
    }

    fn check_bound(&self) {
        let unbound = self.links.iter().filter(|link| !link.is_bound).count();
        assert_eq!(unbound, 0, "every client and every server session is bound");
        assert_eq!(self.links.len(), self.size.clients + self.size.servers);
    }

    fn submit_all(&mut self) {
        for number in 0..self.size.messages {
            let link = self.clients[number % self.size.clients];
            let sequence = self.next_sequence(link);
            let submit = pdu::message(command::SUBMIT_SM, sequence, number, "4912345", 60, false);
            self.queue.push_back(Happening::Octets(link, submit.encode()));
            if number % self.size.clients == self.size.clients - 1 {
                self.run_until_quiet();
            }
        }
        self.run_until_quiet();
    }

    fn deliver_all(&mut self) {
        for number in 0..self.size.messages {
            let link = self.servers[number % self.size.servers];
            let sequence = self.next_sequence(link);
            let client = self.random.below(self.size.clients);
            let deliver = pdu::message(
                command::DELIVER_SM,
                sequence,
                number,
                &range_of(client),
                60,
                false,
            );
            self.queue.push_back(Happening::Octets(link, deliver.encode()));
            if number % self.size.servers == self.size.servers - 1 {
                self.run_until_quiet();
            }
        }
        self.run_until_quiet();
    }

    fn next_sequence(&mut self, link: usize) -> u32 {
        let link = &mut self.links[link];
        link.next_sequence += 1;
        link.next_sequence
    }

    fn new_link(&mut self, core: usize, connection: ConnectionId, far: Far) -> usize {
        self.places[core].insert(connection, self.links.len());
        self.links.push(FarLink {
            core,
            connection,
            far,
            input: Vec::new(),
            is_bound: false,
            next_sequence: 1,
        });
        self.links.len() - 1
    }

    fn run_until_quiet(&mut self) {
        while let Some(happening) = self.queue.pop_front() {
            self.now += Duration::from_micros(1);
            self.work.calls += 1;
            let now = self.now;
            let core = match happening {
                Happening::Connected(link) => {
                    let FarLink { core, connection, .. } = self.links[link];
                    self.cores[core].handle_connected(now, connection);
                    core
                }
                Happening::Octets(link, octets) => {
                    let FarLink { core, connection, .. } = self.links[link];
                    let outcome = self.cores[core].handle_bytes(now, connection, &octets);
                    assert_eq!(outcome.consumed_octets, octets.len(), "nobody is paused");
                    core
                }
                Happening::Written(link, buffer) => {
                    let FarLink { core, connection, .. } = self.links[link];
                    self.cores[core].handle_transmitted(now, connection, buffer);
                    core
                }
                Happening::Core { from, to, message } => {
                    self.cores[to].handle_core_message(now, CoreIndex(from as u16), message);
                    to
                }
            };
            if self.cores[core].next_timeout() <= now {
                self.cores[core].handle_timeout(now);
            }
            self.end_turn(core);
        }
    }

    fn end_turn(&mut self, core: usize) {
        while let Some(Transmit { connection, octets }) = self.cores[core].poll_transmit() {
            let link = self.places[core][&connection];
            self.links[link].input.extend_from_slice(&octets);
            self.queue.push_back(Happening::Written(link, octets));
            while let Some(pdu) = Pdu::take_first(&mut self.links[link].input) {
                self.far_reads(link, &pdu);
            }
        }
        while let Some((to, message)) = self.cores[core].poll_core_message() {
            match &message {
                CoreMessage::Request(_) | CoreMessage::Answer(_) => self.work.core_messages += 1,
                _ => self.work.directory_messages += 1,
            }
            let to = to.as_usize();
            self.queue.push_back(Happening::Core {
                from: core,
                to,
                message,
            });
        }
        while let Some(action) = self.cores[core].poll_action() {
            match action {
                Action::Connect {
                    connection, address, ..
                } => {
                    let server = address.parse().expect("a number");
                    let link = self.new_link(core, connection, Far::Server(server));
                    self.servers[server] = link;
                    self.queue.push_back(Happening::Connected(link));
                }
                other => panic!("nothing goes wrong here, but {other:?}"),
            }
        }
        while self.cores[core].poll_notice().is_some() {}
    }

    fn far_reads(&mut self, link: usize, pdu: &Pdu) {
        match (self.links[link].far, pdu.command) {
            (Far::Server(_), command::BIND_TRANSCEIVER) => {
                self.links[link].is_bound = true;
                let answer = Pdu::new(pdu.command | command::RESPONSE, 0, pdu.sequence).text(b"smsc");
                self.queue.push_back(Happening::Octets(link, answer.encode()));
            }
            (Far::Server(server), command::SUBMIT_SM) => {
                let answer = pdu::response(pdu.command, 0, pdu.sequence, server.to_string().as_bytes());
                self.queue.push_back(Happening::Octets(link, answer.encode()));
            }
            (Far::Client(client), command::DELIVER_SM) => {
                let range = range_of(client);
                let is_ours = pdu
                    .body
                    .windows(range.len())
                    .any(|octets| octets == range.as_bytes());
                assert!(is_ours, "a message of another range than {range}");
                self.delivered += 1;
                let answer = pdu::response(pdu.command, 0, pdu.sequence, b"");
                self.queue.push_back(Happening::Octets(link, answer.encode()));
            }
            (far, answer) if answer & command::RESPONSE != 0 => {
                assert_eq!(pdu.status, 0, "{far:?}: {}", pdu.describe());
                match answer & !command::RESPONSE {
                    command::BIND_TRANSCEIVER => self.links[link].is_bound = true,
                    command::SUBMIT_SM => self.answered += 1,
                    command::DELIVER_SM => self.acknowledged += 1,
                    _ => panic!("{far:?}: {}", pdu.describe()),
                }
            }
            (far, _) => panic!("{far:?}: {}", pdu.describe()),
        }
    }
}

/// How long this thread has run: other work on the machine does not count.
fn processor_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedule
        .split_whitespace()
        .next()
        .and_then(|nanoseconds| nanoseconds.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Memory of this process that is in use, by the kernel's count.
fn resident_octets() -> u64 {
    const PAGE_OCTETS: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_OCTETS
}
