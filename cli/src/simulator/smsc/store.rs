//! The messages that the simulated message centre accepted, for query_sm, cancel_sm and replace_sm; the last so many.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// An accepted message.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredMessage {
    pub(super) number: u64,
    pub(super) source_hash: u64,
    /// When it reaches its final state.
    pub(super) final_us: u64,
    pub(super) is_deleted: bool,
}

/// A ring of accepted messages, found by number without hashing.
#[derive(Debug)]
pub(super) struct Store {
    ring: Mutex<Vec<StoredMessage>>,
    capacity: usize,
    first_number: u64,
}

impl Store {
    pub(super) const fn new(capacity: usize, first_number: u64) -> Self {
        Self {
            ring: Mutex::new(Vec::new()),
            capacity,
            first_number,
        }
    }

    /// Keeps a message; the one of `capacity` numbers ago goes.
    pub(super) fn insert(&self, message: StoredMessage) {
        let at = self.slot(message.number);
        let mut ring = self.lock();
        if at >= ring.len() {
            // Numbers are handed out one by one, so this grows one by one but for threads that overtake each other.
            let empty = StoredMessage {
                number: u64::MAX,
                ..message
            };
            ring.resize(at + 1, empty);
        }
        ring[at] = message;
    }

    /// Looks at, and may change, a message; `None` when it is unknown or gone.
    pub(super) fn with<T>(&self, number: u64, look: impl FnOnce(&mut StoredMessage) -> T) -> Option<T> {
        let at = self.slot(number);
        let mut ring = self.lock();
        ring.get_mut(at)
            .filter(|message| message.number == number)
            .map(look)
    }

    fn slot(&self, number: u64) -> usize {
        (number.wrapping_sub(self.first_number) % self.capacity as u64) as usize
    }

    fn lock(&self) -> MutexGuard<'_, Vec<StoredMessage>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the last `capacity` messages are found, older ones and unknown ones are not.
    #[test]
    fn the_last_messages_are_found() {
        let store = Store::new(10, 100);
        for number in 100..125 {
            store.insert(StoredMessage {
                number,
                source_hash: number,
                final_us: 0,
                is_deleted: false,
            });
        }
        for number in [0, 99, 100, 114, 125, u64::MAX - 1] {
            assert!(store.with(number, |_| ()).is_none(), "{number}");
        }
        for number in 115..125 {
            assert_eq!(store.with(number, |message| message.source_hash), Some(number));
        }
    }
}
