//! The lanes on which records of messages go from the engines to the thread that writes the log.
//!
//! One lane for each core, of fixed room: a buffer that the core appends to at the end of a turn and that the writer swaps for
//! an empty one. Invariants: an engine never waits here (it tries the lock, which the writer holds for the time of a swap, and
//! keeps its records for the next turn where it does not get it); a full lane loses records and counts them. Why no channel:
//! `docs/decisions/0013-message-log.md`.

use super::clock::Clock;
use crate::core::contract::CoreIndex;
use crate::core::message_log::MessageRecords;
use crate::core::time::Moment;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::SystemTime;

/// How often an engine tries the lock: a swap is over long before.
const TRIES: usize = 64;

/// The lanes of all cores. Clones are handles of the same.
#[derive(Clone)]
pub struct MessageLogLanes(Arc<Shared>);

struct Shared {
    lanes: Vec<Lane>,
    /// The engines' clock, once they run.
    clock: OnceLock<Clock>,
}

#[derive(Default)]
struct Lane {
    waiting: Mutex<MessageRecords>,
    lost: AtomicU64,
}

/// One core's end of its lane.
#[derive(Clone, Debug)]
pub(crate) struct MessageLogLane {
    lanes: MessageLogLanes,
    core: usize,
}

impl MessageLogLanes {
    /// Lanes without room, for so many cores.
    pub fn new(cores: usize) -> Self {
        Self(Arc::new(Shared {
            lanes: (0..cores).map(|_| Lane::default()).collect(),
            clock: OnceLock::new(),
        }))
    }

    /// All that have one.
    pub fn cores(&self) -> impl Iterator<Item = CoreIndex> + use<> {
        (0..self.0.lanes.len()).filter_map(|core| u16::try_from(core).ok().map(CoreIndex))
    }

    /// Takes what a core has handed over, and leaves it an empty buffer: the next records find its room.
    pub fn take(&self, core: CoreIndex, empty: MessageRecords) -> MessageRecords {
        match self.0.lanes.get(core.as_usize()) {
            Some(lane) => {
                let mut waiting = lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *waiting, empty)
            }
            None => empty,
        }
    }

    /// Records of a core that found no room, since the start.
    pub fn lost(&self, core: CoreIndex) -> u64 {
        let lane = self.0.lanes.get(core.as_usize());
        lane.map_or(0, |lane| lane.lost.load(Ordering::Relaxed))
    }

    /// The engines' moment and the time of day, now: what one is in the other. A step of the clock of the day concerns what is
    /// asked behind it.
    pub fn now(&self) -> (Moment, SystemTime) {
        let clock = self.0.clock.get().copied();
        (
            clock.map_or(Moment::START, |clock| clock.now()),
            SystemTime::now(),
        )
    }

    pub(super) fn set_clock(&self, clock: Clock) {
        // Engines are started once; a second start has clocks of its own and no log.
        let _ = self.0.clock.set(clock);
    }

    pub(super) fn lane(&self, core: CoreIndex) -> MessageLogLane {
        MessageLogLane {
            lanes: self.clone(),
            core: core.as_usize(),
        }
    }
}

impl MessageLogLane {
    /// Hands a turn's records over. What stays in `records` is for the next call.
    pub(crate) fn hand_over(&self, records: &mut MessageRecords) {
        let Some(lane) = self.lanes.0.lanes.get(self.core) else {
            return records.clear();
        };
        for _ in 0..TRIES {
            match lane.waiting.try_lock() {
                Ok(mut waiting) => return waiting.take_over(records, &lane.lost),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return poisoned.into_inner().take_over(records, &lane.lost);
                }
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
    }
}

impl MessageRecords {
    fn take_over(&mut self, records: &mut Self, lost: &AtomicU64) {
        let before = self.lost();
        self.append(records);
        let more = self.lost() - before;
        if more > 0 {
            lost.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for MessageLogLanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MessageLogLanes({})", self.0.lanes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message_log::{MessageRecord, RecordKind, RecordOctets, Requester};
    use crate::core::wire::CommandId;
    use std::thread;

    /// Goal: a writer and an engine at the same time: every record arrives once and in order, or is counted as lost, and the
    /// engine is never held up.
    #[test]
    fn every_record_arrives_or_is_counted() {
        const RECORDS: u32 = 200_000;
        let lanes = MessageLogLanes::new(1);
        let core = CoreIndex(0);
        drop(lanes.take(core, MessageRecords::with_room(64 * 1024)));
        let lane = lanes.lane(core);
        let engine = thread::spawn(move || {
            let mut turn = MessageRecords::with_room(16 * 1024);
            for number in 0..RECORDS {
                let requester = Requester::Queue { place: 0, number };
                let record =
                    MessageRecord::new(Moment::START, RecordKind::Submit, CommandId::SUBMIT_SM, requester);
                turn.push(
                    record,
                    RecordOctets {
                        first: b"pdu",
                        ..RecordOctets::default()
                    },
                );
                if number % 7 == 0 {
                    lane.hand_over(&mut turn);
                }
            }
            while !turn.is_empty() {
                lane.hand_over(&mut turn);
            }
        });
        let (mut seen, mut last) = (0_u64, None);
        let mut spare = MessageRecords::with_room(64 * 1024);
        loop {
            let is_over = engine.is_finished();
            spare = lanes.take(core, spare);
            spare.for_each(|record, octets| {
                let Requester::Queue { number, .. } = record.requester else {
                    panic!("another requester");
                };
                assert!(last < Some(number));
                assert_eq!(octets.first, b"pdu");
                (last, seen) = (Some(number), seen + 1);
            });
            spare.clear();
            if is_over {
                break;
            }
        }
        engine.join().unwrap();
        assert_eq!(seen + lanes.lost(core), u64::from(RECORDS));
    }
}
