//! A record of the message log, and a bounded buffer of them.
//!
//! A record is a value of fixed size; what is of no fixed size (the PDU, ids, a name) lies in one run of octets beside the
//! records. Invariants: a buffer never grows beyond the room that it was made with; what finds none is counted. Must never
//! look into a PDU: whoever writes the log does.

use super::super::contract::{ConnectionId, CoreIndex};
use super::super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::super::time::Moment;
use super::super::wire::{CommandId, Status};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A client has sent a message.
    Submit,
    /// A server has sent one, or one leaves the queue.
    MobileOriginated,
    /// The same, a delivery receipt or intermediate notification.
    Receipt,
    /// What became of one of these.
    Answer,
}

/// Who waits for the answer to a request, and by what number. With the core it is what joins a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A session of this core, with its own sequence number.
    Session {
        /// Which.
        connection: ConnectionId,
        /// Any 32-bit value.
        sequence_number: u32,
    },
    /// The queue of this core.
    Queue {
        /// The line.
        place: u32,
        /// The message in it.
        number: u32,
    },
    /// It is not known on this core.
    Unknown,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet: the record is not an answer's.
    Open,
    /// The far side's answer was passed on.
    Passed,
    /// smppmux has made the answer itself.
    Own,
    /// The message stands in the queue, and smppmux has acknowledged it.
    Queued,
    /// The far side's word, or its loss; the requester gets none of it, since the request is tried again.
    TriedAgain,
    /// The far side's answer came after its time; the requester had been answered before.
    Late,
    /// The requester is no longer there.
    RequesterGone,
    /// Of a message that leaves the queue because its time is over: nobody gets it, and no answer follows.
    Expired,
}

/// Why smppmux made an answer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It did not, or the status says all.
    None,
    /// The PDU broke a rule of SMPP, or of the session's state.
    Malformed,
    /// A routing rule rejected it.
    Rule,
    /// Every server's window, and the hold, was full.
    NoRoom,
    /// No server was up.
    NoServer,
    /// A limit of the client: its window, its rate; or a drain.
    Limit,
    /// The far side did not answer in time.
    Timeout,
    /// The far session was lost.
    SessionLost,
    /// The far side answered generic_nack.
    Nack,
}

/// The session on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarSession {
    /// Whose it is.
    pub core: CoreIndex,
    /// Which one.
    pub connection: ConnectionId,
    /// The number that the request has there.
    pub sequence_number: u32,
}

/// The part of a record that has a fixed size.
#[derive(Clone, Copy, Debug)]
pub struct MessageRecord {
    /// When it happened.
    pub at: Moment,
    /// What it is about.
    pub kind: RecordKind,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The request's or the answer's.
    pub command: CommandId,
    /// ESME_ROK in a request.
    pub status: Status,
    /// Whose it is.
    pub requester: Requester,
    /// Where it went.
    pub far: Option<FarSession>,
    /// The server on either side.
    pub server: Option<ServerIndex>,
    /// The account on either side, where it is a configured one.
    pub account: Option<ClientIndex>,
    /// Where the client is bound.
    pub vserver: Option<VserverIndex>,
    /// When the request came in; [`Moment::NEVER`]: not known.
    pub arrived_at: Moment,
    /// When it was put into the far session's output; [`Moment::NEVER`]: not known.
    pub sent_at: Moment,
    /// How often it was sent again.
    pub resends: u8,
    /// It leaves the queue.
    pub is_from_queue: bool,
}

impl MessageRecord {
    /// A record that says nothing but this.
    pub const fn new(at: Moment, kind: RecordKind, command: CommandId, requester: Requester) -> Self {
        Self {
            at,
            kind,
            outcome: Outcome::Open,
            reason: Reason::None,
            command,
            status: Status::ESME_ROK,
            requester,
            far: None,
            server: None,
            account: None,
            vserver: None,
            arrived_at: Moment::NEVER,
            sent_at: Moment::NEVER,
            resends: 0,
            is_from_queue: false,
        }
    }
}

/// The octets that go with a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordOctets<'a> {
    /// The account's system_id; empty where the account's index has to do.
    pub system_id: &'a [u8],
    /// The whole PDU of a request; an answer's message_id as the server wrote it.
    pub first: &'a [u8],
    /// The message_id as the client sees it.
    pub second: &'a [u8],
}

/// A record, and how many of the octets are its own: of the system_id, the first and the second part.
#[derive(Clone, Copy, Debug)]
struct Kept {
    record: MessageRecord,
    lengths: (u16, u32, u32),
}

/// Records on their way to the log.
#[derive(Debug, Default)]
pub struct MessageRecords {
    records: Vec<Kept>,
    octets: Vec<u8>,
    memory_octets: usize,
    records_max: usize,
    octets_max: usize,
    lost: u64,
}

/// Octets beside a record on an average: a PDU of that size and an answer that has only ids take turns.
const OCTETS_BESIDE: usize = size_of::<Kept>();

