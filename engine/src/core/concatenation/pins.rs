//! All pins of a core: found by what their segments have in common, dropped when their message is over or too old.
//!
//! Owns the references: `by_reference` has exactly one pin for each that is in use between two addresses. Bounded: when all
//! places are taken the oldest pin goes. Allocates by growing only. Messages are known by keyed 64-bit hashes; two that share
//! one are taken for one message, which with 65,536 of them happens once in four billion tables.

use super::notes::{Note, NoteIndex, Notes};
use super::pin::{Mark, ORIGINS_KEPT, Pin, PinId};
use super::segment::{Owner, Segment};
use super::segment_set::SegmentSet;
use crate::core::random::Random;
use crate::core::settings::Settings;
use crate::core::time::Moment;
use crate::core::wire::ConcatenationKind;
use ahash::RandomState;
use std::collections::HashMap;
use std::time::Duration;

/// Messages under way on one core at most.
pub(super) const PINS_MAX: usize = 65_536;
/// Messages of one owner with the same addresses, reference and total that are told apart at most; then the oldest goes.
const ALIKE_MAX: usize = 16;
/// Fresh references that are tried before a segment has to wait.
const REFERENCES_TRIED_MAX: u16 = 256;
/// How much earlier than now a segment counts as arrived, so that there is time between it and what comes in the same turn.
const ARRIVAL_LEAD: Duration = Duration::from_millis(1);
const NONE: u32 = u32::MAX;

enum Found {
    Pin(PinId),
    /// A new one is needed, and this one is one too many then.
    None {
        surplus: Option<u32>,
    },
}

/// Figures of a core's pins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PinFigures {
    pub(super) references_changed: u64,
    pub(super) expired: u64,
    pub(super) evicted: u64,
}

#[derive(Debug)]
pub(in crate::core) struct Pins {
    places: Vec<Place>,
    free: Vec<u32>,
    by_message: HashMap<u64, u32, RandomState>,
    by_reference: HashMap<(u64, u16), u32, RandomState>,
    /// What is known of each segment that came.
    segments: HashMap<(u32, u8), Known, RandomState>,
    /// Oldest first; one for each vserver, and the last for [`Owner::Home`].
    ages: Vec<Ages>,
    pub(super) notes: Notes,
    pub(super) figures: PinFigures,
    /// What the engine's timers are armed for.
    pub(in crate::core) armed_at: Moment,
    pins_max: usize,
    last_arrival: Moment,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    pin: Option<Pin>,
    /// The next older pin of the same message hash.
    alike: u32,
    older: u32,
    newer: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Hash of the user data.
    content: u32,
    /// Its place in the order in which its message's segments came.
    turn: u32,
    /// Where it found no room: so long the later ones stay behind it. Its sender may have given it up by then.
    waited_for_until: Moment,
}

#[derive(Debug)]
struct Ages {
    oldest: u32,
    newest: u32,
    timeout: Duration,
}

impl Pins {
    pub(in crate::core) fn new(settings: &Settings, seed: u64) -> Self {
        let longest = settings
            .vservers
            .iter()
            .map(|vserver| vserver.concat_timeout)
            .max();
        let timeouts = settings.vservers.iter().map(|vserver| vserver.concat_timeout);
        Self::with_timeouts(timeouts.chain(longest), seed, PINS_MAX)
    }

