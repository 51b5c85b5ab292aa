//! What systemd is told, where it started the process: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! Invariant: without `NOTIFY_SOCKET` in the environment nothing is done. That it cannot be told is no reason to end.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};
use tracing::debug;

/// Signs of life within the time after which systemd takes the process for stuck.
const SIGNS_OF_LIFE: u32 = 4;

/// The service manager that has started the process, if one has.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// How often it wants a sign of life, and when the next is due.
    watchdog: Option<(Duration, Instant)>,
}

impl Supervisor {
    pub(super) fn new(now: Instant) -> Self {
        let interval = sd_notify::watchdog_enabled().map(|limit| limit / SIGNS_OF_LIFE);
        Self {
            watchdog: interval.map(|interval| (interval, now)),
        }
    }

    /// smppmux serves: at the start, and again after a reload.
    pub(super) fn tell_ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// It reads its configuration again.
    pub(super) fn tell_reloading(&self) {
        tell(&[NotifyState::Reloading]);
    }

    /// It ends.
    pub(super) fn tell_stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Gives a sign of life when one is due, if `is_well` says so.
    pub(super) fn give_sign_of_life(&mut self, now: Instant, is_well: impl FnOnce() -> bool) {
        let Some((interval, due)) = &mut self.watchdog else {
            return;
        };
        if now >= *due {
            *due = now + *interval;
            if is_well() {
                tell(&[NotifyState::Watchdog]);
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager could not be told");
    }
}
