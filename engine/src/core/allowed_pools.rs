//! Sessions that claim all that their account may have: the pools that they are in, and the ranges that others claim beside them.
//!
//! Such a session (an empty address_range with `empty-range = "allowed"`) is in one pool for all plain ranges that its account
//! alone may claim, however many they are, and in a pool of its own for each other one ([`AllowedIndex`](super::range::AllowedIndex)). Invariant: where
//! somebody claims one of the former by its text, a pool of that range comes into being on every core, and all sessions of
//! the account that claim everything with that TON and NPI join it: who may have a message takes turns in one pool.

use super::contract::ConnectionId;
use super::directory::DirectoryKey;
use super::engine::PacketEngine;
use super::pool::PoolIndex;
use super::range::{AddressRange, Claim, NumberingMap, PoolKey};
use super::session::Session;
use super::settings::{ClientIndex, VserverIndex};
use super::time::Moment;
use super::wire::Address;
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of one vserver's accounts.
type ByAccount<V> = HashMap<ClientIndex, V, RandomState>;

/// The pools of sessions that claim all that their account may have.
#[derive(Debug)]
pub(super) struct AllowedPools {
    vservers: Vec<Vserver>,
}

#[derive(Debug)]
struct Vserver {
    pools: ByAccount<NumberingMap<PoolIndex>>,
    /// Pools of single ranges that the account alone may claim.
    claimed: ByAccount<Vec<Arc<PoolKey>>>,
}

impl AllowedPools {
    pub(super) fn new(vservers: usize, seed: u64) -> Self {
        let hashing = || RandomState::with_seeds(seed, 7, 8, 9);
        let vserver = || Vserver {
            pools: HashMap::with_hasher(hashing()),
            claimed: HashMap::with_hasher(hashing()),
        };
        Self {
            vservers: (0..vservers).map(|_| vserver()).collect(),
        }
    }

    /// Nobody claims everything at this vserver.
    #[inline]
    pub(super) fn is_empty(&self, vserver: VserverIndex) -> bool {
        self.vservers[usize::from(vserver.0)].pools.is_empty()
    }

    /// The pool of an account that fits a destination's TON and NPI best.
    #[inline]
    pub(super) fn best(
        &self,
        vserver: VserverIndex,
        client: ClientIndex,
        destination: Address<'_>,
    ) -> Option<PoolIndex> {
        let pools = self.vservers[usize::from(vserver.0)].pools.get(&client)?;
        pools.best(destination.ton, destination.npi)
    }

    pub(super) fn insert(&mut self, key: &PoolKey, client: ClientIndex, pool: PoolIndex) {
        let vserver = &mut self.vservers[usize::from(key.vserver.0)];
        let pools = vserver.pools.entry(client).or_insert_with(NumberingMap::new);
        pools.insert(key.addr_ton, key.addr_npi, pool);
    }

    pub(super) fn remove(&mut self, key: &PoolKey, client: ClientIndex) {
        let vserver = &mut self.vservers[usize::from(key.vserver.0)];
        if let Some(pools) = vserver.pools.get_mut(&client) {
            pools.remove(key.addr_ton, key.addr_npi);
            if pools.is_empty() {
                vserver.pools.remove(&client);
            }
        }
    }

    /// No account is known any more of any single range.
    pub(super) fn forget_holders(&mut self) {
        for vserver in &mut self.vservers {
            vserver.claimed.clear();
        }
    }

    pub(super) fn note_claimed(&mut self, key: &Arc<PoolKey>, holder: ClientIndex) {
        let vserver = &mut self.vservers[usize::from(key.vserver.0)];
        vserver.claimed.entry(holder).or_default().push(Arc::clone(key));
    }

    pub(super) fn claimed_beside(&self, vserver: VserverIndex, holder: ClientIndex) -> &[Arc<PoolKey>] {
        let vserver = &self.vservers[usize::from(vserver.0)];
        vserver.claimed.get(&holder).map_or(&[], Vec::as_slice)
    }
    pub(super) fn forget_claimed(&mut self, key: &Arc<PoolKey>, holder: ClientIndex) {
        let vserver = &mut self.vservers[usize::from(key.vserver.0)];
        if let Some(keys) = vserver.claimed.get_mut(&holder) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                vserver.claimed.remove(&holder);
            }
        }
    }
}

