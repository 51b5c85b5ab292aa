//! What the store says, and what time brings: loads, lines, pauses that are over, a look through all lines.

use super::super::engine::PacketEngine;
use super::super::range::PoolKey;
use super::super::store_message::{StoreCommand, StoreEvent, StoredMessage};
use super::super::time::Moment;
use super::super::timer::TimerKey;
use super::rings::{RingKey, Wake};
use super::{Bucket, Listing, QueueKey};
use std::sync::Arc;
use std::time::Duration;

/// Lines that one step of a look through all of them takes, and the pause between two steps.
const SCAN_LINES: u32 = 1_024;
const SCAN_PAUSE: Duration = Duration::from_millis(1);

impl PacketEngine {
    pub(in crate::core) fn store_event(&mut self, now: Moment, event: StoreEvent) {
        match event {
            StoreEvent::Stored { reference, key, pdu } => self.message_stored(now, reference, &key, pdu),
            StoreEvent::Refused {
                reference,
                key,
                pdu,
                reason,
            } => self.message_refused(now, reference, &key, pdu, reason),
            StoreEvent::Loaded {
                key,
                messages,
                is_end,
            } => self.messages_loaded(now, &key, messages, is_end),
            StoreEvent::Lines { keys, has_more } => self.lines_listed(now, &keys, has_more),
            StoreEvent::MoreLines { keys } => self.learn_lines(now, &keys),
            StoreEvent::Expired { key, pdu } => {
                self.log_expired(now, key.as_ref(), &pdu);
                self.buffers.give(pdu);
            }
        }
        self.arm_queue();
    }

    fn messages_loaded(&mut self, now: Moment, key: &QueueKey, messages: Vec<StoredMessage>, is_end: bool) {
        self.queue.loads_under_way = self.queue.loads_under_way.saturating_sub(1);
        let Some(place) = self.queue.lines.find(key, self.settings.key_hash(key)) else {
            return;
        };
        if let Some(line) = self.queue.lines.get_mut(place) {
            line.is_loading = false;
            line.has_more = !is_end;
        }
        self.queue.lines.load(place, now, messages);
        self.file_line(now, place);
    }

    fn lines_listed(&mut self, now: Moment, keys: &[QueueKey], has_more: bool) {
        self.learn_lines(now, keys);
        match (self.queue.listing, keys.last()) {
            (Listing::StartAgain, _) => {
                self.queue.listing = Listing::Over;
                self.queue.list_lines();
            }
            (_, Some(last)) if has_more => {
                let after = Some(*last);
                self.queue.commands.push_back(StoreCommand::ListLines { after });
            }
            _ => self.queue.listing = Listing::Over,
        }
    }

    /// Lines that have messages: those whose home is here are ours to drain.
    fn learn_lines(&mut self, now: Moment, keys: &[QueueKey]) {
        for key in keys {
            let key_hash = self.settings.key_hash(key);
            if self.home_of(Bucket::of(key_hash).key_hash()) != self.core {
                continue;
            }
            let place = self.open_line(*key, key_hash);
            if let Some(line) = self.queue.lines.get_mut(place) {
                line.has_more = true;
            }
            self.file_line(now, place);
        }
    }

    /// Another core has become the home of lines, or stopped being one.
    pub(in crate::core) fn homes_have_changed(&mut self) {
        self.queue.list_lines();
    }

    /// What serves which line has changed: each line is looked at, a few at a time.
    #[inline]
    pub(in crate::core) fn pools_have_changed(&mut self, now: Moment) {
        if !self.queue.lines.is_empty() {
            self.queue.scan = Some(0);
            self.timers
                .arm(&mut self.queue.armed_at, now + SCAN_PAUSE, TimerKey::Queue);
        }
    }

    /// Another core's members of a pool may have room.
    pub(in crate::core) fn remote_pool_updated(
        &mut self,
        now: Moment,
        key: &Arc<PoolKey>,
        pools_before: usize,
    ) {
        if self.pools.len() != pools_before {
            self.pools_have_changed(now);
        } else if !self.queue.rings.is_empty()
            && let Some((handle, _)) = self.pools.handle(key)
        {
            self.serve_ring(now, RingKey(handle.index));
            self.arm_queue();
        }
    }

    pub(in crate::core) fn queue_timer(&mut self, now: Moment) {
        self.expire_guests(now);
        while let Some(wake) = self.queue.rings.pop_due(now) {
            match wake {
                Wake::Line(place, stamp) => {
                    if let Some(line) = self.queue.lines.get_mut(place)
                        && line.is_current(stamp)
                    {
                        line.stand(super::lines::Standing::Idle);
                        self.file_line(now, place);
                    }
                }
                Wake::Ring(key) => {
                    if let Some(ring) = self.queue.rings.get_mut(key) {
                        ring.is_to_wake = false;
                    }
                    self.serve_ring(now, key);
                    self.queue.rings.close_if_empty(key);
                }
            }
        }
        self.scan_step(now);
        let appends_due = self.expire_appends(now);
        if appends_due < Moment::NEVER {
            self.timers
                .arm(&mut self.queue.armed_at, appends_due, TimerKey::Queue);
        }
        self.arm_queue();
    }

    fn scan_step(&mut self, now: Moment) {
        let Some(from) = self.queue.scan else { return };
        let places = self.queue.lines.places();
        let to = from.saturating_add(SCAN_LINES).min(places);
        for place in from..to {
            self.refile_line(now, place);
        }
        self.queue.scan = (to < places).then_some(to);
        if self.queue.scan.is_some() {
            self.timers
                .arm(&mut self.queue.armed_at, now + SCAN_PAUSE, TimerKey::Queue);
        }
    }

    /// Arms the engine's timers for the first wake.
    pub(super) fn arm_queue(&mut self) {
        if let Some((at, _)) = self.queue.rings.wakes.first() {
            self.timers.arm(&mut self.queue.armed_at, *at, TimerKey::Queue);
        }
    }
}
