//! Pools: the sessions of clients whose address range covers the same addresses, on this core and on all others.
//!
//! Owns the index from a destination to its best pool, and for each pool the local members and what the directory says of
//! the other cores. Invariants: a pool exists as long as some core has a member in it; local members are bound sessions
//! that may receive. It must never choose for a destination a pool that a more specific range covers: specificity wins
//! over locality.

use super::allowed_pools::AllowedPools;
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::PoolHandle;
use super::range::{Claim, LiteralRank, PoolKey, RangeIndex};
use super::settings::{ClientIndex, Settings, VserverIndex};
use super::wire::Address;
use ahash::RandomState;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A pool in this core's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolIndex(pub(super) u32);

/// One pool as this core sees it.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) key: Arc<PoolKey>,
    /// Members on this core.
    pub(super) local: Vec<ConnectionId>,
    /// Where the next turn inside `local` starts.
    pub(super) cursor: usize,
    /// Smooth weighted round-robin over the cores: what this core has saved up.
    local_credit: i64,
    remotes: Vec<RemoteMembers>,
    /// The account that alone may claim its range.
    only_holder: Option<ClientIndex>,
}

/// The members on another core, by its last directory update.
#[derive(Clone, Copy, Debug)]
struct RemoteMembers {
    core: CoreIndex,
    handle: PoolHandle,
    available_sessions: u32,
    /// Some of them know TLVs and data_sm, as every version behind v3.3 does.
    has_newer: bool,
    credit: i64,
}

/// Which core's members get the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolTurn {
    Here,
    Core(CoreIndex, PoolHandle),
}

/// A message is tried at this many places before it is given up.
const PLACES_MAX: usize = 4;

/// The places that had no room for a message.
#[derive(Debug)]
pub(super) struct TriedPlaces {
    is_here: bool,
    cores: [Option<CoreIndex>; PLACES_MAX + 1],
    tries: usize,
}

impl TriedPlaces {
    /// None but a core that has refused the message before.
    pub(super) const fn none_but(core: Option<CoreIndex>) -> Self {
        let mut cores = [None; PLACES_MAX + 1];
        cores[PLACES_MAX] = core;
        Self {
            is_here: false,
            cores,
            tries: 0,
        }
    }

    pub(super) fn add(&mut self, place: PoolTurn) {
        match place {
            PoolTurn::Here => self.is_here = true,
            PoolTurn::Core(core, _) => self.cores[self.tries % PLACES_MAX] = Some(core),
        }
        self.tries += 1;
    }

    pub(super) const fn are_enough(&self) -> bool {
        self.tries >= PLACES_MAX
    }

    pub(super) const fn is_here(&self) -> bool {
        self.is_here
    }

    pub(super) fn includes(&self, core: CoreIndex) -> bool {
        self.cores.contains(&Some(core))
    }
}

/// All pools that this core knows.
#[derive(Debug)]
pub(super) struct Pools {
    places: Vec<Place>,
    free: Vec<u32>,
    by_key: HashMap<Arc<PoolKey>, PoolIndex, RandomState>,
    /// The pools of accounts, for receipts.
    by_account: HashMap<(VserverIndex, ClientIndex), PoolIndex, RandomState>,
    /// One index for each vserver.
    ranges: Vec<RangeIndex<PoolIndex>>,
    /// The pools of sessions that claim all that their account may have.
    allowed: AllowedPools,
    /// Under which handles other cores have members, whatever this core calls their pools.
    remote_handles: HashSet<(CoreIndex, PoolHandle), RandomState>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    pool: Option<Pool>,
}

