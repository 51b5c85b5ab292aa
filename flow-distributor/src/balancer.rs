//! Whether the cores are uneven for long enough, and what to do then: the decision of the control core, without its clock.
//!
//! Only new connections follow a rewrite, so a load that is uneven stays so for as long as its sessions live. A rule that moved buckets
//! while a core is too busy would therefore move all of them, and later all of them back. Instead the table is planned for what the load
//! *will be* when most sessions have been replaced: one third what it is now, two thirds what the table sends. Let the busiest core be
//! `l` above the mean, and the part `g` of the sessions be replaced before the next rewrite. The plan makes the table uneven by `l / 2` the
//! other way, which leaves `l * (1 - g * 3 / 2)`: from `l` where nothing was replaced to minus half of `l` where everything was. With equal
//! parts that would be minus `l`, and the load would swing for ever.
//!
//! Properties (tested): nothing moves below the threshold, before enough looks in a row, or within the rest after a rewrite; while load
//! and arrivals stay as they are, no table comes twice and the rewrites end; where sessions come and go they end too.

use std::sync::Arc;
use std::time::Duration;

use crate::indirection::IndirectionTable;
use crate::rebalance::{BucketMove, LoadView, Tolerance, plan_rebalancing};

/// The load of all cores together.
const WHOLE: u64 = 1 << 30;
/// Which part of the load to come is decided by the table.
const TO_COME: (u64, u64) = (2, 3);
/// New connections that a bucket is credited with, so that a few of them do not say everything: one, in 1,024ths.
const ASSUMED_ARRIVALS: u64 = 1 << 10;
/// What a look leaves of the arrivals before it, in eighths.
const REMEMBERED_EIGHTHS: u64 = 7;

/// What each figure counts for in a core's load.
const BUSY_WEIGHT: u64 = 2;
const MESSAGES_WEIGHT: u64 = 1;
const CONNECTIONS_WEIGHT: u64 = 1;

/// Less than this of all cores together says nothing: a twentieth of one CPU,
const BUSY_MIN_FRACTION: u32 = 20;
/// so many messages in a second,
const MESSAGES_MIN: u64 = 20;
/// so many connections for each core.
const CONNECTIONS_MIN: u64 = 4;

/// When to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How far above the mean the busiest core may be.
    pub tolerance: Tolerance,
    /// Looks in a row that must find more than that on one core.
    pub looks: u32,
    /// How long nothing is rewritten after a rewrite.
    pub rest: Duration,
}

/// What one core did since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreWork {
    /// How long it was at work.
    pub busy: Duration,
    /// Messages that came to it from clients and servers.
    pub messages: u64,
    /// Clients' connections that it has now.
    pub connections: u64,
}

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Look<'figures> {
    /// The moment, by a clock that never goes back.
    pub at: Duration,
    /// The time since the look before.
    pub elapsed: Duration,
    /// One for each core.
    pub cores: &'figures [CoreWork],
    /// New connections of each bucket since the look before. A missing one had none.
    pub arrivals: &'figures [u64],
}

/// Looks again and again, and rewrites the table when that helps.
#[derive(Clone, Debug)]
pub struct Balancer {
    policy: Policy,
    table: Arc<IndirectionTable>,
    /// Load of each core, of [`WHOLE`] in all; half of it is the last look's. Empty while there is next to none.
    loads: Vec<u64>,
    /// New connections of each bucket lately, in 1,024ths.
    arrivals: Vec<u64>,
    /// Looks in a row that found this core too far above the mean.
    looks_above: Vec<u32>,
    rewritten_at: Option<Duration>,
    rewrites: u64,
    moved_buckets: u64,
}

impl Balancer {
    /// Begins with the table that the cores have.
    pub fn new(policy: Policy, table: IndirectionTable) -> Self {
        Self {
            policy,
            arrivals: vec![0; table.buckets()],
            looks_above: vec![0; table.cores()],
            table: Arc::new(table),
            loads: Vec::new(),
            rewritten_at: None,
            rewrites: 0,
            moved_buckets: 0,
        }
    }

    /// Takes what is known now. What it moved stands in the answer, and the new table in [`table`](Self::table); empty: nothing.
    pub fn look(&mut self, look: &Look<'_>) -> Vec<BucketMove> {
        self.remember_arrivals(look.arrivals);
        self.remember_load(look);
        self.count_looks();
        let rests = self
            .rewritten_at
            .is_some_and(|at| look.at.saturating_sub(at) < self.policy.rest);
        if rests || self.looks_above.iter().all(|looks| *looks < self.policy.looks) {
            return Vec::new();
        }
        let moves = self.plan();
        if !moves.is_empty() {
            self.carry_out(&moves);
            self.rewritten_at = Some(look.at);
            self.looks_above.fill(0);
        }
        moves
    }

    /// The table that holds.
    pub fn table(&self) -> &Arc<IndirectionTable> {
        &self.table
    }

    /// The load of a core in percent of the mean; `None` while there is next to none.
    pub fn load_percent(&self, core: usize) -> Option<u64> {
        let load = self.loads.get(core)?;
        Some(load * 100 * self.loads.len() as u64 / WHOLE)
    }

    /// How often the table was rewritten.
    pub fn rewrites(&self) -> u64 {
        self.rewrites
    }