impl PacketEngine {
    /// The pools of a session that claims all that its account may have at a vserver.
    pub(super) fn claims_of_allowed(
        &self,
        client: ClientIndex,
        vserver: VserverIndex,
        (addr_ton, addr_npi): (u8, u8),
    ) -> Vec<Arc<PoolKey>> {
        let key = |claim| {
            Arc::new(PoolKey {
                vserver,
                addr_ton,
                addr_npi,
                claim,
            })
        };
        let apart = self
            .settings
            .allowed(vserver)
            .map(|allowed| allowed.apart(client));
        let apart = apart.unwrap_or_default().iter().cloned().map(Claim::Range);
        let beside = self.pools.claimed_beside(vserver, client).iter();
        let beside = beside.filter(|key| (key.addr_ton, key.addr_npi) == (addr_ton, addr_npi));
        std::iter::once(Claim::Allowed(client))
            .chain(apart)
            .map(key)
            .chain(beside.cloned())
            .collect()
    }

    /// Makes a session a member of a pool. The answer is the version of the directory that tells the other cores.
    pub(super) fn join_pool(&mut self, id: ConnectionId, key: &Arc<PoolKey>) -> u64 {
        let pools_before = self.pools.len();
        let pool = self.pools.join(key, id);
        if let Some(client) = self.sessions.get_mut(id).and_then(Session::client_mut) {
            client.pools.push(pool);
        }
        if self.pools.len() != pools_before {
            self.pool_came(key);
        }
        self.directory.changed(&DirectoryKey::Pool(Arc::clone(key)))
    }

    /// A pool is new on this core: where it is of a range that an account alone may claim, those of its sessions here that claim
    /// everything join it.
    pub(super) fn pool_came(&mut self, key: &Arc<PoolKey>) {
        let Some(holder) = self.only_holder(key) else {
            return;
        };
        self.pools.note_claimed(key, holder);
        let members = self.pools.members_of_allowed(key, holder).to_vec();
        for id in &members {
            let pool = self.pools.join(key, *id);
            if let Some(client) = self.sessions.get_mut(*id).and_then(Session::client_mut) {
                client.pools.push(pool);
            }
        }
        if !members.is_empty() {
            self.directory.changed(&DirectoryKey::Pool(Arc::clone(key)));
        }
    }

    fn only_holder(&self, key: &PoolKey) -> Option<ClientIndex> {
        let Claim::Range(range) = &key.claim else {
            return None;
        };
        self.settings.allowed(key.vserver)?.only_holder(range)
    }

    /// There are new settings: sessions that claim all that their account may have get what it may have now.
    pub(super) fn claims_follow_settings(&mut self, now: Moment) {
        self.pools.forget_holders();
        let keys: Vec<_> = self.pools.iter().map(|pool| Arc::clone(&pool.key)).collect();
        for key in keys {
            if let Some(holder) = self.only_holder(&key) {
                self.pools.note_claimed(&key, holder);
            }
        }
        for id in self.sessions.ids() {
            if let Some((client, vserver, numbering)) = self.claims_allowed(id) {
                self.claim_allowed_anew(id, client, vserver, numbering);
            }
        }
        self.pools_have_changed(now);
    }

    /// Whose ranges a session claims, where, and for which TON and NPI, if it claims all that its account may have.
    pub(super) fn claims_allowed(&self, id: ConnectionId) -> Option<(ClientIndex, VserverIndex, (u8, u8))> {
        let client = self.sessions.get(id).and_then(Session::client)?;
        client.pools.iter().find_map(|pool| {
            let key = &self.pools.get(*pool)?.key;
            match key.claim {
                Claim::Allowed(client) => Some((client, key.vserver, (key.addr_ton, key.addr_npi))),
                Claim::Range(_) | Claim::Receipts(_) => None,
            }
        })
    }

    fn claim_allowed_anew(
        &mut self,
        id: ConnectionId,
        client: ClientIndex,
        vserver: VserverIndex,
        numbering: (u8, u8),
    ) {
        let Some(side) = self.sessions.get(id).and_then(Session::client) else {
            return;
        };
        let settings = Arc::clone(&self.settings);
        let may_have = |range: &AddressRange| {
            settings
                .allowed(vserver)
                .is_some_and(|allowed| allowed.may_claim(client, range))
        };
        let mut has = Vec::new();
        let mut lost = Vec::new();
        for pool in side.pools.clone() {
            match self.pools.get(pool).map(|pool| Arc::clone(&pool.key)) {
                Some(key) if matches!(&key.claim, Claim::Range(range) if !may_have(range)) => lost.push(pool),
                Some(key) => has.push(key),
                None => {}
            }
        }
        if let Some(side) = self.sessions.get_mut(id).and_then(Session::client_mut) {
            side.pools.retain(|pool| !lost.contains(pool));
        }
        for pool in lost {
            if let Some(key) = self.pools.leave(pool, id) {
                self.directory.changed(&DirectoryKey::Pool(key));
            }
        }
        for key in self.claims_of_allowed(client, vserver, numbering) {
            if !has.contains(&key) {
                self.join_pool(id, &key);
            }
        }
    }
}
