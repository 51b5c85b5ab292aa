//! Which sessions of which account receive, so that a receipt finds a session of the account that submitted.
//!
//! Bounded: each session's inbox holds [`INBOX_RECEIPTS_MAX`] receipts; what does not fit is given back and counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::receipt::Receipt;

/// Receipts that may wait for one session.
pub(super) const INBOX_RECEIPTS_MAX: usize = 65_536;

/// Where other sessions leave receipts for a session.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    receipts: Mutex<Vec<Receipt>>,
    /// Told when something was left.
    pub(super) wake: Notify,
}

impl Inbox {
    /// Takes everything that was left.
    pub(super) fn take(&self) -> Vec<Receipt> {
        std::mem::take(&mut *self.lock())
    }

    fn post(&self, receipt: Receipt) -> Result<(), Receipt> {
        let mut receipts = self.lock();
        if receipts.len() >= INBOX_RECEIPTS_MAX {
            return Err(receipt);
        }
        receipts.push(receipt);
        drop(receipts);
        self.wake.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Receipt>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving sessions of all accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    receiving: Mutex<HashMap<Vec<u8>, Receiving>>,
}

#[derive(Debug, Default)]
struct Receiving {
    inboxes: Vec<Arc<Inbox>>,
    next: usize,
}

impl Accounts {
    /// A session of this account receives from now on.
    pub(super) fn enter(&self, system_id: &[u8], inbox: &Arc<Inbox>) {
        let mut receiving = self.lock();
        receiving
            .entry(system_id.to_vec())
            .or_default()
            .inboxes
            .push(Arc::clone(inbox));
    }

    /// A session is gone. Its receipts go to other sessions of the account; the answer is how many found none.
    pub(super) fn leave(&self, system_id: &[u8], inbox: &Arc<Inbox>, left: Vec<Receipt>) -> u64 {
        let mut receiving = self.lock();
        if let Some(account) = receiving.get_mut(system_id) {
            account.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
            if account.inboxes.is_empty() {
                receiving.remove(system_id);
            }
        }
        drop(receiving);
        let left = left.into_iter().chain(inbox.take());
        left.map(|receipt| u64::from(self.post(system_id, receipt).is_err()))
            .sum()
    }

    /// Leaves a receipt with the account's receiving sessions in turn; gives it back when there is none, or it is full.
    pub(super) fn post(&self, system_id: &[u8], receipt: Receipt) -> Result<(), Receipt> {
        let mut receiving = self.lock();
        let Some(account) = receiving.get_mut(system_id) else {
            return Err(receipt);
        };
        account.next = account.next.wrapping_add(1);
        match account.inboxes.get(account.next % account.inboxes.len().max(1)) {
            Some(inbox) => inbox.post(receipt),
            None => Err(receipt),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Receiving>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
