//! The store's thread as a model: what is ordered gathers while a commit is under way, the next commit makes it safe, alone or
//! all together, and only then is it told.
//!
//! It promises what `engine/src/store` promises, and no more. The orders of one core are carried out in their order. What is
//! refused is told before what the same commit has made safe, and that before what was asked. A commit may fail: nothing in it
//! is acknowledged, whatever the disk has of it, and until the file was opened again nothing is kept and nothing is answered.

use crate::event::{Event, Input};
use crate::store::message_in;
use crate::world::World;
use bytes::BytesMut;
use smppmux_engine::core::queue::QueueKey;
use smppmux_engine::core::store_message::{Fate, StoreCommand, StoreEvent, StoreRefusal};
use smppmux_engine::core::time::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::mem;

/// How long it takes until the file is open again after a commit that failed.
const REOPENS_MS: (usize, usize) = (100, 400);

/// What is not safe yet, and what is on its way to the cores.
#[derive(Debug, Default)]
pub(crate) struct Thread {
    /// Orders that it has not begun with, and whose they are.
    waiting: VecDeque<(usize, StoreCommand)>,
    batch: Batch,
    stage: Stage,
    /// The file is closed until then.
    opens_at: Moment,
    last_number: u64,
    /// Events on their way to each core, with the time of the last one's arrival.
    outgoing: BTreeMap<usize, (VecDeque<StoreEvent>, Moment)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Sleeping,
    /// It has been woken, or looks again when the file can be opened.
    Waking,
    Committing,
}

/// What one commit makes safe, and what is answered behind it.
#[derive(Debug, Default)]
struct Batch {
    puts: Vec<Put>,
    takes: Vec<(QueueKey, u64, Fate)>,
    questions: Vec<(usize, StoreCommand)>,
    /// What a commit that failed may have made safe all the same, until the file is open again.
    doubtful: Option<Changes>,
}

/// What goes in and out with one commit.
type Changes = (Vec<Put>, Vec<(QueueKey, u64, Fate)>);

#[derive(Clone, Debug)]
struct Put {
    core: usize,
    reference: u32,
    key: QueueKey,
    stored: u64,
    pdu: BytesMut,
    expires_at: Moment,
}

impl World {
    /// A core gives the store an order.
    pub(crate) fn store_ordered(&mut self, core: usize, command: StoreCommand) {
        match &command {
            StoreCommand::Append { key, pdu, .. } => self.check_append(key, pdu),
            StoreCommand::Remove { key, number, fate } => self.check_removal(key, *number, *fate),
            StoreCommand::Load { .. } | StoreCommand::ListLines { .. } => {}
        }
        let thread = &mut self.store.thread;
        thread.waiting.push_back((core, command));
        if thread.stage == Stage::Sleeping {
            self.store_wakes();
        }
    }

    fn store_wakes(&mut self) {
        self.store.thread.stage = Stage::Waking;
        let wait = self.random.microseconds(10, 200);
        self.after(wait, Event::StoreActs);
    }

    pub(crate) fn store_acts(&mut self) {
        match self.store.thread.stage {
            Stage::Sleeping => {}
            Stage::Waking => self.store_takes_orders(),
            Stage::Committing => self.store_has_committed(),
        }
    }

    /// Begins with what has gathered: all of it, or only the first ones.
    fn store_takes_orders(&mut self) {
        let waiting = self.store.thread.waiting.len();
        let orders = if waiting > 1 && self.random.chance(250) {
            self.random.between(1, waiting)
        } else {
            waiting
        };
        let orders: Vec<_> = self.store.thread.waiting.drain(..orders).collect();
        for (core, order) in orders {
            match order {
                StoreCommand::Append { reference, key, pdu } => self.store_append(core, reference, key, pdu),
                StoreCommand::Remove { key, number, fate } => {
                    self.store.thread.batch.takes.push((key, number, fate));
                }
                question => self.store.thread.batch.questions.push((core, question)),
            }
        }
        if self.store.thread.opens_at > self.now {
            return self.store_waits();
        }
        let batch = &self.store.thread.batch;
        if batch.puts.is_empty() && batch.takes.is_empty() {
            return self.store_answers();
        }
        self.store.thread.stage = Stage::Committing;
        let longest_us = 1_000 * (self.scenario.faults.store_delay_ms as usize).max(1);
        let time = self.random.microseconds(50, longest_us);
        self.after(time, Event::StoreActs);
    }

    /// Takes a message into the batch, or refuses it.
    fn store_append(&mut self, core: usize, reference: u32, key: QueueKey, pdu: BytesMut) {
        let thread = &self.store.thread;
        let reason = if thread.opens_at > self.now {
            Some(StoreRefusal::Failed)
        } else if self.store.messages() + thread.batch.puts.len() >= self.scenario.stored_max {
            Some(StoreRefusal::Full)
        } else {
            None
        };
        self.exercised.store_full_refusals += u64::from(matches!(reason, Some(StoreRefusal::Full)));
        if let Some(reason) = reason {
            return self.store_refuses(core, (reference, key, pdu), reason);
        }
        let expires_at = self.now + self.scenario.message_lifetime;
        let thread = &mut self.store.thread;
        thread.last_number += 1;
        let stored = thread.last_number;
        self.trace.line(self.now, || {
            format!("core {core} has message {} stored as {stored}", message_in(&pdu))
        });
        thread.batch.puts.push(Put {
            core,
            reference,
            key,
            stored,
            pdu,
            expires_at,
        });
    }

