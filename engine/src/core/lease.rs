//! Rates that hold over all cores: the core that a rate's key hashes to has the bucket and lends tokens to the others.
//!
//! A core spends what it was lent and asks for more before it runs out. Invariants: at most one batch of questions is under
//! way from a core to each other one, and one batch of grants for it; what all cores together let through exceeds the rate
//! by one lease for each core at most, and by one request that it lets through while it asks. A core that stops takes its bucket along: the next one in a fixed order begins anew.

use super::contract::CoreIndex;
use super::core_message::CoreMessage;
use super::engine::PacketEngine;
use super::rate::{Bucket, RateLimit};
use super::settings::{ClientIndex, ServerIndex, Settings};
use super::time::Moment;
use ahash::RandomState;
use std::collections::HashMap;
use std::time::Duration;

/// How long a lease is waited for before it is asked for again: its core may have stopped.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Requests to a server.
    Server(ServerIndex),
    /// Requests of an account.
    Client(ClientIndex),
}

/// Rates that a core wants tokens of.
#[derive(Debug)]
pub struct LeaseQuestion {
    /// Each with how many, and how many of them were spent on credit.
    pub wanted: Vec<(RateKey, u32, u32)>,
}

/// The answer to a [`LeaseQuestion`].
#[derive(Debug)]
pub struct LeaseGrants {
    /// For each rate that was asked for, in the same order.
    pub grants: Vec<Grant>,
}

/// Tokens of one rate.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// Which rate.
    pub key: RateKey,
    /// How many tokens.
    pub tokens: u32,
    /// Until there will be one, where there was none.
    pub wait: Duration,
}

/// What this core was lent of one rate.
#[derive(Debug)]
struct Lease {
    limit: RateLimit,
    /// May be below 0: a message that was let through before the lease came is owed.
    tokens: i64,
    asked_at: Option<Moment>,
    closed_until: Moment,
}

/// The leases of one core, and the buckets that it is the home of.
#[derive(Debug)]
pub(super) struct Leases {
    leases: HashMap<RateKey, Lease, RandomState>,
    buckets: HashMap<RateKey, Bucket, RandomState>,
    /// For each core: what it is to be asked for, and whether it has been asked something already.
    wanted: Vec<(Vec<RateKey>, bool)>,
    /// A question may be ready: nobody has looked since something was wanted or granted.
    may_have_question: bool,
}

impl Leases {
    /// A rate is another one now: what was lent of the old one is worth nothing, and its bucket begins anew.
    pub(super) fn forget(&mut self, key: RateKey) {
        self.leases.remove(&key);
        self.buckets.remove(&key);
    }

    pub(super) fn new(cores: u16, seed: u64) -> Self {
        Self {
            leases: HashMap::with_hasher(RandomState::with_seeds(seed, 4, 5, 6)),
            buckets: HashMap::with_hasher(RandomState::with_seeds(seed, 7, 8, 9)),
            wanted: (0..cores).map(|_| (Vec::new(), false)).collect(),
            may_have_question: false,
        }
    }

    /// A core is gone: what it was asked for is asked for elsewhere.
    pub(super) fn forget_core(&mut self, gone: CoreIndex) {
        if let Some(wanted) = self.wanted.get_mut(gone.as_usize()) {
            *wanted = (Vec::new(), false);
        }
        for lease in self.leases.values_mut() {
            lease.asked_at = None;
        }
    }
}

impl Settings {
    /// Whether an account's requests are limited in time.
    pub(super) fn has_rate(&self, client: Option<ClientIndex>) -> bool {
        client.is_some_and(|client| self.rate_of(RateKey::Client(client)).is_some())
    }

    fn rate_of(&self, key: RateKey) -> Option<RateLimit> {
        match key {
            RateKey::Server(server) => self.servers.get(usize::from(server.0))?.rate,
            RateKey::Client(client) => self.clients.get(client.0 as usize)?.rate,
        }
    }
}

impl PacketEngine {
    /// Takes a token of an account's rate for a request that has come; `false`: it comes too fast.
    pub(super) fn may_send_by_rate(&mut self, now: Moment, client: ClientIndex) -> bool {
        let key = RateKey::Client(client);
        let Some(limit) = self.settings.rate_of(key) else {
            return true;
        };
        let is_home = self.home_of_rate(key) == self.core;
        let lease = self.leases.leases.entry(key).or_insert_with(|| Lease {
            limit,
            // Another core's bucket is asked for the next tokens: the first ones are let through meanwhile.
            tokens: if is_home {
                0
            } else {
                i64::from(limit.lease_in_advance())
            },
            asked_at: None,
            closed_until: Moment::START,
        });
        if is_home && lease.tokens <= 0 {
            lease.tokens = 0;
            self.borrow(now, key, 1);
        }
        let Some(lease) = self.leases.leases.get_mut(&key) else {
            return true;
        };
        // After a pause there are tokens again: one message is let through on credit, and the next ones are asked for.
        let has_credit = lease.tokens == 0 && lease.asked_at.is_none() && lease.closed_until <= now;
        let has_token = lease.tokens > 0 || has_credit;
        if has_token {
            lease.tokens -= 1;
        }
        if !is_home {
            self.ask_in_time(now, key);
        }
        has_token
    }

    /// Takes the token of a message that has been let through.
    pub(super) fn spend(&mut self, now: Moment, key: RateKey) {
        let Some(limit) = self.settings.rate_of(key) else {
            return;
        };
        let lease = self.leases.leases.entry(key).or_insert_with(|| Lease {
            limit,
            tokens: 0,
            asked_at: None,
            closed_until: Moment::START,
        });
        lease.tokens -= 1;
        self.ask_in_time(now, key);
    }

