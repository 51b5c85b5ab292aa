//! Takes connections from a listener, for every driver: in batches, and with a pause when the host has no room.

use super::driver::Driver;
use super::engine::Engine;
use super::sockets;
use super::station::Station;
use super::steering::Listener;
use crate::core::time::Moment;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Connections that one turn takes from one listener at most.
const BATCH: usize = 64;
/// How often such an error is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Nobody waits any more: go on when the listener is readable again.
    All,
    /// More may wait: go on in the next turn.
    Some,
    /// The host has no room: go on at this moment.
    RestUntil(Moment),
}

/// A listener and what went wrong with it lately.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) listener: Listener,
    errors_since_log: u64,
    logged_at: Option<Moment>,
}

impl Acceptor {
    /// How long a listener rests after an error such as "too many open files": the connection stays in the queue, so the
    /// listener stays readable and would be tried again at once.
    pub(crate) const REST: Duration = Duration::from_millis(100);

    pub(crate) fn new(listener: Listener) -> Self {
        Self {
            listener,
            errors_since_log: 0,
            logged_at: None,
        }
    }

    /// Gives the station what waits at the listener, at most one batch.
    pub(crate) fn accept<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        driver: &mut impl Driver,
    ) -> Accepted {
        for _ in 0..BATCH {
            match sockets::accept(&self.listener.socket, self.listener.user_timeout) {
                Ok(Some((socket, peer))) => station.accepted(now, driver, &self.listener, socket, peer),
                Ok(None) => return Accepted::All,
                Err(error) => {
                    station.count_accept_error();
                    self.log(now, &error);
                    return Accepted::RestUntil(now + Self::REST);
                }
            }
        }
        Accepted::Some
    }

    /// Gives the station a connection that the kernel took from the listener by itself.
    pub(crate) fn accepted<E: Engine>(
        &self,
        now: Moment,
        station: &mut Station<E>,
        driver: &mut impl Driver,
        socket: OwnedFd,
    ) {
        // A connection that was lost already has no peer.
        if let Some(peer) = sockets::prepare_accepted(&socket, self.listener.user_timeout) {
            station.accepted(now, driver, &self.listener, socket, peer);
        }
    }

    /// The kernel could not take a connection. Gives the moment until which the listener should rest; `None`: the fault
    /// was the connection's.
    pub(crate) fn failed<E: Engine>(
        &mut self,
        now: Moment,
        station: &mut Station<E>,
        error: rustix::io::Errno,
    ) -> Option<Moment> {
        if sockets::concerns_one_connection(error) {
            return None;
        }
        station.count_accept_error();
        self.log(now, &error.into());
        Some(now + Self::REST)
    }

    fn log(&mut self, now: Moment, error: &io::Error) {
        self.errors_since_log += 1;
        if self
            .logged_at
            .is_some_and(|logged_at| now.since(logged_at) < LOG_INTERVAL)
        {
            return;
        }
        let times = std::mem::take(&mut self.errors_since_log);
        self.logged_at = Some(now);
        tracing::warn!(listener = %self.listener.address, %error, times, "cannot accept connections");
    }
}