    fn store_refuses(
        &mut self,
        core: usize,
        (reference, key, pdu): (u32, QueueKey, BytesMut),
        reason: StoreRefusal,
    ) {
        let event = StoreEvent::Refused {
            reference,
            key,
            pdu,
            reason,
        };
        self.store_will_tell(core, event);
    }

    fn store_has_committed(&mut self) {
        if self.random.chance(self.scenario.faults.store_failure) {
            return self.store_breaks_down();
        }
        let batch = &mut self.store.thread.batch;
        batch.doubtful = None;
        let changes = (mem::take(&mut batch.puts), mem::take(&mut batch.takes));
        self.store_changes(&changes);
        for Put {
            core,
            reference,
            key,
            pdu,
            ..
        } in changes.0
        {
            self.store_will_tell(core, StoreEvent::Stored { reference, key, pdu });
        }
        self.store_answers();
    }

    fn store_changes(&mut self, (puts, takes): &Changes) {
        for put in puts {
            self.store_puts(put.key, put.stored, (put.pdu.clone(), put.expires_at));
        }
        for (key, number, fate) in takes {
            self.store_takes(key, *number, *fate);
        }
    }

    /// The process is killed: what is under way is safe as a whole, or lost, and all that waits is lost.
    pub(crate) fn store_is_killed(&mut self) {
        let thread = mem::take(&mut self.store.thread);
        let Batch {
            puts,
            takes,
            doubtful,
            ..
        } = thread.batch;
        let under_way = match thread.stage {
            Stage::Committing => Some((puts, takes)),
            Stage::Sleeping | Stage::Waking => doubtful,
        };
        let is_safe = self.random.chance(500);
        if let Some(changes) = under_way.filter(|_| is_safe) {
            self.store_changes(&changes);
        }
        self.store.thread = Thread {
            last_number: self.store.last_number(),
            ..Thread::default()
        };
    }

    /// Nothing of this batch may be acknowledged. What went out goes out again when the file is open, and so does what may
    /// have gone in.
    fn store_breaks_down(&mut self) {
        self.exercised.failed_commits += 1;
        let time = self.random.milliseconds(REOPENS_MS.0, REOPENS_MS.1);
        self.trace
            .line(self.now, || format!("the store has failed for {time:?}"));
        self.store.thread.opens_at = self.now + time;
        let batch = &mut self.store.thread.batch;
        let puts = mem::take(&mut batch.puts);
        batch.doubtful = Some((puts.clone(), batch.takes.clone()));
        for put in puts {
            self.store_refuses(put.core, (put.reference, put.key, put.pdu), StoreRefusal::Failed);
        }
        self.store_waits();
    }

    /// Until it can be opened, there is nothing to do but to refuse what comes in.
    fn store_waits(&mut self) {
        let thread = &mut self.store.thread;
        thread.stage = Stage::Waking;
        let until_open = thread.opens_at.since(self.now);
        let wait = self.random.milliseconds(1, 20);
        self.after(wait.min(until_open), Event::StoreActs);
    }

    /// All that was to be made safe is: what has had its time goes, and what was asked is answered.
    fn store_answers(&mut self) {
        self.store_expires();
        for (core, question) in mem::take(&mut self.store.thread.batch.questions) {
            let event = match question {
                StoreCommand::Load {
                    key,
                    after,
                    messages_max,
                    ..
                } => self.store_load(key, after, messages_max),
                StoreCommand::ListLines { after } => self.store_list(after),
                StoreCommand::Append { .. } | StoreCommand::Remove { .. } => continue,
            };
            self.store_will_tell(core, event);
        }
        if self.store.thread.waiting.is_empty() {
            self.store.thread.stage = Stage::Sleeping;
        } else {
            self.store_wakes();
        }
    }

    pub(crate) fn store_will_tell(&mut self, core: usize, event: StoreEvent) {
        let delay = self.random.microseconds(10, 300);
        let (events, last) = self.store.thread.outgoing.entry(core).or_default();
        let at = (self.now + delay).max(*last);
        *last = at;
        events.push_back(event);
        self.events.at(at, Event::Engine(core, Input::Store));
    }

    /// The next event of the store has reached a core.
    pub(crate) fn store_tells(&mut self, core: usize) {
        let events = self.store.thread.outgoing.get_mut(&core);
        let Some(event) = events.and_then(|(events, _)| events.pop_front()) else {
            return;
        };
        self.trace
            .line(self.now, || format!("store → core {core}: {event:?}"));
        match &event {
            StoreEvent::Expired { pdu, .. } => self.hosts[core].expect_expired(pdu),
            StoreEvent::Stored { pdu, .. } => self.ledger.messages[message_in(pdu)].is_safe = true,
            _ => {}
        }
        self.hosts[core].engine.handle_store(self.now, event);
    }
}
