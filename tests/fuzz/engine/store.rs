//! The store of the queue, as small as the engines' contract allows: orders of one core in their order, events in the order of
//! the orders, and a message that leaves only once.

use bytes::BytesMut;
use smppmux_engine::core::queue::QueueKey;
use smppmux_engine::core::store_message::{StoreCommand, StoreEvent, StoreRefusal, StoredMessage};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Messages at most: sometimes it is full.
const COUNT_MAX: usize = 8;
/// Longer than any run.
const LIFETIME: Duration = Duration::from_secs(100_000);

#[derive(Default)]
pub(super) struct Store {
    lines: Vec<(QueueKey, BTreeMap<u64, BytesMut>)>,
    last_number: u64,
    /// On their way to the core that gave the order.
    events: VecDeque<(usize, StoreEvent)>,
}

impl Store {
    /// Carries out an order of a core; what it tells of it waits for [`Self::next_event`].
    pub(super) fn order(&mut self, core: usize, command: StoreCommand) {
        let event = match command {
            StoreCommand::Append { reference, key, pdu } => self.append(reference, key, pdu),
            StoreCommand::Load {
                key,
                after,
                messages_max,
                ..
            } => self.load(key, after, messages_max),
            StoreCommand::Remove { key, number, .. } => {
                self.line(&key).remove(&number);
                return;
            }
            StoreCommand::ListLines { after } => self.list(after),
        };
        self.events.push_back((core, event));
    }

    pub(super) fn next_event(&mut self) -> Option<(usize, StoreEvent)> {
        self.events.pop_front()
    }

    /// News for a core: every line that has messages, its own or not.
    pub(super) fn news(&mut self, core: usize) {
        let waiting = self.lines.iter().filter(|(_, line)| !line.is_empty());
        let keys = waiting.map(|(key, _)| *key).collect();
        self.events.push_back((core, StoreEvent::MoreLines { keys }));
    }

    fn line(&mut self, key: &QueueKey) -> &mut BTreeMap<u64, BytesMut> {
        let place = self.lines.iter().position(|(other, _)| other == key);
        let place = place.unwrap_or_else(|| {
            self.lines.push((*key, BTreeMap::new()));
            self.lines.len() - 1
        });
        &mut self.lines[place].1
    }

    fn append(&mut self, reference: u32, key: QueueKey, pdu: BytesMut) -> StoreEvent {
        let waiting: usize = self.lines.iter().map(|(_, line)| line.len()).sum();
        if waiting >= COUNT_MAX {
            // Every other time it is not full but broken.
            let reason = [StoreRefusal::Full, StoreRefusal::Failed][reference as usize % 2];
            return StoreEvent::Refused {
                reference,
                key,
                pdu,
                reason,
            };
        }
        self.last_number += 1;
        let number = self.last_number;
        self.line(&key).insert(number, pdu.clone());
        StoreEvent::Stored { reference, key, pdu }
    }

    fn load(&mut self, key: QueueKey, after: u64, messages_max: usize) -> StoreEvent {
        let line = self.line(&key);
        let behind = line.range(after + 1..);
        let is_end = behind.clone().count() <= messages_max;
        let messages = behind.take(messages_max).map(|(number, pdu)| StoredMessage {
            number: *number,
            pdu: pdu.clone(),
            expires_in: LIFETIME,
        });
        StoreEvent::Loaded {
            key,
            messages: messages.collect(),
            is_end,
        }
    }

    fn list(&self, after: Option<QueueKey>) -> StoreEvent {
        let known = after.and_then(|after| self.lines.iter().position(|(key, _)| *key == after));
        let from = known.map_or(0, |place| place + 1);
        let waiting = self.lines[from..].iter().filter(|(_, line)| !line.is_empty());
        let keys: Vec<_> = waiting.clone().take(2).map(|(key, _)| *key).collect();
        StoreEvent::Lines {
            has_more: waiting.count() > keys.len(),
            keys,
        }
    }
}
