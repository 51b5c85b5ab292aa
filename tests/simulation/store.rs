//! The store of the queue as a model: slow, and sometimes it does not take a message.
//!
//! It keeps the engine's contract (orders of one core in their order, events in the order of the orders) and checks what the
//! engine may do: a message leaves only when a client took it or refused it for good, or when its time was over (in some runs
//! messages have little of it). Then one core is told, for its message log.

use crate::event::{Event, Input, LinkId};
use crate::pdu::Pdu;
use crate::world::World;
use bytes::BytesMut;
use smppmux_engine::core::queue::{Line, QueueKey};
use smppmux_engine::core::store_message::{Fate, StoreCommand, StoreEvent, StoreRefusal, StoredMessage};
use smppmux_engine::core::time::Moment;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Messages at most: sometimes it is full.
const COUNT_MAX: usize = 400;

/// By the store's number: a message, and when its time is over.
type MessagesOfLine = BTreeMap<u64, (BytesMut, Moment)>;

#[derive(Default)]
pub(crate) struct Store {
    /// In the order of their first message.
    lines: Vec<(QueueKey, MessagesOfLine)>,
    last_number: u64,
    /// Events on their way to each core, with the time of the last one's arrival.
    outgoing: BTreeMap<usize, (VecDeque<StoreEvent>, Moment)>,
    /// By line and receiving link: the store's number of the last message that was delivered there for the first time.
    first_deliveries: HashMap<(QueueKey, LinkId), u64>,
}

impl Store {
    fn line(&mut self, key: &QueueKey) -> &mut MessagesOfLine {
        let place = self
            .lines
            .iter()
            .position(|(other, _)| other == key)
            .unwrap_or_else(|| {
                self.lines.push((*key, BTreeMap::new()));
                self.lines.len() - 1
            });
        &mut self.lines[place].1
    }

    pub(crate) fn messages(&self) -> usize {
        self.lines.iter().map(|(_, line)| line.len()).sum()
    }
}

impl World {
    /// A core gives the store an order.
    pub(crate) fn store_ordered(&mut self, core: usize, command: StoreCommand) {
        self.store_expires();
        let event = match command {
            StoreCommand::Append { reference, key, pdu } => self.store_append(core, reference, key, pdu),
            StoreCommand::Load {
                key,
                after,
                messages_max,
                ..
            } => self.store_load(key, after, messages_max),
            StoreCommand::Remove { key, number, fate } => return self.store_remove(&key, number, fate),
            StoreCommand::ListLines { after } => self.store_list(after),
        };
        self.store_will_tell(core, event);
    }

    fn store_will_tell(&mut self, core: usize, event: StoreEvent) {
        let delay = self
            .random
            .microseconds(50, 1_000 * (self.scenario.faults.store_delay_ms as usize).max(1));
        let (events, last) = self.store.outgoing.entry(core).or_default();
        let at = (self.now + delay).max(*last);
        *last = at;
        events.push_back(event);
        self.events.at(at, Event::Engine(core, Input::Store));
    }

    /// The next event of the store has reached a core.
    pub(crate) fn store_tells(&mut self, core: usize) {
        let event = self
            .store
            .outgoing
            .get_mut(&core)
            .and_then(|(events, _)| events.pop_front());
        if let Some(event) = event {
            self.trace
                .line(self.now, || format!("store → core {core}: {event:?}"));
            if let StoreEvent::Expired { pdu, .. } = &event {
                self.hosts[core].expect_expired(pdu);
            }
            self.hosts[core].engine.handle_store(self.now, event);
        }
    }

    fn store_append(&mut self, core: usize, reference: u32, key: QueueKey, pdu: BytesMut) -> StoreEvent {
        let reason = if self.random.chance(self.scenario.faults.store_failure) {
            Some(StoreRefusal::Failed)
        } else if self.store.messages() >= COUNT_MAX {
            Some(StoreRefusal::Full)
        } else {
            None
        };
        if let Some(reason) = reason {
            return StoreEvent::Refused {
                reference,
                key,
                pdu,
                reason,
            };
        }
        let message = Pdu::take_first(&mut pdu.to_vec()).expect("a whole PDU");
        let number = message.message().expect("every message is numbered");
        self.store.last_number += 1;
        let stored = self.store.last_number;
        let message = &mut self.ledger.messages[number];
        message.stored.push(stored);
        message.stored_in.get_or_insert(key);
        if let Line::Account(account) = key.line {
            let system_id = &self.scenario.settings.clients[account.0 as usize].system_id;
            assert!(
                self.is_receipt_for(number, system_id),
                "message {number} stands in the line of {system_id}, who did not submit"
            );
        }
        self.trace.line(self.now, || {
            format!("core {core} stores message {number} as {stored}")
        });
        let expires_at = self.now + self.scenario.message_lifetime;
        self.store.line(&key).insert(stored, (pdu.clone(), expires_at));
        self.segment_stored(number);
        StoreEvent::Stored { reference, key, pdu }
    }

