//! State that belongs to a key and not to a session: which core is its home, and how that core is asked.
//!
//! The home is a function of the key's hash and of which cores are there, so every core finds the same one. A question is a
//! request between cores like any other: it takes a credit, has an entry in the window towards the home that says who
//! waits for the answer, and ends in exactly one answer. The PDU that waits travels along and comes back with the verdict, so
//! nothing is parked here. Where the home is the own core nothing is sent. Entries that need no answer take `entry_lanes`.
//! It must never wait for another core, and costs a PDU that has no question nothing.

use super::client_requests::NoWay;
use super::concatenation::Owner;
use super::concatenation::Submitted;
use super::contract::CoreIndex;
use super::core_message::{
    CoreMessage, CoreOutcome, CoreRequest, CoreTarget, HomeQuestion, HomeVerdict, MapEntries,
    MapEntriesTaken, MapEntry,
};
use super::engine::PacketEngine;
use super::entry_lanes::KeyedEntry;
use super::sequence::{Journey, Mark, Origin, Pending, Via};
use super::time::Moment;
use super::wire::{Status, patch_sequence_number};
use bytes::BytesMut;

/// Where a key's home lies among `cores`: the first that is one, from the place that the hash names on, and round.
#[inline]
pub(super) fn home_among(
    key_hash: u64,
    cores: u16,
    is_home: impl Fn(CoreIndex) -> bool,
) -> Option<CoreIndex> {
    // The high half of the product: every core gets an equal share of the hashes, without a division.
    let first = ((u128::from(key_hash) * u128::from(cores)) >> 64) as u16;
    (first..cores)
        .chain(0..first)
        .map(CoreIndex)
        .find(|core| is_home(*core))
}

impl PacketEngine {
    /// The core that keeps what belongs to a key with this hash ([`Settings::key_hash`](super::settings::Settings::key_hash)):
    /// the next one in a fixed order where that core is gone or leaving. The own core when nobody else is left.
    #[inline]
    pub(super) fn home_of(&self, key_hash: u64) -> CoreIndex {
        let is_home = |core: CoreIndex| {
            if core == self.core {
                self.drain.is_none()
            } else {
                self.links[core.as_usize()].may_be_home()
            }
        };
        home_among(key_hash, self.cores, is_home).unwrap_or(self.core)
    }

    /// Asks another core, the home of a key, about `pdu`. `pending` says who waits for the answer; its `via` is set here.
    /// `false`: no credit is left, nothing happened, and the caller falls back as it does for a full window.
    ///
    /// Else exactly one of these follows: [`Self::verdict_came`], [`Self::question_refused`] (the mailbox or the home had no
    /// room), a new question to the next home (this one is leaving), or the failure of the request (time-out, core gone).
    pub(super) fn ask_home(
        &mut self,
        now: Moment,
        home: CoreIndex,
        question: HomeQuestion,
        pending: Pending,
        pdu: &[u8],
    ) -> bool {
        let pending = Pending {
            via: Via::Home,
            // What it says of another window.
            has_note: false,
            ..pending
        };
        self.send_core_request(now, home, pending, |reference, buffers| {
            let copy = buffers.copy_of(pdu);
            CoreRequest {
                reference,
                target: CoreTarget::Home(question),
                pdu: copy,
                leave_out: 0..0,
                receipt: None,
                message: None,
            }
        })
    }

    /// Another core asks; exactly one answer leaves, now or later.
    pub(super) fn question_asked(
        &mut self,
        now: Moment,
        from: CoreIndex,
        reference: u32,
        question: HomeQuestion,
        pdu: BytesMut,
    ) {
        if self.drain.is_some() {
            // What is kept here is about to go, so nothing new may be hung on it.
            return self.send_core_answer(from, reference, CoreOutcome::Leaving(question, pdu));
        }
        self.answer_question(now, from, reference, question, pdu);
    }

    /// The core that was asked is leaving: from now on its keys have another home, which is asked instead.
    pub(super) fn home_is_leaving(
        &mut self,
        now: Moment,
        left: CoreIndex,
        pending: &Pending,
        question: HomeQuestion,
        pdu: BytesMut,
    ) {
        self.links[left.as_usize()].is_leaving = true;
        // Its lines may have their home here now: what it has sent of them before must not come behind what we send.
        self.give_back_guests_of(left);
        self.ask_again(now, pending, question, pdu);
    }

