//! One connection between an engine and a peer: two byte streams, the kernel's buffers, and what each end knows.

use crate::calls::Call;
use crate::heard::{Answers, Suspicion};
use crate::limits::Unanswered;
use crate::moving::Kept;
use crate::pdu::Pdu;
use bytes::BytesMut;
use smppmux_engine::core::contract::ConnectionId;
use smppmux_engine::core::time::Moment;
use std::collections::{BTreeMap, VecDeque};

/// With a smaller kernel buffer octets may wait longer with the engine than a slot is kept.
const SWIFT_OCTETS: usize = 10_000;

/// Who is at the far end of an engine's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Esme(usize),
    Smsc(usize),
}

/// Where one end of a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Connecting,
    Open,
    Closed,
}

/// One direction of the stream.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) octets: VecDeque<u8>,
    /// The writer has closed its end.
    pub(crate) is_finished: bool,
    /// The reader knows.
    pub(crate) end_is_told: bool,
    /// A delivery is on its way.
    pub(crate) is_scheduled: bool,
}

/// Octets that the engine has handed out and the kernel has not all taken.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) octets: BytesMut,
    pub(crate) written: usize,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) engine: usize,
    pub(crate) connection: Option<ConnectionId>,
    /// It went to the core of its account.
    pub(crate) kept: Option<Kept>,
    pub(crate) peer: Peer,
    pub(crate) engine_end: End,
    pub(crate) peer_end: End,
    pub(crate) to_engine: Pipe,
    pub(crate) to_peer: Pipe,
    /// The kernel's send buffer.
    pub(crate) capacity: usize,
    /// That buffer was small once: octets may have waited with the engine for longer than a slot is kept.
    pub(crate) was_slow: bool,
    /// What the peer has written since the connection began.
    pub(crate) written_octets: u64,
    /// Where in that the answer to the engine's bind ends.
    pub(crate) bind_answer_end: u64,
    /// What the engine has consumed of it.
    pub(crate) consumed_octets: u64,
    /// Requests of an ESME that the engine has not consumed: where each ends in that, and its number.
    pub(crate) asked: VecDeque<(u64, usize)>,
    /// Answers of the peer that the engine has not consumed.
    pub(crate) answers: Answers,
    /// Requests that the engine has handed out.
    pub(crate) handed_out: Unanswered,
    /// What the shell has read and the engine not consumed.
    pub(crate) unread: Vec<u8>,
    pub(crate) reading_paused: bool,
    pub(crate) sending: Option<Sending>,
    pub(crate) writable_scheduled: bool,
    /// When the engine had no such connection any more, whatever the reason.
    pub(crate) ended_at: Option<Moment>,
    /// When the engine has lost it: what was not written then goes elsewhere.
    pub(crate) lost_at: Option<Moment>,
    /// What the engine writes from now on reaches nobody.
    pub(crate) is_broken: bool,
    /// When an operator's order told the engine to let it end: it sends nothing new there.
    pub(crate) let_go_at: Option<Moment>,
    pub(crate) session: PeerSession,
}

/// A request of an engine that waits for its peer's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(crate) command: u32,
    pub(crate) arrived_at: Moment,
    /// Which request or message it is, if it carries one.
    pub(crate) message: Option<usize>,
    /// When an engine had taken that in; later than that it left for this peer.
    pub(crate) taken_at: Option<Moment>,
    /// It came out of the queue.
    pub(crate) is_queued: bool,
}

/// What the peer knows of its session.
#[derive(Debug, Default)]
pub(crate) struct PeerSession {
    pub(crate) input: Vec<u8>,
    /// The kind of its bind, once that was accepted, and since when.
    pub(crate) bound: Option<(u32, Moment)>,
    pub(crate) bind_sequence: Option<u32>,
    /// When an engine had consumed its bind.
    pub(crate) bind_taken_at: Option<Moment>,
    /// Whether the first message came so soon behind the bind_resp that it may have been what made that leave.
    pub(crate) began_early: Option<bool>,
    /// With a password that must be refused.
    pub(crate) has_wrong_password: bool,
    /// The SMSC has opened it.
    pub(crate) call: Option<Call>,
    /// The identity of a forwarded session.
    pub(crate) system_id: Vec<u8>,
    /// The engine's requests that have no answer yet, by number.
    pub(crate) in_flight: BTreeMap<u32, InFlight>,
    /// Our own requests that wait for an answer: number, message.
    pub(crate) outstanding: BTreeMap<u32, usize>,
    pub(crate) unbind_sequence: Option<u32>,
    /// A segment came that only an engine which has ended the session before explains: when, and what is broken otherwise.
    pub(crate) stray_segment: Option<(Moment, String)>,
    /// An answer that only an unbind right behind it explains.
    pub(crate) suspicion: Option<Suspicion>,
    /// When the engine's unbind has come, and where in our octets its answer ends once that is written.
    pub(crate) was_unbound: Option<(Moment, u64)>,
    /// Our enquire_links that wait for an answer, and since when; a number may be there more than once.
    pub(crate) enquiries: Vec<(u32, Moment)>,
    /// We have said that we leave, by unbind, half-close or silence.
    pub(crate) is_leaving: bool,
    /// The connection was cut, so answers may be missing.
    pub(crate) is_excused: bool,
    /// It reads nothing until then.
    pub(crate) deaf_until: Moment,
    pub(crate) was_deaf: bool,
    /// We have written what is no PDU: the engine reads nothing behind it, and ends the session.
    pub(crate) has_lost_step: bool,
    /// The engine has said so.
    pub(crate) was_told: bool,
    pub(crate) began_at: Moment,
}

impl Link {
    pub(crate) fn new(engine: usize, peer: Peer, now: Moment, capacity: usize) -> Self {
        Self {
            engine,
            connection: None,
            kept: None,
            peer,
            engine_end: End::Connecting,
            peer_end: End::Connecting,
            to_engine: Pipe::default(),
            to_peer: Pipe::default(),
            capacity,
            was_slow: capacity < SWIFT_OCTETS,
            written_octets: 0,
            bind_answer_end: 0,
            consumed_octets: 0,
            asked: VecDeque::new(),
            answers: Answers::default(),
            handed_out: Unanswered::default(),
            unread: Vec::new(),
            reading_paused: false,
            sending: None,
            writable_scheduled: false,
            ended_at: None,
            lost_at: None,
            is_broken: false,
            let_go_at: None,
            session: PeerSession {
                began_at: now,
                ..PeerSession::default()
            },
        }
    }

    /// The peer may have been unbound without knowing: octets are on their way to it.
    pub(crate) fn has_octets_under_way(&self) -> bool {
        self.sending.is_some() || !self.to_peer.octets.is_empty()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.engine_end == End::Open && self.peer_end == End::Open
    }
}

impl PeerSession {
    /// A number for a request of ours: any 32-bit value that is not under way.
    pub(crate) fn free_sequence(&self, wished: u32) -> u32 {
        let mut sequence = wished;
        while self.outstanding.contains_key(&sequence) || self.unbind_sequence == Some(sequence) {
            sequence = sequence.wrapping_add(1);
        }
        sequence
    }

    pub(crate) fn next_pdu(&mut self) -> Option<Pdu> {
        Pdu::take_first(&mut self.input)
    }
}
