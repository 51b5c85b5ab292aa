//! The loop of drivers that wait for the kernel themselves: one turn after the other, on the core's own thread.
//!
//! Written once for all of them; a driver says what came and waits. The order of a turn is in [`driver`](super::driver).
//!
//! Invariant: the thread sleeps only after the mailbox was found empty behind the announcement that it sleeps, so that no
//! message waits for a timer.

use super::clock::Clock;
use super::driver::Driver;
use super::engine::Engine;
use super::station::Station;
use crate::core::figures::ARE_KEPT;
use crate::core::time::Moment;
use smppmux_c2c::Park;
use std::io;
use std::task::Waker;
use std::time::Duration;

/// Of so many turns that end in a sleep the time of one is measured. A prime, so that it is not always the same one of a pattern.
const TURNS_PER_LOOK: u64 = 7;

/// A driver that is run by [`run`].
pub(super) trait LoopDriver: Driver {
    /// Tells the station what [`wait`](Self::wait) brought, at most about a turn's budget of it.
    fn take_news<E: Engine>(&mut self, now: Moment, station: &mut Station<E>) -> News;

    /// Hands what is queued to the kernel, then waits until there is news or the time is up. Called only when all news
    /// was taken, or with [`Wait::Not`]. With `awaits_transmitted` something follows from the end of a send: that is news too.
    ///
    /// # Errors
    /// What the kernel said where no later call can mend it.
    fn wait(&mut self, wait: Wait, awaits_transmitted: bool) -> io::Result<()>;

    /// Accepts no more connections; those that wait in the kernel's queue are refused. May be called again.
    fn close_listeners(&mut self);

    /// When the driver itself has something to do.
    fn next_deadline(&self) -> Moment;
}

/// What [`LoopDriver::take_news`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// There was some.
    pub(super) any: bool,
    /// There is more, for the next turn.
    pub(super) more: bool,
}

/// How long to wait for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Only look.
    Not,
    /// At most so long.
    AtMost(Duration),
    /// Until there is some.
    ForEver,
}

/// Runs one core until it has stopped. `waker` ends a wait of `driver`.
///
/// # Errors
/// What [`LoopDriver::wait`] said; the core cannot go on.
pub(super) fn run<E: Engine>(
    clock: Clock,
    station: &mut Station<E>,
    driver: &mut impl LoopDriver,
    waker: &Waker,
    spin_before_park: Duration,
) -> io::Result<()> {
    let mut spin_until = Moment::START;
    // The beginning of the last turn, if it had something to do and this one followed at once.
    let mut busy_since = None;
    // Turns before a sleep whose time was not looked at, and how many of them one look stands for. The first stands for itself.
    let (mut unmeasured_turns, mut look_after) = (0, 1);
    loop {
        let now = clock.now();
        if let Some(since) = busy_since.take() {
            station.count_turn_time(now.since(since));
        }
        station.unpark();
        let news = driver.take_news(now, station);
        let inbox = station.take_inbox(now, driver);
        station.handle_timeouts(now, driver);
        let more_wishes = station.end_turn(now, driver);
        if station.is_finished(now) {
            station.abandon(driver);
            return Ok(());
        }
        if !station.wants_connections() {
            driver.close_listeners();
        }
        let is_busy = news.any || inbox.any || more_wishes;
        if news.any || inbox.any {
            spin_until = now + spin_before_park;
        }
        let stay_awake = news.more || inbox.more || more_wishes || now < spin_until;
        let wait = if stay_awake || station.prepare_to_park(waker) == Park::MessagesWaiting {
            Wait::Not
        } else {
            wait_until(now, station.next_deadline().min(driver.next_deadline()))
        };
        // Where the next turn follows at once its beginning is this one's end: the clock is read for this alone only before a sleep,
        // and then one turn stands for some.
        if is_busy && wait == Wait::Not {
            busy_since = Some(now);
        } else if is_busy && ARE_KEPT {
            unmeasured_turns += 1;
            if unmeasured_turns == look_after {
                station.count_turn_times(clock.now().since(now), look_after);
                (unmeasured_turns, look_after) = (0, TURNS_PER_LOOK);
            }
        }
        driver.wait(wait, station.take_awaits_transmitted())?;
    }
}

/// `now` is the turn's beginning: a timer may be late by one turn, and the clock is read once less.
fn wait_until(now: Moment, deadline: Moment) -> Wait {
    if deadline == Moment::NEVER {
        return Wait::ForEver;
    }
    Wait::AtMost(deadline.since(now))
}