    /// Takes an entry to its home, which may be here. `false`: its lane is full, and it is lost, which is counted.
    pub(super) fn put_entry(&mut self, now: Moment, key_hash: u64, entry: MapEntry) -> bool {
        let home = self.home_of(key_hash);
        if home == self.core {
            self.apply_entry(now, key_hash, entry);
            return true;
        }
        let is_kept = self.entries.put(home, KeyedEntry { key_hash, entry });
        self.counters.entries_lost += u64::from(!is_kept);
        is_kept
    }

    /// The next batch of entries for another core.
    pub(super) fn next_entries(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        let (core, entries, is_word) = self.entries.next_batch()?;
        Some((core, CoreMessage::Entries(MapEntries { entries, is_word })))
    }

    /// Entries of another core have arrived at their home.
    pub(super) fn entries_came(&mut self, now: Moment, from: CoreIndex, batch: MapEntries) {
        let mut entries = batch.entries;
        for keyed in entries.drain(..) {
            self.apply_entry(now, keyed.key_hash, keyed.entry);
        }
        let taken = MapEntriesTaken { emptied: entries };
        self.outbox
            .core_messages
            .push_back((from, CoreMessage::EntriesTaken(taken)));
        if batch.is_word {
            self.word_came(now, from);
        }
    }

    /// What had not left for a core that is gone goes to the new homes.
    pub(super) fn put_entries_again(&mut self, now: Moment, gone: CoreIndex) {
        for keyed in self.entries.forget_core(gone) {
            self.put_entry(now, keyed.key_hash, keyed.entry);
        }
    }
}

/// What each kind of question and entry means. One arm for each; the work is done in the module that owns the state.
impl PacketEngine {
    /// Answers a question of another core with [`CoreOutcome::Verdict`], or forwards its PDU with the other core as origin.
    fn answer_question(
        &mut self,
        now: Moment,
        from: CoreIndex,
        reference: u32,
        question: HomeQuestion,
        pdu: BytesMut,
    ) {
        let origin = Origin::Core {
            core: from,
            reference,
        };
        match question {
            HomeQuestion::Receipt(question) => self.receipt_asked_here(now, question, origin, pdu),
            HomeQuestion::Owner(question) => self.owner_asked(now, from, reference, question, pdu),
            HomeQuestion::Queue(wish) => self.queue_for_core(now, from, reference, wish, pdu),
            HomeQuestion::Submit {
                vserver,
                client,
                sender,
                receipt,
                route,
            } => {
                let submitted = Submitted {
                    owner: Owner::Account(vserver, client),
                    sender,
                    origin,
                    journey: Journey::starting(now).marked(Mark::new(0, route)),
                    receipt,
                };
                self.segment_to_submit(now, &submitted, pdu);
            }
        }
    }

    /// The home's verdict about a PDU that we sent there; the PDU has come back.
    pub(super) fn verdict_came(
        &mut self,
        now: Moment,
        from: CoreIndex,
        pending: &Pending,
        verdict: HomeVerdict,
        pdu: BytesMut,
    ) {
        match verdict {
            HomeVerdict::Receipt(found, question) => {
                self.receipt_resolved(now, question, found, pending.origin, pdu);
            }
            HomeVerdict::Owner(may_use) => self.owner_told(now, pending, may_use, pdu),
            HomeVerdict::Queued => self.queued_elsewhere(now, pending, pdu),
            HomeVerdict::NoRoom => self.segment_waits_here(now, from, pending, NoWay::NoRoom, pdu),
            HomeVerdict::NoServer => self.segment_waits_here(now, from, pending, NoWay::NoServer, pdu),
        }
    }

