//! Which buckets to rewrite when the load is uneven. A plan only: whoever asked carries it out.
//!
//! Greedy: again and again the bucket that evens out the fullest and the emptiest core best goes from the one to the
//! other, as long as the fuller of the two gets lighter by it.
//!
//! Properties (tested): no move while the fullest core is within the tolerance; a plan that is not empty makes the
//! fullest core lighter; no bucket moves twice, or to the core that it is on.

use crate::indirection::IndirectionTable;

/// How far above the mean the fullest core may be before anything moves, in percent of the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// 10 means: up to 1.1 times the mean.
    pub percent: u32,
}

/// What the control core has measured. All figures have one unit, for instance new connections in the last minute.
///
/// Only new flows follow a rewrite. So measure what *will* follow it: counts of long-lived connections that are
/// already placed tell where they are, and not what moves.
#[derive(Clone, Copy, Debug)]
pub struct LoadView<'load> {
    /// Load of each bucket. A missing one counts as idle.
    pub buckets: &'load [u32],
    /// Load of each core: its buckets', and what came to it otherwise, such as pinned flows. A missing one counts as idle.
    pub cores: &'load [u64],
}

/// Make `bucket` name `to`, which named `from` before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketMove {
    /// The bucket to rewrite.
    pub bucket: usize,
    /// The core that it named.
    pub from: usize,
    /// The core that it shall name.
    pub to: usize,
}

/// Says which buckets of `table` to rewrite, at most each once; empty when nothing helps or nothing needs it.
pub fn plan_rebalancing(
    table: &IndirectionTable,
    load: LoadView<'_>,
    tolerance: Tolerance,
) -> Vec<BucketMove> {
    let mut draft = Draft::new(table, load);
    let mut best = draft.clone();
    // Each step brings two cores closer together, so this ends by itself; the bound keeps the work in check.
    for _ in 0..2 * table.buckets() {
        if draft.is_within(tolerance) || !draft.move_best_bucket() {
            break;
        }
        // Where several cores are fullest the first moves do not help yet.
        if draft.fullest_load() < best.fullest_load() {
            best = draft.clone();
        }
    }
    best.moves_from(table)
}

/// The table as it would be, and the load of each core then.
#[derive(Clone)]
struct Draft<'load> {
    assignment: Vec<usize>,
    bucket_loads: &'load [u32],
    core_loads: Vec<u64>,
}

impl<'load> Draft<'load> {
    fn new(table: &IndirectionTable, load: LoadView<'load>) -> Self {
        let core_loads = (0..table.cores())
            .map(|core| load.cores.get(core).copied().unwrap_or(0))
            .collect();
        Self {
            assignment: table.iter().collect(),
            bucket_loads: load.buckets,
            core_loads,
        }
    }

    fn fullest_load(&self) -> u64 {
        self.core_loads.iter().copied().max().unwrap_or(0)
    }

    fn is_within(&self, tolerance: Tolerance) -> bool {
        let total: u128 = self.core_loads.iter().map(|load| u128::from(*load)).sum();
        let fullest = u128::from(self.fullest_load());
        // fullest <= mean * (100 + percent) / 100, without the divisions.
        fullest * 100 * self.core_loads.len() as u128 <= total * (100 + u128::from(tolerance.percent))
    }

    /// False when no bucket of the fullest core would make it better.
    fn move_best_bucket(&mut self) -> bool {
        let cores = || self.core_loads.iter().copied().enumerate();
        let Some((fullest, most)) = cores().max_by_key(|(_, load)| *load) else {
            return false;
        };
        let Some((emptiest, least)) = cores().min_by_key(|(_, load)| *load) else {
            return false;
        };
        let gap = most - least;
        let best = (0..self.assignment.len())
            .filter(|bucket| self.assignment[*bucket] == fullest)
            .map(|bucket| (bucket, self.bucket_load(bucket)))
            .filter(|(_, load)| (1..gap).contains(load))
            // Half the gap would make the two equal.
            .min_by_key(|(_, load)| load.abs_diff(gap - load));
        let Some((bucket, load)) = best else { return false };
        self.assignment[bucket] = emptiest;
        self.core_loads[fullest] -= load;
        self.core_loads[emptiest] += load;
        true
    }

    fn bucket_load(&self, bucket: usize) -> u64 {
        self.bucket_loads.get(bucket).copied().map_or(0, u64::from)
    }

    fn moves_from(&self, table: &IndirectionTable) -> Vec<BucketMove> {
        table
            .iter()
            .zip(&self.assignment)
            .enumerate()
            .filter(|(_, (from, to))| from != *to)
            .map(|(bucket, (from, to))| BucketMove {
                bucket,
                from,
                to: *to,
            })
            .collect()
    }
}