    /// The last of `timeouts` is for [`Owner::Home`].
    pub(super) fn with_timeouts(
        timeouts: impl Iterator<Item = Duration>,
        seed: u64,
        pins_max: usize,
    ) -> Self {
        let hasher = RandomState::with_seeds(seed, 0x7069_6E00, 0x7365_676D, 0x656E_7400);
        let ages = timeouts.map(|timeout| Ages {
            oldest: NONE,
            newest: NONE,
            timeout,
        });
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_message: HashMap::with_hasher(hasher.clone()),
            by_reference: HashMap::with_hasher(hasher.clone()),
            segments: HashMap::with_hasher(hasher),
            ages: ages.collect(),
            notes: Notes::default(),
            figures: PinFigures::default(),
            armed_at: Moment::NEVER,
            pins_max,
            last_arrival: Moment::START,
        }
    }

    /// When a segment that arrives now is said to have arrived: behind all earlier ones, and before what its session holds back
    /// from now on. If it comes back from its home it finds its place among those by this.
    pub(in crate::core) fn arrival(&mut self, now: Moment) -> Moment {
        let earliest = self.last_arrival + Duration::from_nanos(1);
        self.last_arrival = earliest.max(now - ARRIVAL_LEAD).min(now);
        self.last_arrival
    }

    pub(in crate::core) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn get(&self, id: PinId) -> Option<&Pin> {
        let place = self.places.get(id.index as usize)?;
        place.pin.as_ref().filter(|_| place.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: PinId) -> Option<&mut Pin> {
        let place = self.places.get_mut(id.index as usize)?;
        place.pin.as_mut().filter(|_| place.generation == id.generation)
    }

    /// The pin of a segment's message; made when there is none. `origin` is a hash of the session it came from, which tells
    /// messages apart that look alike (0: not known): a number that came before with another text starts a new message.
    pub(super) fn enter(&mut self, now: Moment, owner: Owner, segment: &Segment, origin: u32) -> PinId {
        let id = match self.find(segment, origin) {
            Found::Pin(id) => id,
            Found::None { surplus } => {
                if let Some(surplus) = surplus {
                    self.figures.evicted += 1;
                    self.remove(surplus);
                }
                self.make(now, owner, segment)
            }
        };
        let sequence = segment.place.sequence;
        let mut turn = 0;
        if let Some(pin) = self.get_mut(id) {
            pin.seen.insert(sequence);
            pin.turns += 1;
            turn = pin.turns;
            if origin != 0 && !pin.origins.contains(&origin) {
                pin.origins.rotate_right(1);
                pin.origins[0] = origin;
            }
        }
        let known = Known {
            content: segment.content,
            turn,
            waited_for_until: Moment::START,
        };
        // What comes again keeps its turn.
        self.segments.entry((id.index, sequence)).or_insert(known);
        id
    }

    /// The same for a segment that comes from the queue, marked as its message leaves: that names its message, while it is known.
    pub(super) fn enter_queued(&mut self, now: Moment, owner: Owner, segment: &Segment) -> PinId {
        let place = &segment.place;
        let holder = self
            .by_reference
            .get(&(segment.addresses, place.reference))
            .copied();
        let Some((index, pin)) = holder.and_then(|index| Some((index, self.pin_at(index)?))) else {
            return self.enter(now, owner, segment, 0);
        };
        let is_alike = pin.came.kind == place.kind && pin.total == place.total;
        let known = self.segments.get(&(index, place.sequence));
        if is_alike && known.is_some_and(|known| known.content == segment.content) {
            self.id_of(index)
        } else {
            self.enter(now, owner, segment, 0)
        }
    }

    /// How the segments of a message leave that shall leave as `kind`: as they came if nobody else uses that reference
    /// between these addresses, else under a fresh one. `None`: all that were tried are in use. What another core has chosen for a
    /// message stays where it fits; where it does not, the fresh one is not used by any other message that passes here.
    pub(super) fn mark(&mut self, id: PinId, kind: ConcatenationKind, random: &mut Random) -> Option<Mark> {
        let pin = self.get(id)?;
        let (addresses, came, is_home) = (pin.addresses, pin.came, pin.owner == Owner::Home);
        let current = pin.leaves.map(|mark| mark.reference);
        let wished = current.unwrap_or(came.reference);
        let reference = if fits(kind, wished) && (is_home || self.is_free(addresses, wished, id.index)) {
            wished
        } else {
            self.figures.references_changed += 1;
            // Where another kind of mark has no room it leaves with that which it came with, so the reference fits both.
            let narrower = if came.kind == ConcatenationKind::Udh8 {
                came.kind
            } else {
                kind
            };
            self.fresh_reference(addresses, narrower, random)?
        };
        if let Some(current) = current.filter(|current| *current != reference) {
            self.give_reference_back(addresses, current, id.index);
        }
        self.by_reference
            .entry((addresses, reference))
            .or_insert(id.index);
        let mark = Mark { kind, reference };
        self.get_mut(id)?.leaves = Some(mark);
        Some(mark)
    }

    /// A segment is about to be sent. `None`: no note is free, and nobody will hear how it went.
    pub(super) fn note(&mut self, id: PinId, sequence: u8) -> Option<NoteIndex> {
        let index = self.notes.add(Note { pin: id, sequence });
        if let Some(pin) = self.get_mut(id) {
            pin.waiting.remove(sequence);
            match index {
                Some(_) => pin.in_flight += 1,
                None => pin.has_reached = true,
            }
        }
        index
    }

    /// A segment found no room: those that came after it stay behind it, for so long.
    pub(super) fn refused(&mut self, id: PinId, sequence: u8, until: Moment) {
        if let Some(known) = self.segments.get_mut(&(id.index, sequence)) {
            known.waited_for_until = until;
        }
        if let Some(pin) = self.get_mut(id) {
            pin.waiting.insert(sequence);
        }
    }

    /// Whether a segment may go now, as far as order matters.
    pub(super) fn may_go(&self, id: PinId, sequence: u8, now: Moment) -> bool {
        let Some(pin) = self.get(id) else {
            return false;
        };
        if pin.waiting.is_empty() {
            return true;
        }
        let turn = self.turn(id, sequence);
        let holds_back = |waiting: u8| {
            let known = self.segments.get(&(id.index, waiting));
            known.is_some_and(|known| known.turn < turn && now < known.waited_for_until)
        };
        !pin.waiting.iter().any(holds_back)
    }

    fn turn(&self, id: PinId, sequence: u8) -> u32 {
        self.segments
            .get(&(id.index, sequence))
            .map_or(u32::MAX, |known| known.turn)
    }

    /// The entry of a segment has left its window. `is_ok`: it was answered ESME_ROK in time; with the last such answer the pin
    /// ends. (After a late one its sender may send the segment again, and that belongs with the others.)
    pub(super) fn settled(&mut self, index: NoteIndex, is_ok: bool) {
        let Some(note) = self.notes.take(index) else {
            return;
        };
        let Some(pin) = self.get_mut(note.pin) else { return };
        pin.in_flight = pin.in_flight.saturating_sub(1);
        pin.has_reached = true;
        if is_ok {
            pin.answered.insert(note.sequence);
            if pin.is_over() {
                self.remove(note.pin.index);
            }
        }
    }

    /// A segment was not sent after all, or nobody got it.
    pub(super) fn unsent(&mut self, index: NoteIndex) {
        if let Some(note) = self.notes.take(index)
            && let Some(pin) = self.get_mut(note.pin)
        {
            pin.in_flight = pin.in_flight.saturating_sub(1);
        }
    }

    /// Drops the pins whose time is over.
    pub(super) fn expire(&mut self, now: Moment) {
        for list in 0..self.ages.len() {
            while self
                .pin_at(self.ages[list].oldest)
                .is_some_and(|pin| pin.deadline <= now)
            {
                self.figures.expired += 1;
                self.remove(self.ages[list].oldest);
            }
        }
    }

    /// When the next pin's time is over.
    pub(super) fn next_deadline(&self) -> Moment {
        let oldest = self.ages.iter().filter_map(|ages| self.pin_at(ages.oldest));
        oldest.map(|pin| pin.deadline).min().unwrap_or(Moment::NEVER)
    }

    fn pin_at(&self, index: u32) -> Option<&Pin> {
        self.places.get(index as usize)?.pin.as_ref()
    }

    /// Among messages that look alike: the one that has had this very segment; else one that lacks it, best one that this
    /// session has had a part in, then the newest.
    fn find(&self, segment: &Segment, origin: u32) -> Found {
        let (mut best, mut lacking): (Option<u32>, Option<u32>) = (None, None);
        let mut index = self.by_message.get(&segment.message).copied().unwrap_or(NONE);
        let (mut oldest, mut count) = (None, 0);
        while let Some((place, pin)) = self
            .places
            .get(index as usize)
            .and_then(|place| Some((place, place.pin.as_ref()?)))
        {
            (oldest, count) = (Some(index), count + 1);
            if pin.seen.contains(segment.place.sequence) {
                let known = self.segments.get(&(index, segment.place.sequence));
                if known.is_some_and(|known| known.content == segment.content) {
                    return Found::Pin(self.id_of(index));
                }
            } else {
                lacking = lacking.or(Some(index));
                if pin.origins.contains(&origin) {
                    best = best.or(Some(index));
                }
            }
            index = place.alike;
        }
        match best.or(lacking) {
            Some(index) => Found::Pin(self.id_of(index)),
            None => Found::None {
                surplus: oldest.filter(|_| count >= ALIKE_MAX),
            },
        }
    }

    fn id_of(&self, index: u32) -> PinId {
        PinId {
            index,
            generation: self.places[index as usize].generation,
        }
    }

    fn make(&mut self, now: Moment, owner: Owner, segment: &Segment) -> PinId {
        if self.len() >= self.pins_max {
            self.evict();
        }
        let list = self.list_of(owner);
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                pin: None,
                alike: NONE,
                older: NONE,
                newer: NONE,
            });
            // Bounded by `pins_max`.
            u32::try_from(self.places.len() - 1).unwrap_or(NONE)
        });
        let alike = self.by_message.insert(segment.message, index).unwrap_or(NONE);
        let older = std::mem::replace(&mut self.ages[list].newest, index);
        match self.places.get_mut(older as usize) {
            Some(place) => place.newer = index,
            None => self.ages[list].oldest = index,
        }
        let deadline = now + self.ages[list].timeout;
        let place = &mut self.places[index as usize];
        (place.alike, place.older, place.newer) = (alike, older, NONE);
        place.pin = Some(Pin {
            owner,
            addresses: segment.addresses,
            message: segment.message,
            came: Mark {
                kind: segment.place.kind,
                reference: segment.place.reference,
            },
            leaves: None,
            total: segment.place.total,
            far: None,
            seen: SegmentSet::default(),
            answered: SegmentSet::default(),
            has_reached: false,
            in_flight: 0,
            is_vouched_for: false,
            turns: 0,
            waiting: SegmentSet::default(),
            deadline,
            origins: [0; ORIGINS_KEPT],
        });
        PinId {
            index,
            generation: place.generation,
        }
    }

    /// Makes room: the oldest pin of those that have the least time left.
    fn evict(&mut self) {
        let oldest = self.ages.iter().map(|ages| ages.oldest);
        let first = oldest
            .filter_map(|index| Some((self.pin_at(index)?.deadline, index)))
            .min();
        if let Some((_, index)) = first {
            self.figures.evicted += 1;
            self.remove(index);
        }
    }

    fn remove(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        let Some(pin) = place.pin.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        let (alike, older, newer) = (place.alike, place.older, place.newer);
        self.free.push(index);
        let list = self.list_of(pin.owner);
        match self.places.get_mut(older as usize) {
            Some(place) => place.newer = newer,
            None => self.ages[list].oldest = newer,
        }
        match self.places.get_mut(newer as usize) {
            Some(place) => place.older = older,
            None => self.ages[list].newest = older,
        }
        self.unlink_alike(pin.message, index, alike);
        if let Some(mark) = pin.leaves {
            self.give_reference_back(pin.addresses, mark.reference, index);
        }
        for sequence in pin.seen.iter() {
            self.segments.remove(&(index, sequence));
        }
    }

    fn unlink_alike(&mut self, message: u64, index: u32, next: u32) {
        let Some(first) = self.by_message.get_mut(&message) else {
            return;
        };
        if *first == index {
            if next == NONE {
                self.by_message.remove(&message);
            } else {
                *first = next;
            }
            return;
        }
        let mut at = *first;
        while let Some(place) = self.places.get_mut(at as usize) {
            if place.alike == index {
                place.alike = next;
                return;
            }
            at = place.alike;
        }
    }

    fn list_of(&self, owner: Owner) -> usize {
        let last = self.ages.len().saturating_sub(1);
        match owner {
            Owner::Account(vserver, _) | Owner::Server(vserver, _) | Owner::Identity(vserver, _) => {
                usize::from(vserver.0).min(last)
            }
            Owner::Home => last,
        }
    }

    fn is_free(&self, addresses: u64, reference: u16, index: u32) -> bool {
        let holder = self.by_reference.get(&(addresses, reference));
        holder.is_none_or(|holder| *holder == index)
    }

    /// What its home has chosen for a message may be held by another one here, so nothing is to be given back for it.
    fn give_reference_back(&mut self, addresses: u64, reference: u16, index: u32) {
        if self.by_reference.get(&(addresses, reference)) == Some(&index) {
            self.by_reference.remove(&(addresses, reference));
        }
    }

    fn fresh_reference(&self, addresses: u64, kind: ConcatenationKind, random: &mut Random) -> Option<u16> {
        // The upper bits are the better ones.
        let start = (random.next() >> 48) as u16;
        (0..REFERENCES_TRIED_MAX)
            .map(|step| match kind {
                ConcatenationKind::Udh8 => start.wrapping_add(step) & u16::from(u8::MAX),
                ConcatenationKind::Udh16 | ConcatenationKind::Sar => start.wrapping_add(step),
            })
            .find(|reference| !self.by_reference.contains_key(&(addresses, *reference)))
    }

    /// Panics where the books contradict each other. `notes` is how many entries of windows have one.
    pub(in crate::core) fn check_invariants(&self, notes: usize) {
        assert_eq!(self.notes.len(), notes, "every note has its entry in a window");
        assert!(self.len() <= self.pins_max, "pins within their bound");
        let mut references = 0;
        let mut numbers = 0;
        for (index, pin) in (0_u32..)
            .zip(&self.places)
            .filter_map(|(index, place)| Some((index, place.pin.as_ref()?)))
        {
            numbers += pin.seen.len() as usize;
            assert!(!pin.is_over(), "a message that is over has no pin");
            if let Some(mark) = pin.leaves {
                let holder = self.by_reference.get(&(pin.addresses, mark.reference));
                let is_holder = holder == Some(&index);
                references += usize::from(is_holder);
                assert!(
                    is_holder || pin.owner == Owner::Home,
                    "one message has a reference"
                );
            }
        }
        assert_eq!(self.by_reference.len(), references, "every reference has its pin");
        assert_eq!(self.segments.len(), numbers, "segments are those of live pins");
        let mut aged = 0;
        for ages in &self.ages {
            let mut index = ages.oldest;
            while let Some(place) = self.places.get(index as usize) {
                aged += 1;
                index = place.newer;
            }
        }
        assert_eq!(aged, self.len(), "every pin ages");
    }
}

const fn fits(kind: ConcatenationKind, reference: u16) -> bool {
    reference <= u8::MAX as u16 || kind.reference_octets() > 1
}
