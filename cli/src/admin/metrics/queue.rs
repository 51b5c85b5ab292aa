//! The queue: what waits in the store, and what has become of the rest.

use super::family::{Families, Labels};
use smppmux_engine::store::{StoreReport, StoreUnreachable};
use std::fmt;

type Figure = fn(&StoreReport) -> u64;

/// What there is now: name, meaning, figure.
const GAUGES: [(&str, &str, Figure); 4] = [
    ("queue_messages", "Messages that wait", |queue| queue.messages),
    (
        "queue_destinations",
        "Destinations and accounts that have any",
        |queue| queue.lines,
    ),
    (
        "queue_dead_letters",
        "Messages kept that a client refused for good",
        |queue| queue.dead_letters,
    ),
    (
        "queue_broken",
        "1 while nothing can be queued: the file has failed and is not open again",
        |queue| queue.is_broken.into(),
    ),
];

/// What has happened since the start.
const COUNTERS: [(&str, &str, Figure); 7] = [
    ("queue_stored", "Messages that were taken in", |queue| {
        queue.stored
    }),
    ("queue_delivered", "Messages that a client took", |queue| {
        queue.delivered
    }),
    ("queue_expired", "Messages whose time was over", |queue| {
        queue.expired
    }),
    (
        "queue_buried",
        "Messages that a client refused for good",
        |queue| queue.buried,
    ),
    ("queue_refused", "Messages that found no room", |queue| {
        queue.refused
    }),
    ("queue_commits", "Commits of the store", |queue| queue.commits),
    ("queue_failed_commits", "Commits that failed", |queue| {
        queue.commits_failed
    }),
];

/// Nothing but that it does not answer, where it does not.
pub(super) fn write(
    families: &mut Families<'_>,
    queue: &Result<StoreReport, StoreUnreachable>,
) -> fmt::Result {
    let one = |value: u64| [(Labels::new(), value)];
    families.gauge(
        "queue_answering",
        "1 while the queue's store answers",
        one(queue.is_ok().into()),
    )?;
    let Ok(queue) = queue else { return Ok(()) };
    for (name, help, figure) in GAUGES {
        families.gauge(name, help, one(figure(queue)))?;
    }
    let age = queue.oldest_age.as_secs_f64();
    families.seconds("queue_oldest_age", "How long the oldest message has waited", age)?;
    families.octets_now("queue", "Octets of the messages that wait", one(queue.octets))?;
    for (name, help, figure) in COUNTERS {
        families.counter(name, help, one(figure(queue)))?;
    }
    Ok(())
}
