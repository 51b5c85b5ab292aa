//! One core's distributor: it says which core a connection that was accepted here belongs to.
//!
//! Invariant: every answer is a configured core and, where a rule matched, one of the rule's cores.

use std::sync::Arc;

use crate::core_set::CoreSet;
use crate::flow::{Flow, Tuple};
use crate::hash::FlowHasher;
use crate::indirection::IndirectionTable;
use crate::scheme::Scheme;
use crate::settings::{Settings, SettingsError};

/// Decides for the connections that one core accepts. Each core has its own; they agree because they are made of the
/// same [`Settings`] and given the same tables.
#[derive(Clone)]
pub struct Distributor {
    own_core: usize,
    settings: Arc<Settings>,
    hasher: FlowHasher,
    table: Arc<IndirectionTable>,
    all_cores: CoreSet,
    /// Next turn of `round-robin`: one for all cores, then one for each rule. They start at the own core, since
    /// otherwise the first connection of every core would go to core 0.
    turns: Vec<usize>,
}

impl Distributor {
    /// The distributor of core `own_core`.
    ///
    /// # Errors
    /// When the settings do not hold together (see [`Settings::table`]) or `own_core` is not one of their cores.
    pub fn new(own_core: usize, settings: Arc<Settings>) -> Result<Self, SettingsError> {
        let table = settings.table()?;
        let cores = settings.cores;
        let all_cores = CoreSet::all(cores).map_err(|_| SettingsError::CoreCount { cores })?;
        if own_core >= cores {
            return Err(SettingsError::OwnCore { own_core, cores });
        }
        Ok(Self {
            own_core,
            hasher: FlowHasher::new(settings.hash, &settings.key),
            table: Arc::new(table),
            all_cores,
            turns: vec![own_core; 1 + settings.pins.len()],
            settings,
        })
    }

    /// The core that a new connection belongs to. `load` is the number of connections of each core; only
    /// `least-loaded` reads it, and a core that it does not reach counts as idle.
    ///
    /// With the scheme `account` the connection stays here (or goes where a rule says) until
    /// [`choose_for_account`](Self::choose_for_account) can be asked.
    pub fn choose(&mut self, flow: &Flow<'_>, load: &[u32]) -> usize {
        let rule = self.rule_of(flow);
        match self.settings.scheme {
            Scheme::Rss => self.by_hash(rule, self.hasher.flow(flow, Tuple::Four)),
            Scheme::RssTwoTuple => self.by_hash(rule, self.hasher.flow(flow, Tuple::Two)),
            Scheme::LeastLoaded => self.least_loaded(rule, load),
            Scheme::RoundRobin => self.next_in_turn(rule),
            Scheme::Account if self.candidates(rule).contains(self.own_core) => self.own_core,
            Scheme::Account => self.by_hash(rule, self.hasher.flow(flow, Tuple::Four)),
        }
    }

    /// The core on which all binds of this account meet; of flows with a [rule](Self::rule_of), one of the rule's cores.
    pub fn choose_for_account(&self, system_id: &[u8], rule: Option<usize>) -> usize {
        self.by_hash(rule, self.hasher.account(system_id))
    }

    /// The first rule that matches this flow, by its place in [`Settings::pins`]: what is left of a flow to remember until its
    /// account is known. It means the same on every core.
    pub fn rule_of(&self, flow: &Flow<'_>) -> Option<usize> {
        self.settings.pins.iter().position(|rule| rule.matches(flow))
    }

    /// The bucket that counts for this flow, if its scheme hashes flows; for [`plan_rebalancing`](crate::plan_rebalancing).
    /// Pinned flows do not count: a rewrite would not move them.
    pub fn bucket_of(&self, flow: &Flow<'_>) -> Option<usize> {
        let tuple = match self.settings.scheme {
            Scheme::Rss => Tuple::Four,
            Scheme::RssTwoTuple => Tuple::Two,
            Scheme::LeastLoaded | Scheme::RoundRobin | Scheme::Account => return None,
        };
        self.rule_of(flow)
            .is_none()
            .then(|| self.table.bucket_of(self.hasher.flow(flow, tuple)))
    }

    /// The table in use.
    pub fn table(&self) -> &Arc<IndirectionTable> {
        &self.table
    }

    /// Takes a table that the control core has published. False, and nothing changes, unless it is newer and of the
    /// same shape.
    pub fn install(&mut self, table: Arc<IndirectionTable>) -> bool {
        let same_shape = table.buckets() == self.table.buckets() && table.cores() == self.table.cores();
        let newer = same_shape && table.version() > self.table.version();
        if newer {
            self.table = table;
        }
        newer
    }

    fn candidates(&self, rule: Option<usize>) -> &CoreSet {
        rule.and_then(|rule| self.settings.pins.get(rule))
            .map_or(&self.all_cores, |rule| &rule.cores)
    }

    /// The table's core; where a rule does not allow that one, the hash picks among the rule's.
    fn by_hash(&self, rule: Option<usize>, hash: u32) -> usize {
        let core = self.table.core_of(hash);
        let candidates = self.candidates(rule);
        if candidates.contains(core) {
            core
        } else {
            candidates.cycle_at(self.table.bucket_of(hash))
        }
    }

    fn least_loaded(&self, rule: Option<usize>, load: &[u32]) -> usize {
        let load_of = |core: usize| load.get(core).copied().unwrap_or(0);
        let cores = self.settings.cores;
        // Of equals the nearest after the own core, so that the cores do not all pick the same.
        let distance = |core: usize| (core + cores - self.own_core) % cores;
        let least = self
            .candidates(rule)
            .iter()
            .min_by_key(|core| (load_of(*core), distance(*core)));
        least.unwrap_or(self.own_core)
    }

    fn next_in_turn(&mut self, rule: Option<usize>) -> usize {
        let turn = &mut self.turns[rule.map_or(0, |rule| rule + 1)];
        let position = *turn;
        *turn = turn.wrapping_add(1);
        self.candidates(rule).cycle_at(position)
    }
}
