//! Sequence numbers and the window: which requests we have under way on one session, and whose they are.
//!
//! A request takes a number and with it a slot of a ring; the number's low bits are the slot's place, so an answer finds
//! its request by one index and one comparison, without hashing. Invariants: every used slot's number is 1…0x7FFFFFFF and
//! unique in the ring; the ring grows to a fixed limit and not beyond; a number is taken before any octet leaves.
//! It must never hand out a number that is still in flight, however long ago it was sent (PITFALLS 1, 6).

use super::concatenation::NoteIndex;
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::AccountAt;
pub(super) use super::journey::{Journey, Mark};
use super::queue::Bucket;
use super::receipts::GatherId;
use super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::time::Moment;
use super::wire::{CommandId, Version};

/// The highest sequence number that may be generated (SMPP v5.0 section 3.2.1.4).
pub(super) const SEQUENCE_NUMBER_MAX: u32 = 0x7FFF_FFFF;

/// Room beside the window for our own requests (enquire_link, unbind), which must get through a full window.
const OWN_REQUESTS_MAX: u32 = 4;
const FIRST_CAPACITY: usize = 4;

/// Whose request it is that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A session of this core sent it, with this number of its own.
    Session {
        /// Who gets the answer.
        connection: ConnectionId,
        /// The number that the answer must carry: any 32-bit value.
        sequence_number: u32,
    },
    /// Another core sent it.
    Core {
        /// Which core gets the answer.
        core: CoreIndex,
        /// Its entry.
        reference: u32,
    },
    /// It is one part of a request that went to several servers.
    Gathered(GatherId),
    /// It stands in the queue.
    Queue {
        /// Place of its line.
        place: u32,
        /// The low half of its number, which no other message of the line has at the same time.
        number: u32,
    },
    /// We sent it for ourselves.
    Own,
}

/// By what way a request left this core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// A session of this core.
    Session,
    /// Another core's session towards this server.
    Server(ServerIndex),
    /// Another core's members of a pool.
    Pool,
    /// It waits for the home core of a key (see `home`).
    Home,
    /// It waits for the home core of a line of the queue, which lies in this bucket.
    Queue(Bucket),
}

/// What few requests have beside their entry. It lies beside the slots, and takes memory only where it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing.
    #[default]
    None,
    /// A submit that asked for a receipt.
    Submit(SubmitNote),
    /// A message that only this account may get.
    Account(AccountAt),
}

impl Note {
    /// The account that alone may get the message.
    pub(super) const fn account(self) -> Option<AccountAt> {
        match self {
            Self::Account(account) => Some(account),
            Self::Submit(_) | Self::None => None,
        }
    }
}

/// Who waits for the receipt of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitNote {
    /// The account.
    pub(super) account: ClientIndex,
    /// Hash of the destination; 0 for several.
    pub(super) destination: u16,
    /// Where the client is bound, and how much it understands: what its ids look like.
    pub(super) vserver: VserverIndex,
    /// See `vserver`.
    pub(super) version: Version,
}

/// One request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Its number in the window; 0: the slot is free. It stands here so that a slot with both kinds of note fills one line.
    pub(super) number: u32,
    /// Whose it is.
    pub(super) origin: Origin,
    /// What it is.
    pub(super) command: CommandId,
    /// When it was put into the output buffer.
    pub(super) sent_at: Moment,
    /// When the requester's PDU arrived: a request that waits and is sent again keeps this.
    pub(super) arrived_at: Moment,
    /// Where its last octet stands in the session's output stream, counted from the connection's start.
    pub(super) stream_end: u64,
    /// Octets of the PDU.
    pub(super) octets: u32,
    /// The requester was answered already (timeout); the slot waits for a late answer.
    pub(super) expired: bool,
    /// How often it was sent again, and what the routing rules said of it.
    pub(super) mark: Mark,
    /// By what way it left.
    pub(super) via: Via,
    /// The window has a note on it.
    pub(super) has_note: bool,
    /// Which segment of which concatenated message it is; `None` for whole messages.
    pub(super) note: Option<NoteIndex>,
}

impl Pending {
    /// A request that arrives and is sent now.
    #[inline]
    pub(super) const fn new(origin: Origin, command: CommandId, now: Moment) -> Self {
        Self {
            number: 0,
            origin,
            command,
            sent_at: now,
            arrived_at: now,
            stream_end: 0,
            octets: 0,
            expired: false,
            mark: Mark::START,
            via: Via::Session,
            has_note: false,
            note: None,
        }
    }

