//! A small engine for the tests of the shell: it echoes, pauses, closes, connects and pings as its clients tell it.
//!
//! A frame is its own length (4 octets, big-endian, the header included), an order (1 octet) and a payload.

use super::super::engine::Engine;
use crate::core::contract::{
    Action, ClosedBy, Command, ConnectionId, CoreIndex, Notice, ReadOutcome, Transmit, Unsent,
};
use crate::core::core_message::{CoreAnswer, CoreMessage, CoreOutcome, CoreRequest, CoreTarget};
use crate::core::report::{Report, Wanted};
use crate::core::settings::{ServerIndex, VserverIndex};
use crate::core::store_message::{StoreCommand, StoreEvent};
use crate::core::time::Moment;
use bytes::BytesMut;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const HEADER_OCTETS: usize = 5;

/// What a frame asks for.
pub(super) mod order {
    /// The frame back.
    pub(in super::super) const ECHO: u8 = b'e';
    /// Read no more from me for so many milliseconds (u32); then the frame back.
    pub(in super::super) const PAUSE: u8 = b'p';
    /// A frame with so many octets (u32) of payload.
    pub(in super::super) const BIG: u8 = b'b';
    /// The frame back, then close after writing.
    pub(in super::super) const QUIT: u8 = b'q';
    /// Close at once.
    pub(in super::super) const KILL: u8 = b'k';
    /// A frame with the number of this core (u16).
    pub(in super::super) const WHICH_CORE: u8 = b'w';
    /// A question to the core with that number (u16); then a frame with the nanoseconds that it took (u64).
    pub(in super::super) const PING: u8 = b'c';
    /// Open a connection to the address in the payload and say `hello` there.
    pub(in super::super) const CONNECT: u8 = b'o';
}

/// What the tests may see of all engines of one harness.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) closed: Vec<(ClosedBy, Option<usize>)>,
    pub(super) connected: usize,
    pub(super) transmitted: usize,
    pub(super) threads: Vec<PathBuf>,
}

pub(super) type SharedObserved = Arc<Mutex<Observed>>;

pub(super) struct FakeEngine {
    core: CoreIndex,
    observed: SharedObserved,
    sessions: Vec<Session>,
    free: Vec<u32>,
    actions: VecDeque<Action>,
    core_messages: VecDeque<(CoreIndex, CoreMessage)>,
    pings: HashMap<u32, (ConnectionId, Moment)>,
    last_reference: u32,
    resumes: Vec<(Moment, ConnectionId)>,
}

#[derive(Default)]
struct Session {
    generation: u32,
    open: bool,
    paused: bool,
    output: BytesMut,
    in_flight: bool,
    /// Nothing more that the client says is of interest.
    deaf: bool,
    close_when_empty: bool,
    close_at_once: bool,
}

impl FakeEngine {
    pub(super) fn new(core: CoreIndex, observed: SharedObserved) -> Self {
        // procfs of this very thread: `<process>/task/<thread>`.
        let thread = std::fs::read_link("/proc/thread-self").expect("procfs");
        observed.lock().expect("no panic").threads.push(thread);
        Self {
            core,
            observed,
            sessions: Vec::new(),
            free: Vec::new(),
            actions: VecDeque::new(),
            core_messages: VecDeque::new(),
            pings: HashMap::new(),
            last_reference: 0,
            resumes: Vec::new(),
        }
    }

