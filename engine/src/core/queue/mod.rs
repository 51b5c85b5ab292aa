//! The queue: messages for clients (MO) that nobody can take now, kept in the store until somebody can.
//!
//! Messages stand in *lines*, one for each destination. A line has a home core, which alone puts messages into it and drains
//! it, in order: while it has any, a new message joins the back wherever it comes in (`marks`). The messages themselves
//! are the store's (`store_message`); a core knows which of its lines have some (`lines`), has loaded the first ones of those
//! that a client can take just now, and serves these in turn (`rings`).
//!
//! Invariants: a message is acknowledged only after the store has it; it leaves the store only when a client has taken it or
//! refused it for good, or when its time is over; what is loaded is bounded, however long the lines are. It must never hold up
//! a message for a line that has none.

pub(super) mod drain;
pub(super) mod enqueue;
pub(super) mod events;
mod guest_table;
mod guests;
mod key;
pub(super) mod lines;
mod marks;
pub(super) mod rings;
mod sending;
pub mod validity;

pub use key::{Destination, Line, QueueKey};
pub use marks::Bucket;

use super::contract::{ConnectionId, CoreIndex};
use super::sequence::Window;
use super::store_message::StoreCommand;
use super::time::Moment;
use guest_table::Guests;
use lines::Lines;
use marks::Marks;
use rings::Rings;
use std::collections::{HashMap, VecDeque};

/// Messages on their way into the store at most, and their octets; the next one is refused as by a full queue.
const APPENDS_MAX: u32 = 16_384;
const APPENDING_OCTETS_MAX: usize = 32 * 1024 * 1024;

/// A line of another core: which one, and the line's place there.
type LineAt = (CoreIndex, u32);

/// Messages of a line of another core, one behind the other, for a pool of ours.
#[derive(Clone, Copy, Debug)]
struct Run {
    number: u32,
    /// Which of its messages must be the next.
    next_step: u32,
    /// Who gets them all.
    to: ConnectionId,
    /// Among these is a segment whose message had been there before.
    is_pinned: bool,
}

/// The queue as one core sees it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) is_on: bool,
    pub(super) marks: Marks,
    pub(super) lines: Lines,
    /// Messages that wait for the store's word, with whom they came from.
    pub(super) appends: Window,
    appending_octets: usize,
    pub(super) rings: Rings,
    pub(super) guests: Guests,
    /// What the engine's timers are armed for.
    pub(super) armed_at: Moment,
    /// The next place to look at, while all lines are looked through for those that a pool serves now.
    scan: Option<u32>,
    listing: Listing,
    loads_under_way: u32,
    last_run: u32,
    /// Of lines that other cores drain into pools of ours.
    runs: HashMap<LineAt, Run>,
    pub(super) commands: VecDeque<StoreCommand>,
    /// Messages whose turn has shown that nobody can read them; empty between turns.
    refused: Vec<(u32, u32)>,
}

/// Whether the store is naming its lines to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Over,
    UnderWay,
    /// It shall start again: more lines have their home here now.
    StartAgain,
}

impl Queue {
    pub(super) fn new(is_on: bool) -> Self {
        let mut queue = Self {
            is_on,
            marks: Marks::default(),
            lines: Lines::default(),
            appends: Window::new(APPENDS_MAX, 1),
            appending_octets: 0,
            rings: Rings::default(),
            guests: Guests::default(),
            armed_at: Moment::NEVER,
            scan: None,
            listing: Listing::Over,
            loads_under_way: 0,
            last_run: 0,
            runs: HashMap::new(),
            commands: VecDeque::new(),
            refused: Vec::new(),
        };
        queue.list_lines();
        queue
    }

    /// Asks the store for all its lines: some have their home here that we do not know.
    pub(super) fn list_lines(&mut self) {
        if !self.is_on {
            return;
        }
        self.listing = match self.listing {
            Listing::Over => {
                self.commands.push_back(StoreCommand::ListLines { after: None });
                Listing::UnderWay
            }
            Listing::UnderWay | Listing::StartAgain => Listing::StartAgain,
        };
    }

    /// No message of any line is known to wait, here or elsewhere.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.lines.is_empty() && !self.marks.has_any()
    }

    /// No message waits for the store's word.
    pub(super) fn is_settled(&self) -> bool {
        self.appends.iter().all(|(_, pending)| pending.expired)
    }

    pub(super) fn check_invariants(&self) {
        self.appends.check_invariants();
        self.lines.check_invariants();
        self.guests.check_invariants();
        assert_eq!(self.marks.lines(), self.lines.len(), "marked lines");
        // Segments ask the home of their destination all the same.
        assert!(self.is_on || self.lines.is_empty(), "off, and has lines");
    }
}