    /// The server that it goes to by way of another core's session.
    #[inline]
    pub(super) const fn remote_server(&self) -> Option<ServerIndex> {
        match self.via {
            Via::Server(server) => Some(server),
            Via::Session | Via::Pool | Via::Home | Via::Queue(_) => None,
        }
    }

    /// A client's request that goes on with this journey.
    #[inline]
    pub(super) const fn on_journey(
        origin: Origin,
        command: CommandId,
        now: Moment,
        journey: Journey,
    ) -> Self {
        Self {
            arrived_at: journey.arrived_at,
            mark: journey.mark,
            ..Self::new(origin, command, now)
        }
    }

    /// What it has been through.
    pub(super) const fn journey(&self) -> Journey {
        Journey {
            arrived_at: self.arrived_at,
            mark: self.mark,
        }
    }

    /// It is a request of our own: enquire_link, unbind, bind.
    pub(super) fn is_own(&self) -> bool {
        self.origin == Origin::Own
    }
}

/// A slot that nothing is in.
const FREE: Pending = Pending::new(Origin::Own, CommandId(0), Moment::START);

/// The requests under way on one session.
#[derive(Debug)]
pub(super) struct Window {
    slots: Vec<Pending>,
    /// As long as `slots` from the first note on; empty until then.
    notes: Vec<Note>,
    /// The number to try next.
    next_number: u32,
    limit: u32,
    /// Before it was changed: so many may still be under way.
    highest_limit: u32,
    counted: u32,
    own: u32,
}

impl Window {
    /// A window for at most `limit` requests at once; numbers start at `first_number` (0 counts as 1).
    /// Takes no memory until the first request.
    pub(super) const fn new(limit: u32, first_number: u32) -> Self {
        let next_number = if first_number == 0 || first_number > SEQUENCE_NUMBER_MAX {
            1
        } else {
            first_number
        };
        Self {
            slots: Vec::new(),
            notes: Vec::new(),
            next_number,
            limit,
            highest_limit: 0,
            counted: 0,
            own: 0,
        }
    }

    /// Requests of others that hold a slot, late ones included.
    #[inline]
    pub(super) const fn outstanding(&self) -> u32 {
        self.counted
    }