    fn open(&mut self) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(Session::default());
            u32::try_from(self.sessions.len() - 1).expect("few sessions")
        });
        let session = &mut self.sessions[index as usize];
        let generation = session.generation + 1;
        *session = Session {
            generation,
            open: true,
            ..Session::default()
        };
        ConnectionId { index, generation }
    }

    fn session(&mut self, connection: ConnectionId) -> &mut Session {
        let session = &mut self.sessions[connection.index as usize];
        assert!(
            session.open && session.generation == connection.generation,
            "an event for a dead connection"
        );
        session
    }

    fn end(&mut self, connection: ConnectionId) {
        self.session(connection).open = false;
        self.free.push(connection.index);
        self.resumes.retain(|(_, paused)| *paused != connection);
    }

    fn reply(&mut self, connection: ConnectionId, order: u8, payload: &[u8]) {
        self.session(connection)
            .output
            .extend_from_slice(&frame(order, payload));
    }

    fn obey(&mut self, now: Moment, connection: ConnectionId, order: u8, payload: &[u8]) {
        match order {
            order::BIG => {
                let octets = number(payload) as usize;
                let big: Vec<u8> = (0..octets).map(pattern).collect();
                self.reply(connection, order, &big);
            }
            order::PAUSE => {
                let pause = Duration::from_millis(number(payload).into());
                self.resumes.push((now + pause, connection));
                self.session(connection).paused = true;
                self.actions.push_back(Action::PauseReading(connection));
                self.reply(connection, order, payload);
            }
            order::QUIT => {
                self.reply(connection, order, payload);
                self.session(connection).deaf = true;
                self.session(connection).close_when_empty = true;
            }
            order::KILL => {
                self.session(connection).deaf = true;
                self.session(connection).close_at_once = true;
            }
            order::WHICH_CORE => {
                let core = self.core.0.to_be_bytes();
                self.reply(connection, order, &core);
            }
            order::PING => self.ping(now, connection, payload),
            order::CONNECT => {
                let opened = self.open();
                self.actions.push_back(Action::Connect {
                    server: ServerIndex(0),
                    transport: 0,
                    connection: opened,
                    address: String::from_utf8_lossy(payload).into_owned(),
                    local_address: None,
                    timeout: Duration::from_millis(300),
                });
            }
            _ => self.reply(connection, order, payload),
        }
    }

    fn ping(&mut self, now: Moment, connection: ConnectionId, payload: &[u8]) {
        let to = CoreIndex(u16::try_from(number(payload)).expect("a core's number"));
        self.last_reference += 1;
        let reference = self.last_reference;
        self.pings.insert(reference, (connection, now));
        let request = CoreRequest {
            reference,
            target: CoreTarget::Server(ServerIndex(0)),
            pdu: BytesMut::from(payload),
            leave_out: 0..0,
            receipt: None,
            message: None,
        };
        self.core_messages.push_back((to, CoreMessage::Request(request)));
    }
}

impl Engine for FakeEngine {
    fn handle_accepted(
        &mut self,
        _now: Moment,
        _vserver: VserverIndex,
        _peer: SocketAddr,
    ) -> Option<ConnectionId> {
        Some(self.open())
    }

    fn handle_called(
        &mut self,
        _now: Moment,
        _server: ServerIndex,
        _peer: SocketAddr,
    ) -> Option<ConnectionId> {
        Some(self.open())
    }

    fn handle_connected(&mut self, _now: Moment, connection: ConnectionId) {
        self.observed.lock().expect("no panic").connected += 1;
        self.reply(connection, order::ECHO, b"hello");
    }

    fn handle_bytes(&mut self, now: Moment, connection: ConnectionId, bytes: &[u8]) -> ReadOutcome {
        let mut consumed_octets = 0;
        let missing_octets = loop {
            let rest = &bytes[consumed_octets..];
            let Some(header) = rest.first_chunk::<HEADER_OCTETS>() else {
                break HEADER_OCTETS - rest.len();
            };
            let length = number(&header[..4]) as usize;
            if length > rest.len() {
                break length - rest.len();
            }
            if self.session(connection).deaf {
                consumed_octets = bytes.len();
                break 1;
            }
            if self.session(connection).paused {
                break 1;
            }
            consumed_octets += length;
            self.obey(now, connection, header[4], &rest[HEADER_OCTETS..length]);
        };
        ReadOutcome {
            consumed_octets,
            missing_octets,
        }
    }

    fn handle_transmitted(&mut self, _now: Moment, connection: ConnectionId, buffer: BytesMut) {
        self.observed.lock().expect("no panic").transmitted += buffer.len();
        self.session(connection).in_flight = false;
    }

    fn handle_read_closed(&mut self, _now: Moment, connection: ConnectionId) {
        self.session(connection).close_when_empty = true;
    }

    fn handle_closed(
        &mut self,
        _now: Moment,
        connection: ConnectionId,
        by: ClosedBy,
        unsent: Option<Unsent>,
    ) {
        self.end(connection);
        let left = unsent.map(|unsent| unsent.octets.len() - unsent.written_octets);
        self.observed.lock().expect("no panic").closed.push((by, left));
    }