    /// How many buckets were moved by that.
    pub fn moved_buckets(&self) -> u64 {
        self.moved_buckets
    }

    /// When the table was rewritten last.
    pub fn rewritten_at(&self) -> Option<Duration> {
        self.rewritten_at
    }

    fn remember_arrivals(&mut self, new: &[u64]) {
        for (bucket, remembered) in self.arrivals.iter_mut().enumerate() {
            let new = new.get(bucket).copied().unwrap_or(0).min(u64::from(u32::MAX));
            *remembered = *remembered / 8 * REMEMBERED_EIGHTHS + (new << 10);
        }
    }

    fn remember_load(&mut self, look: &Look<'_>) {
        let Some(new) = loads(look, self.table.cores()) else {
            self.loads.clear();
            return;
        };
        if self.loads.len() == new.len() {
            for (load, new) in self.loads.iter_mut().zip(new) {
                *load = u64::midpoint(*load, new);
            }
        } else {
            self.loads = new;
        }
    }

    fn count_looks(&mut self) {
        let allowed = 100 + u64::from(self.policy.tolerance.percent);
        let cores = self.loads.len() as u64;
        for (core, looks) in self.looks_above.iter_mut().enumerate() {
            let load = self.loads.get(core).copied().unwrap_or(0);
            *looks = if load * 100 * cores > WHOLE * allowed {
                looks.saturating_add(1)
            } else {
                0
            };
        }
    }

    fn plan(&self) -> Vec<BucketMove> {
        let (numerator, denominator) = TO_COME;
        let to_come = WHOLE * numerator / denominator;
        let weights = self.arrivals.iter().map(|arrivals| arrivals + ASSUMED_ARRIVALS);
        let total: u128 = weights.clone().map(u128::from).sum();
        let buckets: Vec<u32> = weights
            .map(|weight| u128::from(weight) * u128::from(to_come) / total.max(1))
            .map(|load| u32::try_from(load).unwrap_or(u32::MAX))
            .collect();
        let staying = |load: &u64| load * (denominator - numerator) / denominator;
        let mut cores: Vec<u64> = self.loads.iter().map(staying).collect();
        for (core, load) in self.table.iter().zip(&buckets) {
            cores[core] += u64::from(*load);
        }
        let view = LoadView {
            buckets: &buckets,
            cores: &cores,
        };
        // What is worth a rewrite shall be done well, or the next one comes soon.
        let percent = self.policy.tolerance.percent;
        let tolerance = Tolerance { percent: percent / 4 };
        let moves = plan_rebalancing(&self.table, view, tolerance);
        let fullest = |cores: &[u64]| cores.iter().copied().max().unwrap_or(0);
        let before = fullest(&cores);
        for BucketMove { bucket, from, to } in &moves {
            cores[*from] -= u64::from(buckets[*bucket]);
            cores[*to] += u64::from(buckets[*bucket]);
        }
        // Figures are never quite the same, and small gains would be found for ever.
        let gain = (before - fullest(&cores)) * 100 * cores.len() as u64;
        if gain * 16 < WHOLE * u64::from(percent) {
            return Vec::new();
        }
        moves
    }

    fn carry_out(&mut self, moves: &[BucketMove]) {
        let table = Arc::make_mut(&mut self.table);
        for change in moves {
            // The plan is of this table, so its buckets and cores are there.
            let _ = table.rewrite(change.bucket, change.to);
        }
        self.rewrites += 1;
        self.moved_buckets += moves.len() as u64;
    }
}

/// Each core's part of [`WHOLE`]; `None` when all of them together do next to nothing.
fn loads(look: &Look<'_>, cores: usize) -> Option<Vec<u64>> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let work = |core: usize| look.cores.get(core).copied().unwrap_or_default();
    let figures = [
        (
            BUSY_WEIGHT,
            nanoseconds(look.elapsed / BUSY_MIN_FRACTION),
            (0..cores).map(|core| nanoseconds(work(core).busy)).collect(),
        ),
        (
            MESSAGES_WEIGHT,
            (MESSAGES_MIN as f64 * look.elapsed.as_secs_f64()) as u64,
            (0..cores).map(|core| work(core).messages).collect(),
        ),
        (
            CONNECTIONS_WEIGHT,
            CONNECTIONS_MIN * cores as u64,
            (0..cores)
                .map(|core| work(core).connections)
                .collect::<Vec<u64>>(),
        ),
    ];
    let total = |figure: &[u64]| figure.iter().map(|value| u128::from(*value)).sum::<u128>();
    let speaking = figures
        .iter()
        .filter(|(_, least, figure)| total(figure) >= u128::from(*least).max(1));
    let weights: u64 = speaking.clone().map(|(weight, ..)| weight).sum();
    if weights == 0 {
        return None;
    }
    let mut loads = vec![0; cores];
    for (weight, _, figure) in speaking {
        let total = total(figure) * u128::from(weights);
        for (load, value) in loads.iter_mut().zip(figure) {
            let part = u128::from(*value) * u128::from(*weight) * u128::from(WHOLE) / total;
            *load += u64::try_from(part).unwrap_or(WHOLE);
        }
    }
    Some(loads)
}
