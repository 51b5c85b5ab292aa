//! The way of traced PDUs from the control core to one reader.
//!
//! Invariant: what waits for a reader is bounded in octets and entries; what finds no room is counted, and the next entry says
//! how much that was. It never makes the control core wait.

use smppmux_engine::core::contract::{CoreIndex, TracedPdus};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Octets of PDUs that may wait for one reader.
const WAITING_OCTETS_MAX: usize = 4 << 20;

/// Entries that may.
const WAITING_MAX: usize = 4096;

/// PDUs as the control core hands them on.
#[derive(Debug)]
pub(crate) struct Traced {
    /// When it heard of them.
    pub(crate) at: SystemTime,
    /// From which engine.
    pub(crate) core: CoreIndex,
    /// The PDUs; every reader has the same.
    pub(crate) pdus: Arc<TracedPdus>,
    /// So many before these are missing because the reader was too slow.
    pub(crate) lost_before: u64,
    /// Gives the octets back to the lane when it goes.
    _room: OwnedSemaphorePermit,
}

/// The control core's end.
#[derive(Debug)]
pub(crate) struct LaneIn {
    entries: Sender<Traced>,
    room: Arc<Semaphore>,
    lost: u64,
}

/// A lane. Its reader hears of the end when the control core drops its end and nothing waits any more.
pub(crate) fn lane() -> (LaneIn, Receiver<Traced>) {
    let (entries, receiver) = channel(WAITING_MAX);
    let lane = LaneIn {
        entries,
        room: Arc::new(Semaphore::new(WAITING_OCTETS_MAX)),
        lost: 0,
    };
    (lane, receiver)
}

impl LaneIn {
    /// Puts PDUs in if there is room.
    pub(crate) fn put(&mut self, at: SystemTime, core: CoreIndex, pdus: &Arc<TracedPdus>) {
        let octets = u32::try_from(pdus.octets.len()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(octets) else {
            self.lost += 1;
            return;
        };
        let traced = Traced {
            at,
            core,
            pdus: Arc::clone(pdus),
            lost_before: self.lost,
            _room: room,
        };
        match self.entries.try_send(traced) {
            Ok(()) => self.lost = 0,
            Err(TrySendError::Full(_)) => self.lost += 1,
            // Whoever owns the lane finds out by `is_closed`.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.entries.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::contract::{ConnectionId, TraceSubject};
    use smppmux_engine::core::settings::ServerIndex;

    /// Goal: a reader that stalls keeps so many octets and no more, is told what is missing, and has room again for what it
    /// has taken.
    #[test]
    fn what_waits_is_bounded() {
        const OCTETS: usize = 64 * 1024;
        let (mut lane, mut reader) = lane();
        let pdus = Arc::new(TracedPdus {
            subject: TraceSubject::Server(ServerIndex(0)),
            connection: ConnectionId {
                index: 0,
                generation: 0,
            },
            is_received: true,
            octets: vec![0; OCTETS],
            lost_before: 0,
        });
        let fitting = WAITING_OCTETS_MAX / OCTETS;
        let mut put = || lane.put(SystemTime::UNIX_EPOCH, CoreIndex(0), &pdus);
        (0..fitting + 3).for_each(|_| put());
        assert_eq!(reader.len(), fitting);
        drop(reader.try_recv().expect("one waits"));
        (0..2).for_each(|_| put());
        let mut taken = std::iter::from_fn(|| reader.try_recv().ok());
        assert_eq!(taken.by_ref().last().map(|traced| traced.lost_before), Some(3));
        put();
        assert_eq!(reader.try_recv().map(|traced| traced.lost_before), Ok(1));
    }
}