    /// How many requests may be under way at once.
    #[inline]
    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// From now on so many may be under way. More than that may be now; no new one fits until they are fewer.
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.highest_limit = self.highest_limit.max(self.limit);
        self.limit = limit;
    }

    /// No request of others fits.
    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        self.counted >= self.limit
    }

    /// Nothing at all is under way.
    pub(super) const fn is_empty(&self) -> bool {
        self.counted == 0 && self.own == 0
    }

    /// Takes a number for a request. `None`: the window is full (our own requests have room of their own).
    #[inline(always)]
    pub(super) fn reserve(&mut self, pending: Pending) -> Option<u32> {
        let own = pending.origin == Origin::Own;
        if if own {
            self.own >= OWN_REQUESTS_MAX
        } else {
            self.is_full()
        } {
            return None;
        }
        // Half of the ring stays free, so that a free slot is near even beside requests that are stuck.
        if (self.counted + self.own) as usize * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        loop {
            let number = self.next_number;
            self.next_number = successor(number);
            let slot = &mut self.slots[number as usize & mask];
            if slot.number == 0 {
                *slot = Pending { number, ..pending };
                if own {
                    self.own += 1;
                } else {
                    self.counted += 1;
                }
                return Some(number);
            }
        }
    }

    /// The number that was reserved last.
    pub(super) const fn last_number(&self) -> u32 {
        predecessor(self.next_number)
    }

    /// Puts a note on the request that was reserved last.
    pub(super) fn note_last(&mut self, note: Note) {
        let number = predecessor(self.next_number);
        let Some(pending) = self.get_mut(number) else {
            return;
        };
        pending.has_note = true;
        if self.notes.is_empty() {
            self.notes = vec![Note::None; self.slots.len()];
        }
        let mask = self.slots.len() - 1;
        self.notes[number as usize & mask] = note;
    }

    /// The note on a request, also right after it was taken.
    pub(super) fn note_of(&self, number: u32, pending: &Pending) -> Note {
        match self.notes.len().checked_sub(1) {
            Some(mask) if pending.has_note => self.notes[number as usize & mask],
            _ => Note::None,
        }
    }

    /// A number for a PDU that gets no answer (alert_notification).
    pub(super) fn skip_number(&mut self) -> u32 {
        loop {
            let number = self.next_number;
            self.next_number = successor(number);
            if self.get_mut(number).is_none() {
                return number;
            }
        }
    }

    /// The request with this number, if it is under way.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Pending> {
        let mask = self.slots.len().checked_sub(1)?;
        let slot = &mut self.slots[number as usize & mask];
        (slot.number == number && number != 0).then_some(slot)
    }

    /// Takes the request with this number out of the window.
    pub(super) fn take(&mut self, number: u32) -> Option<Pending> {
        self.take_if(number, |_| true).copied()
    }

    /// Takes the request with this number out of the window if it is the one that is meant. What is left in its place can
    /// be read until the place is used again.
    #[inline(always)]
    pub(super) fn take_if(
        &mut self,
        number: u32,
        is_meant: impl FnOnce(&Pending) -> bool,
    ) -> Option<&Pending> {
        let mask = self.slots.len().checked_sub(1)?;
        let slot = &mut self.slots[number as usize & mask];
        if slot.number != number || number == 0 || !is_meant(slot) {
            return None;
        }
        slot.number = 0;
        if slot.origin == Origin::Own {
            self.own -= 1;
        } else {
            self.counted -= 1;
        }
        Some(slot)
    }

    /// A request of our own of this kind is under way.
    pub(super) fn has_own(&self, command: CommandId) -> bool {
        self.iter()
            .any(|(_, pending)| pending.is_own() && pending.command == command)
    }

    /// All requests under way, in no particular order, with their numbers. For timers and reports, not for messages.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Pending)> {
        self.slots
            .iter()
            .filter(|slot| slot.number != 0)
            .map(|slot| (slot.number, slot))
    }

    /// Requests of others that end behind this position of the stream and were not answered yet, late ones not included.
    pub(super) fn unanswered_behind(&self, position: u64) -> u32 {
        let unanswered = self
            .iter()
            .filter(|(_, pending)| !pending.expired && !pending.is_own() && pending.stream_end > position);
        u32::try_from(unanswered.count()).unwrap_or(u32::MAX)
    }

    /// The numbers of all requests for which `wanted` holds, oldest first.
    pub(super) fn numbers_where(&self, wanted: impl Fn(&Pending) -> bool) -> Vec<u32> {
        let mut found: Vec<_> = self
            .iter()
            .filter(|(_, pending)| wanted(pending))
            .map(|(number, pending)| (pending.sent_at, pending.stream_end, number))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, number)| number).collect()
    }

    /// Marks all requests for which `wanted` holds as answered, oldest first; their slots wait for late answers.
    pub(super) fn expire_where(&mut self, wanted: impl Fn(&Pending) -> bool) -> Vec<Pending> {
        let mut expired = Vec::new();
        for number in self.numbers_where(wanted) {
            if let Some(pending) = self.get_mut(number) {
                pending.expired = true;
                expired.push(*pending);
            }
        }
        expired
    }

    /// Gives the ring's memory back when nothing is under way.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.slots = Vec::new();
            self.notes = Vec::new();
        }
    }

    /// Panics where the books do not agree with the slots; for debug builds.
    pub(super) fn check_invariants(&self) {
        let own = self
            .iter()
            .filter(|(_, pending)| pending.origin == Origin::Own)
            .count();
        assert_eq!(self.own as usize, own, "own requests");
        assert_eq!(
            (self.counted + self.own) as usize,
            self.iter().count(),
            "requests"
        );
        assert!(
            self.iter().all(|(number, _)| number <= SEQUENCE_NUMBER_MAX),
            "numbers"
        );
        assert!(self.counted <= self.limit.max(self.highest_limit), "the limit");
    }

    #[cold]
    fn grow(&mut self) {
        let capacity = (self.slots.len() * 2).max(FIRST_CAPACITY);
        let old = std::mem::replace(&mut self.slots, vec![FREE; capacity]);
        // Numbers that differed in their low bits still do with one bit more, so each finds a place of its own.
        let has_notes = !self.notes.is_empty();
        let old_notes = std::mem::take(&mut self.notes);
        if has_notes {
            self.notes = vec![Note::None; capacity];
        }
        for (place, slot) in old.into_iter().enumerate().filter(|(_, slot)| slot.number != 0) {
            let new_place = slot.number as usize & (capacity - 1);
            self.slots[new_place] = slot;
            if has_notes {
                self.notes[new_place] = old_notes[place];
            }
        }
    }
}

const fn successor(number: u32) -> u32 {
    if number >= SEQUENCE_NUMBER_MAX {
        1
    } else {
        number + 1
    }
}

