//! What all sessions of one simulated message centre share.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;

use super::accounts::Accounts;
use super::arguments::SmscArguments;
use super::message_id::IdForm;
use super::mobile_originated::MoStream;
use super::report::Outcomes;
use super::store::Store;
use crate::simulator::control::Shared;
use crate::simulator::value::micros;

/// A simulated message centre.
pub(super) struct Centre {
    pub(super) arguments: SmscArguments,
    pub(super) shared: Shared,
    pub(super) mo: Vec<MoStream>,
    pub(super) accounts: Accounts,
    pub(super) store: Store,
    /// The next message id's number.
    next_message: AtomicU64,
    /// Sessions so far; names their MO streams.
    sessions: AtomicU32,
    /// Binds so far.
    binds: AtomicU64,
    /// Bound sessions that receive.
    pub(super) receiving: AtomicU32,
    /// When MO starts.
    mo_start_us: AtomicU64,
    /// Open connections of each thread.
    pub(super) open: Vec<AtomicUsize>,
    outcomes: Mutex<Outcomes>,
    /// What connections begin with, where they are by TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

const NOT_YET: u64 = u64::MAX;

impl Centre {
    /// # Errors
    /// A sentence on arguments that do not fit together.
    pub(super) fn new(arguments: SmscArguments) -> Result<Self, String> {
        let mo = arguments
            .mo
            .iter()
            .map(|stream| MoStream::new(&arguments, stream));
        let threads = usize::from(arguments.threads);
        Ok(Self {
            mo: mo.collect::<Result<_, _>>()?,
            shared: Shared::new(threads),
            accounts: Accounts::default(),
            store: Store::new(arguments.store_max as usize, arguments.first_message_id),
            next_message: AtomicU64::new(arguments.first_message_id),
            sessions: AtomicU32::new(0),
            binds: AtomicU64::new(0),
            receiving: AtomicU32::new(0),
            mo_start_us: AtomicU64::new(NOT_YET),
            open: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            outcomes: Mutex::new(Outcomes::default()),
            tls: arguments.tls.read()?,
            arguments,
        })
    }

    pub(super) fn id_form(&self) -> IdForm {
        IdForm {
            format: self.arguments.message_id,
            run: self.shared.run,
        }
    }

    pub(super) fn next_message_number(&self) -> u64 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn next_session(&self) -> u32 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a bind; gives how many came before it.
    pub(super) fn next_bind(&self) -> u64 {
        self.binds.fetch_add(1, Ordering::Relaxed)
    }

    /// A session receives from now on: the first one starts the clock of the MO traffic.
    pub(super) fn handle_receiving(&self, now_us: u64) {
        self.receiving.fetch_add(1, Ordering::Relaxed);
        if !self.arguments.mo_held {
            self.start_mobile_originated(now_us + micros(self.arguments.mo_after));
        }
    }

    /// Sets the start of the MO traffic, unless it was set already.
    pub(super) fn start_mobile_originated(&self, at_us: u64) {
        // Losing the race means that another session set it at the same moment.
        let _ = self
            .mo_start_us
            .compare_exchange(NOT_YET, at_us, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether MO may be sent now.
    pub(super) fn may_deliver(&self, now_us: u64) -> bool {
        now_us >= self.mo_start_us.load(Ordering::Relaxed) && !self.shared.is_sending_stopped()
    }

    /// When MO starts, where that is known and still to come.
    pub(super) fn mo_start_us(&self, now_us: u64) -> Option<u64> {
        Some(self.mo_start_us.load(Ordering::Relaxed)).filter(|at_us| *at_us != NOT_YET && *at_us > now_us)
    }

    pub(super) fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