impl Pools {
    pub(super) fn new(vservers: usize, seed: u64) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::with_hasher(RandomState::with_seeds(seed, 1, 2, 3)),
            by_account: HashMap::with_hasher(RandomState::with_seeds(seed, 1, 2, 3)),
            ranges: (0..vservers).map(|_| RangeIndex::new(seed)).collect(),
            allowed: AllowedPools::new(vservers, seed),
            remote_handles: HashSet::with_hasher(RandomState::with_seeds(seed, 1, 2, 3)),
        }
    }

    #[inline]
    pub(super) fn get(&self, index: PoolIndex) -> Option<&Pool> {
        self.places.get(index.0 as usize)?.pool.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: PoolIndex) -> Option<&mut Pool> {
        self.places.get_mut(index.0 as usize)?.pool.as_mut()
    }

    /// The handle under which other cores ask for this pool.
    pub(super) fn handle(&self, key: &Arc<PoolKey>) -> Option<(PoolHandle, &Pool)> {
        let index = self.by_key.get(key)?;
        let place = &self.places[index.0 as usize];
        Some((
            PoolHandle {
                index: index.0,
                generation: place.generation,
            },
            place.pool.as_ref()?,
        ))
    }

    /// The handle of a pool.
    pub(super) fn handle_of(&self, index: PoolIndex) -> Option<PoolHandle> {
        let place = self.places.get(index.0 as usize)?;
        place.pool.as_ref()?;
        Some(PoolHandle {
            index: index.0,
            generation: place.generation,
        })
    }

    /// The pool that another core means by `handle`, unless its place has been used again.
    pub(super) fn by_handle(&self, handle: PoolHandle) -> Option<PoolIndex> {
        let place = self.places.get(handle.index as usize)?;
        (place.generation == handle.generation && place.pool.is_some()).then_some(PoolIndex(handle.index))
    }

    /// The best pool for a destination (DESIGN: exact, longest prefix, expressions, everything).
    #[inline]
    pub(super) fn best(
        &self,
        settings: &Settings,
        vserver: VserverIndex,
        destination: Address<'_>,
    ) -> Option<PoolIndex> {
        let ranges = self.ranges.get(usize::from(vserver.0))?;
        let claimed = ranges.best(destination.ton, destination.npi, destination.addr);
        if self.allowed.is_empty(vserver) {
            return claimed;
        }
        self.best_with_allowed(settings, vserver, destination, claimed)
    }

    /// `claimed` is the best of the pools of single ranges. Where it has the same range, all who may have that are in it.
    fn best_with_allowed(
        &self,
        settings: &Settings,
        vserver: VserverIndex,
        destination: Address<'_>,
        claimed: Option<PoolIndex>,
    ) -> Option<PoolIndex> {
        let claims = settings.allowed(vserver)?;
        let of = |client| self.allowed.best(vserver, client, destination);
        let Some((literal_rank, allowed)) = claims.best_holder(destination.addr, of) else {
            return claimed;
        };
        let rank = |pool: PoolIndex, literal_rank: Option<LiteralRank>| {
            let key = &self.get(pool)?.key;
            Some((
                literal_rank.or_else(|| key.literal_rank())?,
                key.numbering_rank(destination),
            ))
        };
        let is_better = rank(allowed, Some(literal_rank)) > claimed.and_then(|pool| rank(pool, None));
        if is_better { Some(allowed) } else { claimed }
    }

    /// The sessions here that claim all that an account may have.
    pub(super) fn members_of_allowed(&self, key: &Arc<PoolKey>, client: ClientIndex) -> &[ConnectionId] {
        let key = PoolKey {
            claim: Claim::Allowed(client),
            ..PoolKey::clone(key)
        };
        let index = self.by_key.get(&key);
        index
            .and_then(|index| self.get(*index))
            .map_or(&[], |pool| &pool.local)
    }

    /// A pool of a single range that an account alone may claim has come into being: its sessions that claim everything
    /// belong to it too.
    pub(super) fn note_claimed(&mut self, key: &Arc<PoolKey>, holder: ClientIndex) {
        if let Some(pool) = self
            .by_key
            .get(key)
            .copied()
            .and_then(|index| self.get_mut(index))
            && pool.only_holder.replace(holder) != Some(holder)
        {
            self.allowed.note_claimed(key, holder);
        }
    }

    /// Who may claim what has changed.
    pub(super) fn forget_holders(&mut self) {
        self.allowed.forget_holders();
        for pool in self.places.iter_mut().filter_map(|place| place.pool.as_mut()) {
            pool.only_holder = None;
        }
    }

    /// The pools of single ranges that an account alone may claim.
    pub(super) fn claimed_beside(&self, vserver: VserverIndex, holder: ClientIndex) -> &[Arc<PoolKey>] {
        self.allowed.claimed_beside(vserver, holder)
    }

    /// The receiving sessions of an account.
    pub(super) fn of_account(&self, vserver: VserverIndex, account: ClientIndex) -> Option<PoolIndex> {
        self.by_account.get(&(vserver, account)).copied()
    }

    /// Makes a local session a member; the pool comes into being when it is the first.
    pub(super) fn join(&mut self, key: &Arc<PoolKey>, member: ConnectionId) -> PoolIndex {
        let index = self.find_or_make(key);
        if let Some(pool) = self.get_mut(index) {
            pool.local.push(member);
        }
        index
    }

    /// Ends a local session's membership. The answer is the pool's key, for the directory.
    pub(super) fn leave(&mut self, index: PoolIndex, member: ConnectionId) -> Option<Arc<PoolKey>> {
        let pool = self.get_mut(index)?;
        pool.local.retain(|other| *other != member);
        let key = Arc::clone(&pool.key);
        self.remove_if_empty(index);
        Some(key)
    }

    /// Takes in what another core says about its members.
    pub(super) fn update_remote(
        &mut self,
        core: CoreIndex,
        key: &Arc<PoolKey>,
        handle: PoolHandle,
        (sessions, available_sessions): (u32, u32),
        has_newer: bool,
    ) {
        if sessions == 0 {
            if let Some(index) = self.by_key.get(key).copied() {
                if let Some(before) = self.remote_handle(index, core) {
                    self.remote_handles.remove(&(core, before));
                }
                if let Some(pool) = self.get_mut(index) {
                    pool.remotes.retain(|remote| remote.core != core);
                }
                self.remove_if_empty(index);
            }
            return;
        }
        let index = self.find_or_make(key);
        if let Some(before) = self.remote_handle(index, core).filter(|before| *before != handle) {
            self.remote_handles.remove(&(core, before));
        }
        self.remote_handles.insert((core, handle));
        let Some(pool) = self.get_mut(index) else { return };
        match pool.remotes.iter_mut().find(|remote| remote.core == core) {
            Some(remote) => {
                remote.handle = handle;
                remote.available_sessions = available_sessions;
                remote.has_newer = has_newer;
            }
            None => pool.remotes.push(RemoteMembers {
                core,
                handle,
                available_sessions,
                has_newer,
                credit: 0,
            }),
        }
    }

    /// Another core still has members in the pool that it calls so. (The place of that pool here may be another one by now.)
    pub(super) fn has_remote(&self, core: CoreIndex, handle: PoolHandle) -> bool {
        self.remote_handles.contains(&(core, handle))
    }

    /// A core is gone, and all its members with it.
    pub(super) fn forget_core(&mut self, core: CoreIndex) {
        self.remote_handles.retain(|(of, _)| *of != core);
        for index in (0_u32..)
            .zip(&mut self.places)
            .filter_map(|(index, place)| {
                place.pool.as_mut()?.remotes.retain(|remote| remote.core != core);
                Some(PoolIndex(index))
            })
            .collect::<Vec<_>>()
        {
            self.remove_if_empty(index);
        }
    }

    /// Which core's members take the next message: smooth weighted round-robin by members that have room, so that every
    /// session's share is the same wherever it is. `usable` says whether a core can be reached just now, and is told whether it has
    /// members of a version behind v3.3.
    pub(super) fn take_turn(
        &mut self,
        index: PoolIndex,
        here_is_usable: bool,
        usable: impl Fn(CoreIndex, bool) -> bool,
    ) -> Option<PoolTurn> {
        let pool = self.get_mut(index)?;
        if pool.remotes.is_empty() {
            return (here_is_usable && !pool.local.is_empty()).then_some(PoolTurn::Here);
        }
        let local_weight = if here_is_usable {
            pool.local.len() as i64
        } else {
            0
        };
        pool.local_credit += local_weight;
        let mut total = local_weight;
        let mut best: Option<(i64, Option<usize>)> = (local_weight > 0).then_some((pool.local_credit, None));
        for (place, remote) in pool.remotes.iter_mut().enumerate() {
            let weight = i64::from(remote.available_sessions);
            if weight == 0 || !usable(remote.core, remote.has_newer) {
                continue;
            }
            remote.credit += weight;
            total += weight;
            if best.is_none_or(|(credit, _)| remote.credit > credit) {
                best = Some((remote.credit, Some(place)));
            }
        }
        match best?.1 {
            None => {
                pool.local_credit -= total;
                Some(PoolTurn::Here)
            }
            Some(place) => {
                let remote = &mut pool.remotes[place];
                remote.credit -= total;
                Some(PoolTurn::Core(remote.core, remote.handle))
            }
        }
    }

    /// Another core's members of a pool that has none here, whether they have room or not: what comes from here to wait for its turn
    /// there would else never have one. `usable` as in [`Self::take_turn`].
    pub(super) fn place_to_wait(
        &self,
        index: PoolIndex,
        turn: u32,
        usable: impl Fn(CoreIndex, bool) -> bool,
    ) -> Option<(CoreIndex, PoolHandle)> {
        let pool = self.get(index).filter(|pool| pool.local.is_empty())?;
        let usable = |remote: &&RemoteMembers| usable(remote.core, remote.has_newer);
        let count = pool.remotes.iter().filter(usable).count();
        let remote = pool
            .remotes
            .iter()
            .filter(usable)
            .nth(turn as usize % count.max(1))?;
        Some((remote.core, remote.handle))
    }

    /// The handle of another core's members of a pool.
    pub(super) fn remote_handle(&self, index: PoolIndex, core: CoreIndex) -> Option<PoolHandle> {
        let remotes = &self.get(index)?.remotes;
        let remote = remotes.iter().find(|remote| remote.core == core)?;
        Some(remote.handle)
    }

    /// Some core but this one has members of a version behind v3.3.
    pub(super) fn has_newer_elsewhere(&self, index: PoolIndex) -> bool {
        let pool = self.get(index);
        pool.is_some_and(|pool| pool.remotes.iter().any(|remote| remote.has_newer))
    }

    /// Pools that exist.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Pools among them that are of a range, not of an account.
    pub(super) fn ranges_len(&self) -> usize {
        self.by_key.len() - self.by_account.len()
    }

    /// Every pool, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pool> {
        self.places.iter().filter_map(|place| place.pool.as_ref())
    }

    pub(super) fn check_invariants(&self) {
        assert_eq!(
            self.by_key.len(),
            self.places.len() - self.free.len(),
            "pools and their keys"
        );
        let remotes = self.iter().map(|pool| pool.remotes.len()).sum();
        assert_eq!(
            self.remote_handles.len(),
            remotes,
            "members elsewhere and their handles"
        );
        for (key, index) in &self.by_key {
            let pool = self.get(*index).expect("a key names a pool");
            assert!(
                !pool.local.is_empty() || !pool.remotes.is_empty(),
                "an empty pool: {key:?}"
            );
        }
    }

    fn find_or_make(&mut self, key: &Arc<PoolKey>) -> PoolIndex {
        if let Some(index) = self.by_key.get(key) {
            return *index;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                pool: None,
            });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        self.places[index as usize].pool = Some(Pool {
            key: Arc::clone(key),
            local: Vec::new(),
            cursor: 0,
            local_credit: 0,
            remotes: Vec::new(),
            only_holder: None,
        });
        self.by_key.insert(Arc::clone(key), PoolIndex(index));
        match &key.claim {
            Claim::Receipts(account) => {
                self.by_account.insert((key.vserver, *account), PoolIndex(index));
            }
            Claim::Allowed(account) => self.allowed.insert(key, *account, PoolIndex(index)),
            Claim::Range(range) => {
                if let Some(ranges) = self.ranges.get_mut(usize::from(key.vserver.0)) {
                    ranges.insert(key.addr_ton, key.addr_npi, range, PoolIndex(index));
                }
            }
        }
        PoolIndex(index)
    }

    fn remove_if_empty(&mut self, index: PoolIndex) {
        let Some(place) = self.places.get_mut(index.0 as usize) else {
            return;
        };
        let is_empty = place
            .pool
            .as_ref()
            .is_some_and(|pool| pool.local.is_empty() && pool.remotes.is_empty());
        let Some(pool) = place.pool.take_if(|_| is_empty) else {
            return;
        };
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index.0);
        self.by_key.remove(&pool.key);
        match &pool.key.claim {
            Claim::Receipts(account) => {
                self.by_account.remove(&(pool.key.vserver, *account));
            }
            Claim::Allowed(account) => self.allowed.remove(&pool.key, *account),
            Claim::Range(range) => {
                if let Some(ranges) = self.ranges.get_mut(usize::from(pool.key.vserver.0)) {
                    ranges.remove(pool.key.addr_ton, pool.key.addr_npi, range);
                }
                if let Some(holder) = pool.only_holder {
                    self.allowed.forget_claimed(&pool.key, holder);
                }
            }
        }
    }
}
