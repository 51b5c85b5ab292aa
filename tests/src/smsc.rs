//! SMSCs: a listener whose sessions a test drives by hand, and one that answers everything by itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, QueryView, Status};

use crate::PATIENCE;
use crate::pdu::{self, Pdu};
use crate::peer::{Peer, Received};

/// An SMSC that a test drives by hand: it accepts, and says nothing by itself.
#[derive(Debug)]
pub struct Smsc {
    address: SocketAddr,
    accepted: Receiver<TcpStream>,
}

impl Smsc {
    /// Listens on a free port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, accepted) = channel();
        // Ends with the process: a blocked accept holds nothing that a later test needs.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, which has not bound yet.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn accept(&self) -> Peer {
        self.accept_within(PATIENCE)
            .expect("smppmux connects to its server")
    }

    /// The next connection, if one comes in time.
    pub fn accept_within(&self, limit: Duration) -> Option<Peer> {
        match self.accepted.recv_timeout(limit) {
            Ok(stream) => Some(Peer::new(stream)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next session, bound; gives the bind too.
    ///
    /// # Panics
    ///
    /// When none comes, or it does not start with a bind.
    pub fn accept_bound(&self) -> (Peer, Pdu) {
        let mut peer = self.accept();
        let bind = answer_bind(&mut peer);
        (peer, bind)
    }
}

/// Waits for a bind and accepts it.
///
/// # Panics
///
/// When something else comes.
pub fn answer_bind(peer: &mut Peer) -> Pdu {
    let bind = peer.receive();
    assert!(bind.command().is_bind(), "{bind:?}");
    let number = bind.sequence_number();
    peer.send(&pdu::response_with_id(bind.command().response(), number, "smsc"));
    bind
}

/// How an [`AnsweringSmsc`] answers submits.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mood {
    /// With ESME_ROK.
    #[default]
    Well,
    /// With this status.
    Refuses(Status),
    /// Not at all.
    Silent,
}

/// An SMSC that accepts every bind and answers every request, with ESME_ROK unless its mood is another one.
#[derive(Debug)]
pub struct AnsweringSmsc {
    address: SocketAddr,
    writers: Arc<Mutex<Vec<Peer>>>,
    requests: Receiver<Pdu>,
    responses: Receiver<Pdu>,
    last_sequence_number: AtomicU32,
    mood: Arc<Mutex<Mood>>,
}

/// What the threads of an [`AnsweringSmsc`] share.
#[derive(Clone)]
struct Desk {
    name: &'static str,
    submits: Arc<AtomicU32>,
    mood: Arc<Mutex<Mood>>,
    writers: Arc<Mutex<Vec<Peer>>>,
    requests: Sender<Pdu>,
    responses: Sender<Pdu>,
}

impl AnsweringSmsc {
    /// Starts one; its message ids are `<name>-<number>`.
    pub fn start(name: &'static str) -> Self {
        let smsc = Smsc::start();
        let address = smsc.address();
        let (request_sender, requests) = channel();
        let (response_sender, responses) = channel();
        let writers = Arc::default();
        let mood = Arc::default();
        let desk = Desk {
            name,
            submits: Arc::default(),
            mood: Arc::clone(&mood),
            writers: Arc::clone(&writers),
            requests: request_sender,
            responses: response_sender,
        };
        thread::spawn(move || {
            while let Ok(stream) = smsc.accepted.recv() {
                let desk = desk.clone();
                thread::spawn(move || desk.serve(Peer::new(stream)));
            }
        });
        Self {
            address,
            writers,
            requests,
            responses,
            last_sequence_number: AtomicU32::new(0),
            mood,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a deliver_sm on its session `session`, counted in the order of the binds; gives its number.
    ///
    /// # Panics
    ///
    /// When there is no such session.
    pub fn deliver(&self, session: usize, destination: &str, text: &str) -> u32 {
        let number = self.next_sequence_number();
        self.send(session, &pdu::deliver_sm(number, "2000", destination, text));
        number
    }

    /// A number for a request that this SMSC sends.
    pub fn next_sequence_number(&self) -> u32 {
        self.last_sequence_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends octets on its session `session`.
    ///
    /// # Panics
    ///
    /// When there is no session.
    pub fn send(&self, session: usize, octets: &[u8]) {
        let mut writers = self.writers.lock().expect("no thread panicked with it");
        let sessions = writers.len();
        writers[session % sessions].send(octets);
    }

    /// How it answers submits from now on.
    ///
    /// # Panics
    ///
    /// When a thread of it has panicked.
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().expect("no thread panicked with it") = mood;
    }

    /// Ends all its sessions, as when its process dies; new ones are accepted at once.
    ///
    /// # Panics
    ///
    /// When a thread of it has panicked.
    pub fn end_sessions(&self) {
        let mut writers = self.writers.lock().expect("no thread panicked with it");
        for writer in writers.drain(..) {
            writer.end();
        }
    }

    /// The answer to the request with this number; answers to others are skipped.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn response_to(&self, sequence_number: u32) -> Pdu {
        loop {
            let response = self.responses.recv_timeout(PATIENCE).expect("an answer is due");
            if response.sequence_number() == sequence_number {
                return response;
            }
        }
    }

    /// The next request that it got, binds and enquire_links not counted.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn next_request(&self) -> Pdu {
        self.requests.recv_timeout(PATIENCE).expect("a request is due")
    }

    /// The requests that it got so far.
    pub fn requests_so_far(&self) -> Vec<Pdu> {
        self.requests.try_iter().collect()
    }
}

impl Desk {
    fn serve(&self, mut peer: Peer) {
        while let Received::Pdu(pdu) = peer.receive_within(Duration::from_secs(3600)) {
            if pdu.command().is_response() {
                // The test may be over.
                let _ = self.responses.send(pdu);
                continue;
            }
            if pdu.command().is_bind() {
                let writer = peer.writer();
                self.writers
                    .lock()
                    .expect("no thread panicked with it")
                    .push(writer);
            }
            let mood = *self.mood.lock().expect("no thread panicked with it");
            let is_submit = pdu.command() == CommandId::SUBMIT_SM;
            let answer = match mood {
                Mood::Silent if is_submit => None,
                Mood::Refuses(status) if is_submit => {
                    let command = CommandId::SUBMIT_SM_RESP;
                    Some(pdu::header_only(command, status, pdu.sequence_number()))
                }
                _ => Some(self.answer(&pdu)),
            };
            if !pdu.command().is_bind() {
                let _ = self.requests.send(pdu);
            }
            if answer.is_some_and(|answer| !peer.try_send(&answer)) {
                return;
            }
        }
    }

    fn answer(&self, request: &Pdu) -> Vec<u8> {
        let (command, number) = (request.command(), request.sequence_number());
        match command {
            CommandId::SUBMIT_SM | CommandId::SUBMIT_MULTI | CommandId::DATA_SM | CommandId::BROADCAST_SM => {
                let id = self.submits.fetch_add(1, Ordering::Relaxed);
                let id = format!("{}-{id}", self.name);
                let mut answer = pdu::response_with_id(command.response(), number, &id);
                if command == CommandId::SUBMIT_MULTI {
                    // no_unsuccess
                    answer.push(0);
                    let length = u32::try_from(answer.len()).expect("short");
                    answer[..4].copy_from_slice(&length.to_be_bytes());
                }
                answer
            }
            CommandId::QUERY_SM => {
                let query = QueryView::parse(request.octets()).expect("smppmux relays sound PDUs");
                pdu::query_sm_resp(number, &String::from_utf8_lossy(query.message_id()))
            }
            bind if bind.is_bind() => pdu::response_with_id(bind.response(), number, self.name),
            _ => pdu::header_only(command.response(), Status::ESME_ROK, number),
        }
    }
}