    /// The home has changed: asks the new one, or answers here where that is this core.
    fn ask_again(&mut self, now: Moment, pending: &Pending, question: HomeQuestion, pdu: BytesMut) {
        let home = match question {
            HomeQuestion::Receipt(question) => question.home,
            HomeQuestion::Owner(question) => question.home,
            HomeQuestion::Queue(wish) => {
                self.homes_have_changed();
                return self.queue_again(now, pending, wish, pdu);
            }
            HomeQuestion::Submit { .. } => return self.segment_anew(now, pending, pdu),
        };
        let home = self.home_of(home);
        if home != self.core {
            if self.ask_home(now, home, question, *pending, &pdu) {
                self.buffers.give(pdu);
            } else {
                self.question_refused(now, home, pending, question, pdu);
            }
            return;
        }
        match question {
            HomeQuestion::Receipt(question) => self.receipt_asked_here(now, question, pending.origin, pdu),
            HomeQuestion::Owner(question) => self.owner_asked_here(now, pending, question, pdu),
            HomeQuestion::Queue(_) | HomeQuestion::Submit { .. } => {}
        }
    }

    /// A client's segment whose home has changed goes the whole way again.
    fn segment_anew(&mut self, now: Moment, pending: &Pending, mut pdu: BytesMut) {
        if let Origin::Session {
            connection,
            sequence_number,
        } = pending.origin
        {
            patch_sequence_number(&mut pdu, sequence_number);
            self.retry_or_hold(now, connection, &pdu, pending.journey());
        }
        self.buffers.give(pdu);
    }

    /// The home's mailbox had no room for a question: what the asker does instead.
    pub(super) fn question_refused(
        &mut self,
        now: Moment,
        home: CoreIndex,
        pending: &Pending,
        question: HomeQuestion,
        pdu: BytesMut,
    ) {
        let status = match question {
            HomeQuestion::Submit { .. } => {
                return self.segment_waits_here(now, home, pending, NoWay::NoRoom, pdu);
            }
            // The server may send its receipt or message again.
            HomeQuestion::Receipt(_) | HomeQuestion::Queue(_) => Status::ESME_RX_T_APPN,
            HomeQuestion::Owner(_) => Status::ESME_RTHROTTLED,
        };
        self.fail_request(now, pending, status);
        self.buffers.give(pdu);
    }

    /// An entry has come to its home.
    fn apply_entry(&mut self, now: Moment, key_hash: u64, entry: MapEntry) {
        match entry {
            MapEntry::Receipt {
                made_at_seconds,
                entry,
            } => self.keep_receipt(now, key_hash, made_at_seconds, &entry),
            MapEntry::Mapped {
                made_at_seconds,
                entry,
            } => self.keep_mapped(made_at_seconds, &entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: the home is one of those that may be, the same for all who ask, and only the keys of a core that left
        /// move: each to the next core in order. Method: any hash, any set of cores.
        #[test]
        fn only_the_keys_of_a_core_that_left_move(
            key_hash: u64, alive in proptest::collection::vec(any::<bool>(), 1..64), left in any::<proptest::sample::Index>(),
        ) {
            let cores = alive.len() as u16;
            let home = |alive: &[bool]| home_among(key_hash, cores, |core| alive[core.as_usize()]);
            let before = home(&alive);
            prop_assert_eq!(before.is_some(), alive.contains(&true));
            let Some(before) = before else { return Ok(()) };
            prop_assert!(alive[before.as_usize()]);
            let mut fewer = alive.clone();
            let left = left.index(alive.len());
            fewer[left] = false;
            match home(&fewer) {
                Some(after) if before.as_usize() == left => {
                    let next = (1..alive.len()).map(|step| (left + step) % alive.len()).find(|core| alive[*core]);
                    prop_assert_eq!(Some(after.as_usize()), next);
                }
                Some(after) => prop_assert_eq!(after, before),
                None => prop_assert_eq!(before.as_usize(), left),
            }
        }
    }

    /// Goal: every core is the home of an equal share of the hashes.
    #[test]
    fn shares_are_equal() {
        for cores in [1_u16, 2, 3, 5, 64] {
            let mut shares = vec![0_u32; usize::from(cores)];
            for step in 0..64_000_u64 {
                let key_hash = step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                shares[home_among(key_hash, cores, |_| true).unwrap().as_usize()] += 1;
            }
            let fair = 64_000 / u32::from(cores);
            assert!(
                shares.iter().all(|share| share.abs_diff(fair) <= fair / 20 + 1),
                "{cores}: {shares:?}"
            );
        }
    }
}