impl MessageRecords {
    /// Room for so many octets of memory, all of which is taken now.
    pub fn with_room(memory_octets: usize) -> Self {
        let records_max = memory_octets / (size_of::<Kept>() + OCTETS_BESIDE);
        let octets_max = records_max * OCTETS_BESIDE;
        Self {
            records: Vec::with_capacity(records_max),
            octets: Vec::with_capacity(octets_max),
            memory_octets,
            records_max,
            octets_max,
            lost: 0,
        }
    }

    /// What it was made with.
    pub const fn memory_octets(&self) -> usize {
        self.memory_octets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// There are none, and none were lost.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.lost == 0
    }

    /// Forgets all, but not its room.
    pub fn clear(&mut self) {
        self.records.clear();
        self.octets.clear();
        self.lost = 0;
    }

    /// How many found no room.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Puts a record behind the others, or counts it as lost.
    pub fn push(&mut self, record: MessageRecord, octets: RecordOctets<'_>) {
        let RecordOctets {
            system_id,
            first,
            second,
        } = octets;
        let more = system_id.len() + first.len() + second.len();
        let lengths = (
            u16::try_from(system_id.len()),
            u32::try_from(first.len()),
            u32::try_from(second.len()),
        );
        let (Ok(of_system_id), Ok(of_first), Ok(of_second)) = lengths else {
            self.lost += 1;
            return;
        };
        if self.records.len() >= self.records_max || self.octets.len() + more > self.octets_max {
            self.lost += 1;
            return;
        }
        self.records.push(Kept {
            record,
            lengths: (of_system_id, of_first, of_second),
        });
        for part in [system_id, first, second] {
            self.octets.extend_from_slice(part);
        }
    }

    /// Takes all records of `other` that there is room for, and counts the rest, and what it had lost. It is empty then.
    pub fn append(&mut self, other: &mut Self) {
        self.lost += other.lost;
        let fits = self.records.len() + other.records.len() <= self.records_max
            && self.octets.len() + other.octets.len() <= self.octets_max;
        if fits {
            self.records.extend_from_slice(&other.records);
            self.octets.extend_from_slice(&other.octets);
        } else {
            other.for_each(|record, octets| self.push(*record, octets));
        }
        other.clear();
    }

    /// Shows every record in order.
    pub fn for_each(&self, mut show: impl FnMut(&MessageRecord, RecordOctets<'_>)) {
        let mut rest = &self.octets[..];
        for Kept { record, lengths } in &self.records {
            let mut take = |octets: usize| {
                let (taken, left) = rest.split_at(octets.min(rest.len()));
                rest = left;
                taken
            };
            let octets = RecordOctets {
                system_id: take(lengths.0.into()),
                first: take(lengths.1 as usize),
                second: take(lengths.2 as usize),
            };
            show(record, octets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(number: u32) -> MessageRecord {
        let requester = Requester::Queue { place: 0, number };
        MessageRecord::new(Moment::START, RecordKind::Submit, CommandId::SUBMIT_SM, requester)
    }

    proptest! {
        /// Goal: what comes out is what was put in, whole and in order, and every record is either there or counted; the
        /// memory does not grow. Method: records of any size go through two buffers of different room.
        #[test]
        fn nothing_is_lost_uncounted(
            sizes in proptest::collection::vec((0_usize..40, 0_usize..600, 0_usize..70), 0..200),
            turns in proptest::collection::vec(1_usize..20, 1..50), room in 0_usize..40_000,
        ) {
            let (mut turn, mut all) = (MessageRecords::with_room(4_096), MessageRecords::with_room(room));
            let memory = |records: &MessageRecords| (records.records.capacity(), records.octets.capacity());
            let before = (memory(&turn), memory(&all));
            let filler = vec![7_u8; 600];
            let (mut ends, mut left) = (turns.iter().cycle(), 0);
            for (number, (system_id, first, second)) in (0..).zip(&sizes) {
                let octets = RecordOctets {
                    system_id: &filler[..*system_id], first: &filler[..*first], second: &filler[..*second],
                };
                turn.push(record(number), octets);
                if left == 0 {
                    all.append(&mut turn);
                    prop_assert!(turn.is_empty());
                    left = *ends.next().unwrap();
                }
                left -= 1;
            }
            all.append(&mut turn);
            prop_assert_eq!(before, (memory(&turn), memory(&all)));
            prop_assert_eq!(all.len() as u64 + all.lost(), sizes.len() as u64);
            let mut last = None;
            all.for_each(|record, octets| {
                let Requester::Queue { number, .. } = record.requester else { panic!("another requester") };
                assert!(last < Some(number));
                last = Some(number);
                let (system_id, first, second) = sizes[number as usize];
                let lengths = (octets.system_id.len(), octets.first.len(), octets.second.len());
                assert_eq!(lengths, (system_id, first, second));
            });
        }
    }
}