const fn predecessor(number: u32) -> u32 {
    if number <= 1 {
        SEQUENCE_NUMBER_MAX
    } else {
        number - 1
    }
}

/// A slot fills one cache line: the way of a plain message touches no more.
const _: () = assert!(size_of::<Pending>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn pending(tag: u32) -> Pending {
        let connection = ConnectionId {
            index: tag,
            generation: 0,
        };
        Pending {
            origin: Origin::Session {
                connection,
                sequence_number: tag,
            },
            ..FREE
        }
    }

    fn tag_of(pending: Pending) -> u32 {
        match pending.origin {
            Origin::Session { sequence_number, .. } => sequence_number,
            _ => panic!("not a session's"),
        }
    }

    /// Goal: numbers run 1…0x7FFFFFFF and then 1 again, never 0.
    #[test]
    fn numbers_wrap_to_one() {
        let mut window = Window::new(10, SEQUENCE_NUMBER_MAX - 1);
        let numbers: Vec<_> = (0..4).map(|tag| window.reserve(pending(tag)).unwrap()).collect();
        assert_eq!(numbers, [SEQUENCE_NUMBER_MAX - 1, SEQUENCE_NUMBER_MAX, 1, 2]);
    }

    /// Goal: a request that is stuck keeps its number through a whole lap of the number space's low bits.
    #[test]
    fn a_stuck_request_is_skipped() {
        let mut window = Window::new(4, 1);
        let stuck = window.reserve(pending(99)).unwrap();
        for tag in 0..10_000 {
            let number = window.reserve(pending(tag)).unwrap();
            assert_ne!(number, stuck);
            assert_eq!(window.take(number).map(tag_of), Some(tag));
        }
        assert_eq!(window.take(stuck).map(tag_of), Some(99));
        assert!(window.is_empty());
    }

    /// Goal: a full window refuses requests of others but still lets our own enquire_link through.
    #[test]
    fn own_requests_pass_a_full_window() {
        let mut window = Window::new(2, 1);
        assert!(window.reserve(pending(1)).is_some() && window.reserve(pending(2)).is_some());
        assert!(window.reserve(pending(3)).is_none());
        let own = window.reserve(FREE).unwrap();
        assert_eq!(window.outstanding(), 2);
        assert!(window.take(own).is_some());
        window.check_invariants();
    }

    /// Goal: a note stays with its request while the ring grows, and a place that is used again has none.
    #[test]
    fn notes_stay_with_their_requests() {
        let mut window = Window::new(1_000, SEQUENCE_NUMBER_MAX - 50);
        let note = |tag: u32| {
            if tag.is_multiple_of(3) {
                let account = ClientIndex(tag);
                Note::Account(AccountAt {
                    vserver: VserverIndex(0),
                    account,
                })
            } else {
                Note::None
            }
        };
        let reserve = |window: &mut Window, tag| {
            let number = window.reserve(pending(tag)).unwrap();
            if note(tag) != Note::None {
                window.note_last(note(tag));
            }
            number
        };
        let mut numbers: Vec<_> = (0..200).map(|tag| (reserve(&mut window, tag), tag)).collect();
        for round in 0..5 {
            for (number, tag) in std::mem::take(&mut numbers) {
                let taken = window.take(number).unwrap();
                assert_eq!(window.note_of(number, &taken), note(tag));
                let tag = tag + 1 + round;
                numbers.push((reserve(&mut window, tag), tag));
            }
        }
    }

    proptest! {
        /// Goal: the ring behaves like a map from number to request. Method: random takes and reserves against a HashMap,
        /// from a start just below the wrap.
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((any::<bool>(), any::<u32>()), 1..400)) {
            let mut window = Window::new(37, SEQUENCE_NUMBER_MAX - 20);
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (tag, (reserve, pick)) in (0_u32..).zip(steps) {
                if reserve {
                    match window.reserve(pending(tag)) {
                        Some(number) => prop_assert!(model.insert(number, tag).is_none(), "number in flight handed out"),
                        None => prop_assert_eq!(model.len(), 37),
                    }
                } else {
                    let number = model.keys().copied().min_by_key(|number| number ^ pick).unwrap_or(pick);
                    prop_assert_eq!(window.take(number).map(tag_of), model.remove(&number));
                    prop_assert!(window.take(number).is_none());
                }
                window.check_invariants();
                prop_assert_eq!(window.outstanding() as usize, model.len());
            }
        }
    }
}
