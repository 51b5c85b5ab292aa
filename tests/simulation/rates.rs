//! Rates of accounts and servers: in any span of time no more passes than `burst`, what the rate adds, and for each core a lease and
//! one request that it lets through on credit while it asks.
//!
//! An account's request passes when an engine takes it in; those that then reach a server are counted. A server's passes at some moment
//! between that and its arrival there; a span of time breaks the promise when more came and arrived within it than may pass. So no
//! delay has to be excused. The next core after one that has stopped begins with a full bucket, and so does a process that starts.

use crate::ledger::Request;
use crate::world::World;
use smppmux_engine::core::rate::RateLimit;
use smppmux_engine::core::settings::ClientIndex;
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// So long after a core has begun to leave, its bucket and the next one may both be asked.
const MOVING_TIME: Duration = Duration::from_secs(4);

/// What a rate counts.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Requests of each account: when each was taken in.
    accounts: Vec<Vec<Moment>>,
    /// Requests to each server: when each was taken in, and when it arrived.
    servers: Vec<Vec<(Moment, Moment)>>,
    /// When buckets began anew.
    anew: Vec<Moment>,
}

impl World {
    /// A request has reached a server.
    pub(crate) fn note_passed(&mut self, server: usize, number: usize) {
        let request = &self.ledger.requests[number];
        let Some(taken_at) = request.taken_at else {
            return;
        };
        let Request { esme, arrivals, .. } = *request;
        let settings = &self.scenario.settings;
        let account = settings.account(self.esmes[esme].plan.system_id.as_bytes());
        if let Some(ClientIndex(account)) = account.filter(|_| arrivals <= 1) {
            let account = account as usize;
            if settings.clients[account].rate.is_some() {
                at(&mut self.passed.accounts, account).push(taken_at);
            }
        }
        if settings.servers[server].rate.is_some() {
            at(&mut self.passed.servers, server).push((taken_at, self.now));
        }
    }

    /// A core leaves, or the process is killed: its buckets are gone.
    pub(crate) fn buckets_are_lost(&mut self) {
        self.passed.anew.push(self.now);
    }

    /// Over the whole run no rate was exceeded.
    pub(crate) fn check_rates(&mut self) {
        // A server's own rate does not apply to the sessions of identities, nor an account's where servers know who may bind.
        if self.scenario.is_forward {
            return;
        }
        let settings = &self.scenario.settings;
        let cores = self.hosts.len() as u32;
        for (account, passed) in self.passed.accounts.iter_mut().enumerate() {
            if let Some(rate) = settings.clients[account].rate {
                passed.sort_unstable();
                // The core that has the bucket takes what it needs of it, one by one.
                let most = most_at_once(rate, cores - 1);
                check_bucket(account, rate, most, passed, &self.passed.anew);
            }
        }
        for (server, passed) in self.passed.servers.iter_mut().enumerate() {
            if let Some(rate) = settings.servers[server].rate {
                passed.sort_unstable_by_key(|(_, arrived_at)| *arrived_at);
                check_spans(server, rate, most_at_once(rate, cores), passed, &self.passed.anew);
            }
        }
    }
}

fn at<T: Default>(list: &mut Vec<T>, place: usize) -> &mut T {
    if list.len() <= place {
        list.resize_with(place + 1, T::default);
    }
    &mut list[place]
}

/// The burst, and what so many cores were lent in advance and let through on credit.
fn most_at_once(rate: RateLimit, cores: u32) -> u64 {
    u64::from(rate.burst + cores * (rate.lease() + 1))
}

/// Exactly: a bucket that starts full has a token for each.
fn check_bucket(account: usize, rate: RateLimit, most: u64, passed: &[Moment], anew: &[Moment]) {
    const PARTS: u64 = 1_000_000_000;
    let full = most * PARTS;
    let (mut parts, mut last) = (full, Moment::START);
    for at in passed {
        let nanoseconds = at.as_nanoseconds() - last.as_nanoseconds();
        parts = full.min(parts + nanoseconds * u64::from(rate.per_second));
        last = *at;
        if anew.iter().any(|anew| *anew <= *at && *at <= *anew + MOVING_TIME) {
            parts = full;
        }
        assert!(
            parts >= PARTS,
            "more requests of account {account} passed until {at:?} than {rate:?} allows, {most} at once"
        );
        parts -= PARTS;
    }
}

/// Every span from the taking of one request to the arrival of another.
fn check_spans(server: usize, rate: RateLimit, most: u64, passed: &[(Moment, Moment)], anew: &[Moment]) {
    for (begin, _) in passed {
        let mut count = 0;
        for (taken_at, end) in passed {
            if taken_at < begin {
                continue;
            }
            if anew
                .iter()
                .any(|anew| *begin <= *anew + MOVING_TIME && *anew <= *end)
            {
                break;
            }
            count += 1;
            let nanoseconds = end.as_nanoseconds() - begin.as_nanoseconds();
            let added = nanoseconds * u64::from(rate.per_second) / 1_000_000_000;
            assert!(
                count <= most + added,
                "server {server} got {count} requests that came from {begin:?} on until {end:?}, where {rate:?} allows {}",
                most + added
            );
        }
    }
}
