//! What the store of the queue keeps, as a model, and what the engines may do to it.
//!
//! A message leaves only when a client took it or refused it for good, or when its time was over (in some runs messages have
//! little of it; then one core is told, for its message log). What was acknowledged out of the queue is there until then.
//! When and whether orders are carried out is for `commits`.

use crate::commits::Thread;
use crate::event::LinkId;
use crate::pdu::Pdu;
use crate::world::World;
use bytes::BytesMut;
use smppmux_engine::core::queue::{Line, QueueKey};
use smppmux_engine::core::store_message::{Fate, StoreEvent, StoredMessage};
use smppmux_engine::core::time::Moment;
use std::collections::{BTreeMap, HashMap, HashSet};

/// By the store's number: a message, and when its time is over.
type MessagesOfLine = BTreeMap<u64, (BytesMut, Moment)>;

#[derive(Default)]
pub(crate) struct Store {
    /// What is safe, in the order of the lines' first message.
    lines: Vec<(QueueKey, MessagesOfLine)>,
    pub(crate) thread: Thread,
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

    /// The highest number of a message that is there; what a process that starts finds.
    pub(crate) fn last_number(&self) -> u64 {
        let lines = self.lines.iter();
        let last_ones = lines.filter_map(|(_, line)| line.last_key_value());
        last_ones.map(|(number, _)| *number).max().unwrap_or(0)
    }

    pub(crate) fn messages(&self) -> usize {
        self.lines.iter().map(|(_, line)| line.len()).sum()
    }
}

impl World {
    /// A commit has made a message safe.
    pub(crate) fn store_puts(&mut self, key: QueueKey, stored: u64, (pdu, expires_at): (BytesMut, Moment)) {
        let number = message_in(&pdu);
        self.trace
            .line(self.now, || format!("message {number} is safe as {stored}"));
        let message = &mut self.ledger.messages[number];
        message.stored.push(stored);
        message.stored_in.get_or_insert(key);
        self.store.line(&key).insert(stored, (pdu, expires_at));
        self.segment_stored(number);
    }

    /// Whose line it is must have to do with it.
    pub(crate) fn check_append(&self, key: &QueueKey, pdu: &[u8]) {
        let number = message_in(pdu);
        if let Line::Account(account) = key.line {
            let system_id = &self.scenario.settings.clients[account.0 as usize].system_id;
            assert!(
                self.is_receipt_for(number, system_id),
                "message {number} stands in the line of {system_id}, who did not submit"
            );
        }
    }

    pub(crate) fn store_load(&mut self, key: QueueKey, after: u64, messages_max: usize) -> StoreEvent {
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
    pub(crate) fn store_expires(&mut self) {
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
        self.ledger.messages[message_in(&pdu)].has_expired = true;
        let core = self.random.between(0, self.hosts.len() - 1);
        let key = Some(key);
        self.store_will_tell(core, StoreEvent::Expired { key, pdu });
    }

    /// Nothing leaves but by a client's word, or when its time is over.
    pub(crate) fn check_removal(&self, key: &QueueKey, stored: u64, fate: Fate) {
        let line = self.store.lines.iter().find(|(other, _)| other == key);
        let Some((pdu, expires_at)) = line.and_then(|(_, line)| line.get(&stored)) else {
            // A core that took over a line may have settled it before.
            return;
        };
        let message = message_in(pdu);
        let answers = &self.ledger.messages[message].answers;
        let is_right = match fate {
            Fate::Delivered => answers.contains(&0),
            Fate::Refused(status) => status.0 != 0 && answers.contains(&status.0),
            Fate::Expired => *expires_at <= self.now,
        };
        assert!(
            is_right,
            "message {message} leaves the queue as {fate:?}; clients said {answers:?}"
        );
    }

    /// A commit has taken a message out.
    pub(crate) fn store_takes(&mut self, key: &QueueKey, stored: u64, fate: Fate) {
        let Some((pdu, _)) = self.store.line(key).remove(&stored) else {
            return;
        };
        if fate == Fate::Expired {
            return self.store_tells_of_expired(*key, pdu);
        }
        let message = &mut self.ledger.messages[message_in(&pdu)];
        message.taken_out_at = Some(self.now);
    }

    pub(crate) fn store_list(&self, after: Option<QueueKey>) -> StoreEvent {
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

    /// What an SMSC was told to be queued, and no client has taken, is there, unless it has left rightly.
    fn check_nothing_lost(&self) {
        let lines = self.store.lines.iter().flat_map(|(_, line)| line.values());
        let there: HashSet<usize> = lines.map(|(pdu, _)| message_in(pdu)).collect();
        for (number, message) in self.ledger.messages.iter().enumerate() {
            let has_left = message.has_expired || message.taken_out_at.is_some();
            let is_owed = message.was_taken && !message.answers.contains(&0) && !has_left;
            assert!(
                !is_owed || there.contains(&number),
                "message {number} to {} was acknowledged and is lost",
                message.destination
            );
        }
    }

    /// All is well, and has been for longer than a line rests after failures: what waits is for nobody that is bound.
    pub(crate) fn check_queue_drained(&self) {
        self.check_nothing_lost();
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

/// Which message a PDU is.
pub(crate) fn message_in(pdu: &[u8]) -> usize {
    let pdu = Pdu::take_first(&mut pdu.to_vec());
    pdu.and_then(|pdu| pdu.message())
        .expect("every message is numbered")
}
