//! An SMSC: accepts any number of sessions, binds them by itself, and gives what comes to the script.
//!
//! A balancer may keep one session or many; scripts must not care, unless they ask.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::{self, Pdu, header_only};
use smppmux_tests::peer::{Peer, Received};

use super::conduct::{Conduct, acceptance};
use super::{OnBind, OnRequest, PATIENCE};
use crate::failure::{Outcome, fail};
use crate::sms::Sms;

/// A request that came in at an SMSC.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// 0 is SMSC A, 1 is B.
    pub(crate) centre: usize,
    /// Numbered over the life of the SMSC.
    pub(crate) session: u32,
    pub(crate) pdu: Pdu,
    writer: Writer,
}

/// One session is written to by its thread and by the script.
type Writer = Arc<Mutex<Peer>>;

impl Arrival {
    /// Answers it with ESME_ROK and this id.
    pub(crate) fn accept(&mut self, id: &str) {
        let answer = acceptance(&self.pdu, id);
        self.answer(&answer);
    }

    /// Answers it with an error.
    pub(crate) fn refuse(&mut self, status: Status) {
        let (command, number) = (self.pdu.command().response(), self.pdu.sequence_number());
        self.answer(&header_only(command, status, number));
    }

    /// Writes octets on the session that it came in on; one that is gone swallows them.
    pub(crate) fn answer(&mut self, octets: &[u8]) {
        locked(&self.writer).try_send(octets);
    }
}

/// What happened to the connections of an SMSC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    pub(crate) at: Instant,
    pub(crate) session: u32,
    pub(crate) kind: HappeningKind,
}

/// The kinds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HappeningKind {
    /// A connection was accepted.
    Connected,
    /// A bind came, accepted or not.
    BindCame,
    /// An enquire_link came.
    EnquiryCame,
    /// The other side sent unbind.
    Unbound,
    /// The connection ended.
    Ended,
}

/// One SMSC.
#[derive(Debug)]
pub(crate) struct Centre {
    address: SocketAddr,
    desk: Arc<Desk>,
    responses: Receiver<(u32, Pdu)>,
    unclaimed: Vec<(u32, Pdu)>,
}

/// What the threads of an SMSC share.
#[derive(Debug)]
struct Desk {
    index: usize,
    conduct: Mutex<Conduct>,
    sessions: Mutex<BTreeMap<u32, Session>>,
    happenings: Mutex<Vec<Happening>>,
    arrivals: Mutex<Sender<Arrival>>,
    responses: Mutex<Sender<(u32, Pdu)>>,
    last_session: AtomicU32,
    last_number: AtomicU32,
    last_id: AtomicU32,
}

#[derive(Debug)]
struct Session {
    bind: CommandId,
    writer: Writer,
}