    /// How long until this core may let another message through; asks for tokens where it has none.
    pub(super) fn lease_wait(&mut self, now: Moment, key: RateKey) -> Duration {
        let Some(lease) = self.leases.leases.get(&key) else {
            return Duration::ZERO;
        };
        if lease.tokens > 0 {
            return Duration::ZERO;
        }
        self.ask_in_time(now, key);
        let Some(lease) = self.leases.leases.get(&key).filter(|lease| lease.tokens <= 0) else {
            return Duration::ZERO;
        };
        match lease.asked_at {
            Some(asked_at) => (asked_at + PATIENCE).since(now),
            None => lease.closed_until.since(now),
        }
    }

    /// Asks for tokens when half of a lease is spent.
    fn ask_in_time(&mut self, now: Moment, key: RateKey) {
        let home = self.home_of_rate(key);
        let Some(lease) = self.leases.leases.get_mut(&key) else {
            return;
        };
        let is_asked = lease
            .asked_at
            .is_some_and(|asked_at| now.since(asked_at) < PATIENCE);
        let in_advance = i64::from(advance(lease.limit, key));
        let has_enough = lease.tokens > in_advance / 2 || in_advance == 0 && lease.tokens == 0;
        if has_enough || is_asked || lease.closed_until > now {
            return;
        }
        let missing = in_advance - lease.tokens;
        if home == self.core {
            self.borrow(now, key, u32::try_from(missing).unwrap_or(u32::MAX));
        } else {
            lease.asked_at = Some(now);
            self.leases.may_have_question = true;
            let wanted = &mut self.leases.wanted[home.as_usize()].0;
            if !wanted.contains(&key) {
                wanted.push(key);
            }
        }
    }

    /// Takes tokens out of a bucket that this core is the home of.
    fn borrow(&mut self, now: Moment, key: RateKey, wanted: u32) {
        let grant = self.grant(now, key, wanted, 0);
        self.take_grant(now, grant);
    }

    fn grant(&mut self, now: Moment, key: RateKey, wanted: u32, on_credit: u32) -> Grant {
        let Some(limit) = self.settings.rate_of(key) else {
            return Grant {
                key,
                tokens: wanted,
                wait: Duration::ZERO,
            };
        };
        let bucket = self
            .leases
            .buckets
            .entry(key)
            .or_insert_with(|| Bucket::new(limit, now));
        bucket.owe(now, on_credit);
        let tokens = on_credit + bucket.take(now, wanted.saturating_sub(on_credit));
        let wait = if tokens == on_credit {
            bucket.time_to_next(now)
        } else {
            Duration::ZERO
        };
        Grant { key, tokens, wait }
    }

    fn take_grant(&mut self, now: Moment, grant: Grant) {
        let Some(lease) = self.leases.leases.get_mut(&grant.key) else {
            return;
        };
        lease.asked_at = None;
        lease.tokens += i64::from(grant.tokens);
        lease.closed_until = now + grant.wait;
    }

    /// Another core wants tokens of rates that this core is the home of.
    pub(super) fn lease_question(&mut self, now: Moment, from: CoreIndex, question: LeaseQuestion) {
        let grants = question
            .wanted
            .into_iter()
            .map(|(key, wanted, on_credit)| self.grant(now, key, wanted, on_credit))
            .collect();
        self.outbox
            .core_messages
            .push_back((from, CoreMessage::LeaseGrants(LeaseGrants { grants })));
    }

    /// The tokens that this core has asked another one for.
    pub(super) fn lease_grants(&mut self, now: Moment, from: CoreIndex, grants: LeaseGrants) {
        if let Some(wanted) = self.leases.wanted.get_mut(from.as_usize()) {
            wanted.1 = false;
            self.leases.may_have_question = true;
        }
        for grant in grants.grants {
            self.take_grant(now, grant);
            if let RateKey::Server(server) = grant.key
                && usize::from(server.0) < self.servers.len()
            {
                self.pace_again(now, server);
            }
        }
    }

    /// The next batch of questions for another core.
    pub(super) fn next_lease_question(&mut self) -> Option<(CoreIndex, CoreMessage)> {
        let Leases {
            leases,
            wanted,
            may_have_question,
            ..
        } = &mut self.leases;
        let mut lanes = (0_u16..).zip(wanted);
        let is_due = |lane: &(u16, &mut (Vec<RateKey>, bool))| !lane.1.1 && !lane.1.0.is_empty();
        let Some((core, (keys, is_under_way))) = lanes.find(is_due) else {
            *may_have_question = false;
            return None;
        };
        *is_under_way = true;
        let question = LeaseQuestion {
            wanted: keys
                .drain(..)
                .filter_map(|key| {
                    let lease = leases.get(&key)?;
                    let missing = i64::from(advance(lease.limit, key)) - lease.tokens;
                    // The bucket owes what was spent on credit, not this core: it would refuse the next message after a pause, however
                    // full the bucket is by then.
                    let on_credit = (-lease.tokens).max(0);
                    Some((
                        key,
                        u32::try_from(missing).unwrap_or(0),
                        u32::try_from(on_credit).unwrap_or(0),
                    ))
                })
                .collect(),
        };
        Some((CoreIndex(core), CoreMessage::LeaseQuestion(question)))
    }

    /// Whether it is worth looking for a question.
    #[inline]
    pub(super) fn may_have_lease_question(&self) -> bool {
        self.leases.may_have_question
    }

    /// The core that has a rate's bucket.
    fn home_of_rate(&self, key: RateKey) -> CoreIndex {
        self.home_of(self.settings.key_hash(key))
    }
}

/// What a core is lent in advance.
const fn advance(limit: RateLimit, key: RateKey) -> u32 {
    match key {
        RateKey::Server(_) => limit.lease(),
        RateKey::Client(_) => limit.lease_in_advance(),
    }
}
