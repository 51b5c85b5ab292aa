//! Receipts that came before the answer of their submit: they wait at the home of their id.
//!
//! Owns what waits on this core, for its own server sessions and for other cores. Invariants: bounded in count, octets and
//! time; each ends in exactly one way: its entry comes, its time is over, its session goes, or a drain begins.

use super::route::ReceiptQuestion;
use super::table::ReceiptEntry;
use crate::core::contract::ConnectionId;
use crate::core::core_message::{CoreOutcome, HomeVerdict};
use crate::core::engine::PacketEngine;
use crate::core::sequence::Origin;
use crate::core::time::Moment;
use crate::core::timer::TimerKey;
use crate::core::wire::{Header, Status};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::time::Duration;

/// Receipts that wait on one core at most; the next one takes the fallback at once.
const HELD_RECEIPTS_MAX: usize = 1_024;
const HELD_OCTETS_MAX: usize = 1024 * 1024;
/// Expiry is looked at no more often than this.
const EXPIRY_STEP: Duration = Duration::from_millis(10);

/// The receipts that wait.
#[derive(Debug)]
pub(in crate::core) struct HeldReceipts {
    /// In the order of their arrival, which is not the order of their deadlines: vservers differ.
    waiting: VecDeque<HeldReceipt>,
    octets: usize,
    pub(in crate::core) armed_at: Moment,
}

#[derive(Debug)]
struct HeldReceipt {
    question: ReceiptQuestion,
    origin: Origin,
    pdu: BytesMut,
    until: Moment,
}

impl Default for HeldReceipts {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            octets: 0,
            armed_at: Moment::NEVER,
        }
    }
}

impl HeldReceipts {
    pub(in crate::core) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(in crate::core) fn check_invariants(&self) {
        let octets: usize = self.waiting.iter().map(|held| held.pdu.len()).sum();
        assert_eq!(self.octets, octets, "octets of held receipts");
        assert!(
            self.waiting.len() <= HELD_RECEIPTS_MAX,
            "held receipts are bounded"
        );
    }

    fn take_where(&mut self, wanted: impl Fn(&HeldReceipt) -> bool) -> Vec<HeldReceipt> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = self.waiting.drain(..).partition(wanted);
        self.waiting = kept;
        self.octets = self.waiting.iter().map(|held| held.pdu.len()).sum();
        taken.into()
    }
}

impl PacketEngine {
    /// Lets a receipt wait for its entry. `Err` gives the PDU back: there is no room, or no time to wait.
    pub(super) fn hold_receipt(
        &mut self,
        now: Moment,
        question: ReceiptQuestion,
        origin: Origin,
        pdu: BytesMut,
    ) -> Result<(), BytesMut> {
        let hold = self.settings.vservers[usize::from(question.vserver.0)]
            .receipts
            .hold;
        let held = &mut self.receipts.held;
        let has_room = held.waiting.len() < HELD_RECEIPTS_MAX && held.octets + pdu.len() <= HELD_OCTETS_MAX;
        if hold.is_zero() || !has_room || self.drain.is_some() {
            return Err(pdu);
        }
        held.octets += pdu.len();
        let until = now + hold;
        held.waiting.push_back(HeldReceipt {
            question,
            origin,
            pdu,
            until,
        });
        self.timers.arm(&mut held.armed_at, until, TimerKey::Receipts);
        Ok(())
    }

    /// An entry has come: receipts that wait for it go on.
    #[inline]
    pub(super) fn release_held_receipts(&mut self, now: Moment, entry: &ReceiptEntry) {
        if !self.receipts.held.waiting.is_empty() {
            self.release_held_for(now, entry);
        }
    }

    #[cold]
    fn release_held_for(&mut self, now: Moment, entry: &ReceiptEntry) {
        let key = Some(entry.key);
        for held in self
            .receipts
            .held
            .take_where(|held| held.question.query.keys.contains(&key))
        {
            let seconds = self.seconds(now);
            // Another reading of an id alone is not enough: the table decides.
            match self.receipts.table.find(seconds, &held.question.query) {
                None => {
                    self.receipts.held.octets += held.pdu.len();
                    self.receipts.held.waiting.push_back(held);
                }
                found => self.end_hold(now, held, found),
            }
        }
    }

    /// Receipts whose time is over take the rule for unknown ids.
    pub(in crate::core) fn expire_held_receipts(&mut self, now: Moment) {
        for held in self.receipts.held.take_where(|held| held.until <= now) {
            self.end_hold(now, held, None);
        }
        let next = self.receipts.held.waiting.iter().map(|held| held.until).min();
        if let Some(next) = next {
            let next = next.max(now + EXPIRY_STEP);
            self.timers
                .arm(&mut self.receipts.held.armed_at, next, TimerKey::Receipts);
        }
    }

    fn end_hold(&mut self, now: Moment, held: HeldReceipt, found: Option<super::FoundReceipt>) {
        match held.origin {
            Origin::Core { core, reference } => {
                let verdict = HomeVerdict::Receipt(found, held.question);
                self.send_core_answer(core, reference, CoreOutcome::Verdict(verdict, held.pdu));
            }
            _ => self.receipt_resolved(now, held.question, found, held.origin, held.pdu),
        }
    }

    /// A drain begins, or a session that sent them is about to end: nobody waits any more, the servers may try again.
    pub(in crate::core) fn give_up_held_receipts(&mut self, now: Moment, of: Option<ConnectionId>) {
        let is_of = |held: &HeldReceipt| match (of, held.origin) {
            (None, _) => true,
            (Some(id), Origin::Session { connection, .. }) => connection == id,
            (Some(_), _) => false,
        };
        for held in self.receipts.held.take_where(is_of) {
            let status = Status::ESME_RX_T_APPN;
            match (held.origin, Header::read(&held.pdu)) {
                (Origin::Core { core, reference }, _) => {
                    self.send_core_answer(core, reference, CoreOutcome::Failed(status));
                }
                (
                    Origin::Session {
                        connection,
                        sequence_number,
                    },
                    Some(header),
                ) => {
                    let header = Header {
                        sequence_number,
                        ..header
                    };
                    self.fail_for_session(now, connection, header, status);
                }
                _ => {}
            }
            self.buffers.give(held.pdu);
        }
    }
}