impl Centre {
    /// Starts SMSC `index` at an address (port 0 for a free one); requests go to `arrivals`.
    pub(crate) fn start(index: usize, address: SocketAddr, arrivals: Sender<Arrival>) -> Outcome<Self> {
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(error) => return fail(format!("the SMSC cannot listen at {address}: {error}")),
        };
        let address = listener.local_addr().unwrap_or(address);
        let (sender, responses) = channel();
        let desk = Arc::new(Desk {
            index,
            conduct: Mutex::default(),
            sessions: Mutex::default(),
            happenings: Mutex::default(),
            arrivals: Mutex::new(arrivals),
            responses: Mutex::new(sender),
            last_session: AtomicU32::new(0),
            last_number: AtomicU32::new(0),
            last_id: AtomicU32::new(0),
        });
        let at_desk = Arc::clone(&desk);
        // Ends with the process: a blocked accept holds nothing that a later script needs.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let desk = Arc::clone(&at_desk);
                thread::spawn(move || desk.serve(stream));
            }
        });
        Ok(Self {
            address,
            desk,
            responses,
            unclaimed: Vec::new(),
        })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `A` or `B`.
    pub(crate) fn name(&self) -> &'static str {
        ["A", "B"][self.desk.index]
    }

    /// How it treats binds from now on.
    pub(crate) fn on_bind(&self, on_bind: OnBind) {
        locked(&self.desk.conduct).on_bind = on_bind;
    }

    /// How it treats other requests from now on.
    pub(crate) fn on_request(&self, on_request: OnRequest) {
        locked(&self.desk.conduct).on_request = on_request;
    }

    /// Whether it answers enquire_links from now on.
    pub(crate) fn answers_enquiries(&self, answers: bool) {
        locked(&self.desk.conduct).answers_enquiries = answers;
    }

    /// Its bound sessions, oldest first.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        locked(&self.desk.sessions).keys().copied().collect()
    }

    /// Those that take a deliver_sm.
    pub(crate) fn receiving_sessions(&self) -> Vec<u32> {
        self.sessions_bound_as(|bind| bind != CommandId::BIND_TRANSMITTER)
    }

    /// Those that were bound as transmitter alone.
    pub(crate) fn transmitter_sessions(&self) -> Vec<u32> {
        self.sessions_bound_as(|bind| bind == CommandId::BIND_TRANSMITTER)
    }

    fn sessions_bound_as(&self, is_wanted: impl Fn(CommandId) -> bool) -> Vec<u32> {
        let sessions = locked(&self.desk.sessions);
        let wanted = sessions.iter().filter(|(_, session)| is_wanted(session.bind));
        wanted.map(|(number, _)| *number).collect()
    }

    /// Waits until it has so many bound sessions.
    pub(crate) fn await_sessions(&self, count: usize) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while self.sessions().len() < count {
            if Instant::now() > deadline {
                return fail(format!(
                    "SMSC {} has {} bound sessions; {count} were due",
                    self.name(),
                    self.sessions().len()
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends all its sessions at once, as a crash does.
    pub(crate) fn drop_sessions(&self) {
        for session in std::mem::take(&mut *locked(&self.desk.sessions)).into_values() {
            locked(&session.writer).end();
        }
    }

    /// What happened to its connections so far.
    pub(crate) fn happenings(&self) -> Vec<Happening> {
        locked(&self.desk.happenings).clone()
    }

    /// Times of one kind, from `since` on.
    pub(crate) fn times_of(&self, kind: HappeningKind, since: Instant) -> Vec<Instant> {
        let happenings = self.happenings();
        let wanted = happenings.iter().filter(|happening| happening.kind == kind);
        wanted
            .map(|happening| happening.at)
            .filter(|at| *at >= since)
            .collect()
    }

    /// A number for a request of its own.
    pub(crate) fn next_number(&self) -> u32 {
        self.desk.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes octets on a session.
    pub(crate) fn send_on(&self, session: u32, octets: &[u8]) -> Outcome {
        let writer = locked(&self.desk.sessions)
            .get(&session)
            .map(|session| Arc::clone(&session.writer));
        match writer {
            Some(writer) if locked(&writer).try_send(octets) => Ok(()),
            _ => fail(format!("session {session} of SMSC {} is gone", self.name())),
        }
    }

    /// Sends a message on the `place`-th receiving session, counted round; gives its number.
    pub(crate) fn deliver(&self, place: usize, sms: &Sms) -> Outcome<u32> {
        let number = self.next_number();
        self.deliver_numbered(place, sms, number)?;
        Ok(number)
    }

    /// The same with a number that the script chooses.
    pub(crate) fn deliver_numbered(&self, place: usize, sms: &Sms, number: u32) -> Outcome {
        let sessions = self.receiving_sessions();
        if sessions.is_empty() {
            return fail(format!("SMSC {} has no session to deliver on", self.name()));
        }
        self.send_on(sessions[place % sessions.len()], &sms.octets(number))
    }

    /// The answer to its request with this number.
    pub(crate) fn response_to(&mut self, number: u32) -> Outcome<Pdu> {
        match self.response_within(number, PATIENCE) {
            Some(pdu) => Ok(pdu),
            None => fail(format!(
                "SMSC {} got no answer to its request number {number:#x}",
                self.name()
            )),
        }
    }

    /// The same within a time.
    pub(crate) fn response_within(&mut self, number: u32, limit: Duration) -> Option<Pdu> {
        let deadline = Instant::now() + limit;
        let is_it = |pdu: &Pdu| pdu.sequence_number() == number;
        if let Some(place) = self.unclaimed.iter().position(|(_, pdu)| is_it(pdu)) {
            return Some(self.unclaimed.remove(place).1);
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (session, pdu) = self.responses.recv_timeout(left).ok()?;
            if is_it(&pdu) {
                return Some(pdu);
            }
            self.unclaimed.push((session, pdu));
        }
    }

    /// The next answer on one session, if one comes in time.
    pub(crate) fn next_response(&mut self, session: u32, limit: Duration) -> Option<Pdu> {
        if let Some(place) = self.unclaimed.iter().position(|(of, _)| *of == session) {
            return Some(self.unclaimed.remove(place).1);
        }
        let (of, pdu) = self.responses.recv_timeout(limit).ok()?;
        if of == session {
            return Some(pdu);
        }
        self.unclaimed.push((of, pdu));
        None
    }

    /// Answers that nobody has asked for so far.
    pub(crate) fn other_responses(&mut self) -> Vec<(u32, Pdu)> {
        self.unclaimed.extend(self.responses.try_iter());
        std::mem::take(&mut self.unclaimed)
    }
}

impl Desk {
    fn conduct(&self) -> Conduct {
        locked(&self.conduct).clone()
    }

    fn note(&self, session: u32, kind: HappeningKind) {
        let at = Instant::now();
        locked(&self.happenings).push(Happening { at, session, kind });
    }

    fn serve(&self, stream: TcpStream) {
        let session = self.last_session.fetch_add(1, Ordering::Relaxed) + 1;
        self.note(session, HappeningKind::Connected);
        if !matches!(self.conduct().on_bind, OnBind::HangUp) {
            self.read_all(session, Peer::new(stream));
        }
        // In this order: who misses it in the sessions finds its end.
        self.note(session, HappeningKind::Ended);
        locked(&self.sessions).remove(&session);
    }

    fn read_all(&self, session: u32, mut peer: Peer) {
        let writer = Arc::new(Mutex::new(peer.writer()));
        loop {
            let pdu = match peer.receive_any_within(Duration::from_secs(3600)) {
                Received::Pdu(pdu) => pdu,
                Received::Closed | Received::Nothing => return,
            };
            let (command, number) = (pdu.command(), pdu.sequence_number());
            if command.is_response() {
                // The script may be over.
                let _ = locked(&self.responses).send((session, pdu));
            } else if command.is_bind() {
                self.note(session, HappeningKind::BindCame);
                self.take_bind(session, &writer, &pdu);
            } else if command == CommandId::ENQUIRE_LINK {
                self.note(session, HappeningKind::EnquiryCame);
                if self.conduct().answers_enquiries {
                    locked(&writer).try_send(&header_only(command.response(), Status::ESME_ROK, number));
                }
            } else if command == CommandId::UNBIND {
                self.note(session, HappeningKind::Unbound);
                locked(&self.sessions).remove(&session);
                locked(&writer).try_send(&header_only(command.response(), Status::ESME_ROK, number));
            } else {
                self.take_request(session, &writer, pdu);
            }
        }
    }

    /// Its books are locked meanwhile: a session that was told of its bind can be dropped, and none binds behind that.
    fn take_bind(&self, session: u32, writer: &Writer, bind: &Pdu) {
        let (command, number) = (bind.command().response(), bind.sequence_number());
        let mut sessions = locked(&self.sessions);
        let accepted = pdu::response_with_id(command, number, "smsc");
        let (octets, piece_octets) = match self.conduct().on_bind {
            OnBind::Refuse(status) => {
                locked(writer).try_send(&header_only(command, status, number));
                return;
            }
            OnBind::HangUp => return,
            OnBind::Accept => (accepted, usize::MAX),
            OnBind::AcceptBare => (header_only(command, Status::ESME_ROK, number), usize::MAX),
            OnBind::AcceptThen { octets, piece_octets } => {
                ([accepted, octets(session)].concat(), piece_octets)
            }
        };
        let known = Session {
            bind: bind.command(),
            writer: Arc::clone(writer),
        };
        sessions.insert(session, known);
        for piece in octets.chunks(piece_octets) {
            locked(writer).try_send(piece);
        }
    }

    fn take_request(&self, session: u32, writer: &Writer, pdu: Pdu) {
        match self.conduct().on_request {
            OnRequest::ByHand => {}
            OnRequest::Accept => {
                let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
                let id = format!("{}-{id:06}", ["A", "B"][self.index]);
                locked(writer).try_send(&acceptance(&pdu, &id));
            }
            OnRequest::Do(answer) => {
                if let Some(octets) = answer(&pdu) {
                    locked(writer).try_send(&octets);
                }
            }
        }
        let arrival = Arrival {
            centre: self.index,
            session,
            pdu,
            writer: Arc::clone(writer),
        };
        // The script may be over.
        let _ = locked(&self.arrivals).send(arrival);
    }
}

/// A thread that panicked with it leaves nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