    fn store_load(&mut self, key: QueueKey, after: u64, messages_max: usize) -> StoreEvent {
        let most = messages_max.min(self.random.between(1, 8));
        let now = self.now;
        let line = self.store.line(&key);
        let messages: Vec<_> = line
            .range(after + 1..)
            .take(most)
            .map(|(number, (pdu, expires_at))| StoredMessage {
                number: *number,
                pdu: pdu.clone(),
                expires_in: expires_at.since(now),
            })
            .collect();
        let is_end = line.range(after + 1..).count() == messages.len();
        StoreEvent::Loaded {
            key,
            messages,
            is_end,
        }
    }

    /// What has had its time goes, and one of the cores hears of it.
    fn store_expires(&mut self) {
        let now = self.now;
        let mut expired = Vec::new();
        for (key, line) in &mut self.store.lines {
            line.retain(|_, (pdu, expires_at)| {
                let is_over = *expires_at <= now;
                if is_over {
                    expired.push((*key, std::mem::take(pdu)));
                }
                !is_over
            });
        }
        for (key, pdu) in expired {
            self.store_tells_of_expired(key, pdu);
        }
    }

    fn store_tells_of_expired(&mut self, key: QueueKey, pdu: BytesMut) {
        let core = self.random.between(0, self.hosts.len() - 1);
        let key = Some(key);
        self.store_will_tell(core, StoreEvent::Expired { key, pdu });
    }

    /// Nothing leaves but by a client's word, or when its time is over.
    fn store_remove(&mut self, key: &QueueKey, stored: u64, fate: Fate) {
        let Some((pdu, expires_at)) = self.store.line(key).remove(&stored) else {
            // A core that took over a line may have settled it before.
            return;
        };
        let message = Pdu::take_first(&mut pdu.to_vec()).and_then(|pdu| pdu.message());
        let answers = &self.ledger.messages[message.expect("it was numbered")].answers;
        let is_right = match fate {
            Fate::Delivered => answers.contains(&0),
            Fate::Refused(status) => status.0 != 0 && answers.contains(&status.0),
            Fate::Expired => expires_at <= self.now,
        };
        assert!(
            is_right,
            "message {message:?} leaves the queue as {fate:?}; clients said {answers:?}"
        );
        if fate == Fate::Expired {
            self.store_tells_of_expired(*key, pdu);
        }
    }

    fn store_list(&mut self, after: Option<QueueKey>) -> StoreEvent {
        let from = after.map_or(0, |after| {
            let place = self.store.lines.iter().position(|(key, _)| *key == after);
            place.map_or(self.store.lines.len(), |place| place + 1)
        });
        let waiting = self.store.lines[from..]
            .iter()
            .filter(|(_, line)| !line.is_empty());
        let keys: Vec<_> = waiting.clone().take(2).map(|(key, _)| *key).collect();
        StoreEvent::Lines {
            has_more: waiting.count() > keys.len(),
            keys,
        }
    }

    /// A queued message has arrived at an ESME, for the first time: those of one line come in the order of the store.
    pub(crate) fn check_queue_order(&mut self, number: usize, link: LinkId) {
        let message = &self.ledger.messages[number];
        let (Some(stored), Some(key)) = (message.stored.first().copied(), message.stored_in) else {
            return;
        };
        // A third core may hear late that the one whose message waits there has left, and that another one drains the line.
        let was_left = message.drained_by.is_some_and(|core| !self.hosts[core].serves());
        let is_promised = !was_left || self.hosts.len() == 2 && !self.hosts.iter().any(|host| host.is_gone);
        let last = self.store.first_deliveries.entry((key, link)).or_default();
        assert!(
            *last < stored || !is_promised,
            "message {number} (stored as {stored}) came behind {last} to {} on link {link}",
            message.destination
        );
        *last = stored.max(*last);
    }

    /// All is well, and has been for longer than a line rests after failures: what waits is for nobody that is bound.
    pub(crate) fn check_queue_drained(&self) {
        for (key, line) in &self.store.lines {
            let (is_served, name) = match &key.line {
                Line::Destination(destination) => {
                    let address = String::from_utf8_lossy(destination.address().addr).into_owned();
                    (
                        (0..self.esmes.len()).any(|index| self.serves_now(index, &address)),
                        address,
                    )
                }
                Line::Account(account) => {
                    let name = self.scenario.settings.clients[account.0 as usize]
                        .system_id
                        .clone();
                    let is_theirs = |index: usize| self.esmes[index].plan.system_id == name;
                    let is_served =
                        (0..self.esmes.len()).any(|index| is_theirs(index) && self.receives_now(index));
                    (is_served, name)
                }
            };
            assert!(
                line.is_empty() || !is_served,
                "{} messages wait for {name}, though a client serves it",
                line.len()
            );
        }
    }
}