    fn handle_core_message(&mut self, now: Moment, from: CoreIndex, message: CoreMessage) {
        match message {
            CoreMessage::Request(request) => {
                let answer = CoreAnswer {
                    reference: request.reference,
                    outcome: CoreOutcome::Answered(request.pdu),
                };
                self.core_messages.push_back((from, CoreMessage::Answer(answer)));
            }
            CoreMessage::Answer(answer) => {
                let (connection, asked) = self.pings.remove(&answer.reference).expect("asked once");
                let nanoseconds = u64::try_from(now.since(asked).as_nanos()).expect("short");
                self.reply(connection, order::PING, &nanoseconds.to_be_bytes());
            }
            CoreMessage::Directory(_)
            | CoreMessage::DirectoryApplied(_)
            | CoreMessage::Entries(_)
            | CoreMessage::EntriesTaken(_)
            | CoreMessage::WordWanted
            | CoreMessage::LeaseQuestion(_)
            | CoreMessage::LeaseGrants(_) => {
                unreachable!("nobody sends these here")
            }
        }
    }

    fn handle_core_refused(&mut self, _now: Moment, _to: CoreIndex, message: CoreMessage) {
        let CoreMessage::Request(request) = message else {
            unreachable!("only requests are refused")
        };
        let (connection, _) = self.pings.remove(&request.reference).expect("asked once");
        self.reply(connection, order::PING, &u64::MAX.to_be_bytes());
    }

    fn handle_store(&mut self, _now: Moment, _event: StoreEvent) {
        unreachable!("it gives the store no orders")
    }

    fn handle_core_gone(&mut self, _now: Moment, _core: CoreIndex) {}

    fn handle_timeout(&mut self, now: Moment) {
        let due: Vec<ConnectionId> = self
            .resumes
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, connection)| *connection)
            .collect();
        self.resumes.retain(|(at, _)| *at > now);
        for connection in due {
            self.session(connection).paused = false;
            self.actions.push_back(Action::ResumeReading(connection));
        }
    }

    fn handle_command(&mut self, _now: Moment, command: Command) {
        match command {
            Command::Drain => self.actions.push_back(Action::Drained { settled: true }),
            Command::Stop => {
                for session in self.sessions.iter_mut().filter(|session| session.open) {
                    session.close_when_empty = true;
                }
            }
            _ => {}
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let (index, session) = (0..)
            .zip(&mut self.sessions)
            .find(|(_, session)| session.open && !session.in_flight && !session.output.is_empty())?;
        session.in_flight = true;
        Some(Transmit {
            connection: ConnectionId {
                index,
                generation: session.generation,
            },
            octets: std::mem::take(&mut session.output),
        })
    }

    fn poll_core_message(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        self.core_messages.pop_front()
    }

    fn poll_store(&mut self) -> Option<StoreCommand> {
        None
    }

    fn poll_action(&mut self) -> Option<Action> {
        let closing = (0..).zip(&self.sessions).find(|(_, session)| {
            let emptied = session.close_when_empty && session.output.is_empty();
            session.open && (emptied || session.close_at_once)
        });
        if let Some((index, session)) = closing {
            let connection = ConnectionId {
                index,
                generation: session.generation,
            };
            let after_writing = !session.close_at_once;
            self.end(connection);
            return Some(Action::Close {
                connection,
                after_writing,
            });
        }
        self.actions.pop_front()
    }

    fn poll_notice(&mut self) -> Option<Notice> {
        None
    }

    fn next_timeout(&self) -> Moment {
        self.resumes
            .iter()
            .map(|(at, _)| *at)
            .min()
            .unwrap_or(Moment::NEVER)
    }

    fn report(&self, _wanted: Wanted) -> Report {
        Report {
            core: self.core.0,
            ..Report::default()
        }
    }
}

/// A frame as it is written.
pub(super) fn frame(order: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_OCTETS + payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes().to_vec();
    frame.push(order);
    frame.extend_from_slice(payload);
    frame
}

/// The octet at `position` of a long payload.
pub(super) fn pattern(position: usize) -> u8 {
    u8::try_from(position % 251).expect("below 251")
}

fn number(octets: &[u8]) -> u32 {
    octets
        .iter()
        .fold(0, |number, octet| number << 8 | u32::from(*octet))
}
