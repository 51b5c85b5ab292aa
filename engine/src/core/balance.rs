//! Choosing a server for a message: priority groups first, then the vserver's method.
//!
//! Owns nothing but the turn of each vserver. It must never choose a server that has no room, and a later priority group
//! only when no server of an earlier one has any.

mod ramps;

use super::server::Server;
use super::settings::{HashKey, Method, ServerIndex, ServerSettings, VserverSettings};
use ahash::RandomState;

/// The servers behind one vserver, ordered for choosing.
#[derive(Debug)]
pub(super) struct Balancer {
    method: Method,
    hash_key: HashKey,
    /// Servers of equal priority, the first group first.
    groups: Vec<Vec<ServerIndex>>,
    cursor: usize,
    hasher: RandomState,
    /// So many messages may follow one that was chosen without being chosen themselves.
    followers_max: u32,
    /// Those that have followed the last one, and where; to be paid for with the next choice.
    followers: u32,
    followed: ServerIndex,
    /// Some server has not its whole share yet (`slow_start`).
    is_ramping: bool,
}

/// What the hash method looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct BalanceKey<'a> {
    pub(super) source: &'a [u8],
    pub(super) destination: &'a [u8],
    pub(super) system_id: &'a [u8],
}

impl Balancer {
    pub(super) fn new(vserver: &VserverSettings, servers: &[ServerSettings]) -> Self {
        let mut ordered = vserver.servers.clone();
        ordered.sort_by_key(|server| servers[usize::from(server.0)].priority);
        let groups = ordered
            .chunk_by(|one, other| {
                servers[usize::from(one.0)].priority == servers[usize::from(other.0)].priority
            })
            .map(<[ServerIndex]>::to_vec)
            .collect();
        // The same on all cores, so that a key's server does not depend on the core that took the connection.
        let hasher = RandomState::with_seeds(0x736D_7070, 0x6D75_7800, 0x6861_7368, 0x6B65_7900);
        Self {
            method: vserver.method,
            hash_key: vserver.hash_key,
            groups,
            cursor: 0,
            hasher,
            followers_max: match vserver.method {
                // The key of each decides.
                Method::Hash => 0,
                _ => vserver.method_batch.saturating_sub(1),
            },
            followers: 0,
            followed: ServerIndex(0),
            is_ramping: false,
        }
    }

    /// How many messages that came together with one that was chosen may go to its server.
    #[inline]
    pub(super) const fn followers_max(&self) -> u32 {
        self.followers_max
    }

    /// Whether some server has a part of its share only.
    pub(super) const fn set_ramping(&mut self, is_ramping: bool) {
        self.is_ramping = is_ramping;
    }

    /// A message went where the one before it went.
    #[inline]
    pub(super) fn followed(&mut self, server: ServerIndex) {
        (self.followed, self.followers) = (server, self.followers.saturating_add(1));
    }

    /// The one server that there is, if there is one.
    #[inline]
    pub(super) fn only_server(&self) -> Option<ServerIndex> {
        match self.groups.as_slice() {
            [group] => match group.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
            _ => None,
        }
    }

    /// The server for the next message among those for which `has_room` holds.
    #[inline]
    pub(super) fn choose(
        &mut self,
        servers: &mut [Server],
        settings: &[ServerSettings],
        key: BalanceKey<'_>,
        has_room: impl Fn(ServerIndex, &Server) -> bool,
    ) -> Option<ServerIndex> {
        self.cursor = self.cursor.wrapping_add(1);
        if self.followers > 0 {
            self.pay_for_followers(servers, &has_room);
        }
        for group in &self.groups {
            // Between several servers the method decides.
            let chosen = match (group.as_slice(), self.method) {
                ([only], _) => Some(*only).filter(|only| has_room(*only, &servers[usize::from(only.0)])),
                (group, Method::LeastOutstanding | Method::Priority) => {
                    self.least_by(group, servers, &has_room, |server, weight| {
                        u64::from(server.load()) * SCALE / weight
                    })
                }
                (group, Method::LeastResponseTime) => {
                    self.least_by(group, servers, &has_room, |server, weight| {
                        (u64::from(server.load()) + 1).saturating_mul(server.response_nanoseconds) / weight
                    })
                }
                (group, Method::RoundRobin | Method::WeightedRoundRobin) => {
                    weighted(group, servers, &has_room, self.method)
                }
                (group, Method::Hash) => self.hashed(group, servers, settings, key, &has_room),
            };
            if chosen.is_some() {
                return chosen;
            }
        }
        None
    }

    /// The lowest cost wins, among those that it is the turn of where some have a part of their share only.
    #[inline]
    fn least_by(
        &self,
        group: &[ServerIndex],
        servers: &mut [Server],
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
        cost: impl Fn(&Server, u64) -> u64,
    ) -> Option<ServerIndex> {
        if self.is_ramping {
            self.least_by_turn(group, servers, has_room, cost)
        } else {
            self.least(group, servers, has_room, cost)
        }
    }

    /// The lowest cost wins; equal ones take turns.
    #[inline]
    fn least(
        &self,
        group: &[ServerIndex],
        servers: &[Server],
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
        cost: impl Fn(&Server, u64) -> u64,
    ) -> Option<ServerIndex> {
        let better = |best: Option<(u64, ServerIndex)>, index: ServerIndex| {
            let server = &servers[usize::from(index.0)];
            if !has_room(index, server) {
                return best;
            }
            let cost = cost(server, u64::from(server.weight.max(1)));
            best.filter(|(lowest, _)| *lowest <= cost).or(Some((cost, index)))
        };
        self.rotated(group).fold(None, better).map(|(_, index)| index)
    }

    /// Each follower was one more choice of its server, which the others are owed for.
    fn pay_for_followers(
        &mut self,
        servers: &mut [Server],
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
    ) {
        let followers = i64::from(std::mem::take(&mut self.followers));
        let has_credit = matches!(self.method, Method::RoundRobin | Method::WeightedRoundRobin);
        if !has_credit && !self.is_ramping {
            // The others look at the load, which knows of followers. Credit that nobody spends would be spent after a reload.
            return;
        }
        let Some(group) = self.groups.iter().find(|group| group.contains(&self.followed)) else {
            return;
        };
        if !has_credit {
            let total = self.save_up(group, servers, has_room, followers);
            return self.pay(&mut servers[usize::from(self.followed.0)], total, followers);
        }
        for index in group.iter().copied().filter(|index| *index != self.followed) {
            let server = &mut servers[usize::from(index.0)];
            if has_room(index, server) {
                let owed = followers * share(server, self.method);
                server.credit += owed;
                servers[usize::from(self.followed.0)].credit -= owed;
            }
        }
    }

    /// Rendezvous hashing: each key ranks all servers in an order of its own and takes the first that has room, so a server
    /// that comes or goes moves only its own keys.
    fn hashed(
        &self,
        group: &[ServerIndex],
        servers: &[Server],
        settings: &[ServerSettings],
        key: BalanceKey<'_>,
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
    ) -> Option<ServerIndex> {
        let key = match self.hash_key {
            HashKey::Source => key.source,
            // Several destinations, or none: the source keeps what belongs together.
            HashKey::Destination if key.destination.is_empty() => key.source,
            HashKey::Destination => key.destination,
            HashKey::SystemId => key.system_id,
        };
        let candidates = group
            .iter()
            .copied()
            .filter(|index| has_room(*index, &servers[usize::from(index.0)]));
        candidates.max_by(|one, other| {
            let score = |index: &ServerIndex| {
                let settings = &settings[usize::from(index.0)];
                let hash = self.hasher.hash_one((key, settings.uid)) >> 11;
                let uniform = (hash as f64 + 1.0) / (1_u64 << 53) as f64;
                // While a server's part grows, keys come to it one after the other, each once.
                let server = &servers[usize::from(index.0)];
                -(f64::from(server.weight) * f64::from(server.part)) / uniform.ln()
            };
            score(one).total_cmp(&score(other))
        })
    }

    /// A group from the server on whose turn it is, and round.
    #[inline]
    fn rotated(&self, group: &[ServerIndex]) -> impl Iterator<Item = ServerIndex> {
        let (behind, from_turn) = group.split_at(self.cursor % group.len());
        from_turn.iter().chain(behind).copied()
    }
}

/// Smooth weighted round-robin: everyone saves its share, the richest goes and pays the total.
fn weighted(
    group: &[ServerIndex],
    servers: &mut [Server],
    has_room: &impl Fn(ServerIndex, &Server) -> bool,
    method: Method,
) -> Option<ServerIndex> {
    let mut total = 0;
    let mut best: Option<(i64, ServerIndex)> = None;
    for index in group.iter().copied() {
        let server = &mut servers[usize::from(index.0)];
        if !has_room(index, server) {
            continue;
        }
        let share = share(server, method);
        server.credit += share;
        total += share;
        if best.is_none_or(|(richest, _)| server.credit > richest) {
            best = Some((server.credit, index));
        }
    }
    let (_, index) = best?;
    servers[usize::from(index.0)].credit -= total;
    Some(index)
}

/// What a server saves with each choice.
fn share(server: &Server, method: Method) -> i64 {
    let part = i64::from(server.part);
    match method {
        Method::WeightedRoundRobin => i64::from(server.weight) * part,
        _ => part,
    }
}

/// Makes room for the division by the weight.
const SCALE: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::super::settings::samples::{server_settings, vserver_settings};
    use super::super::wire::Version;
    use super::*;
    use std::time::Duration;

    pub(super) const KEY: BalanceKey<'static> = BalanceKey {
        source: b"1",
        destination: b"2",
        system_id: b"3",
    };

    pub(super) fn setup(
        method: Method,
        weights_and_priorities: &[(u32, u32)],
    ) -> (Balancer, Vec<Server>, Vec<ServerSettings>) {
        let settings: Vec<_> = (0_u8..)
            .zip(weights_and_priorities)
            .map(|(place, (weight, priority))| ServerSettings {
                uid: [b'0', b'A' + place],
                weight: *weight,
                priority: *priority,
                ..server_settings()
            })
            .collect();
        let servers = settings
            .iter()
            .map(|settings| Server {
                capacity: 100,
                weight: settings.weight,
                ..Server::new(Duration::ZERO, Version::V34, Vec::new())
            })
            .collect();
        let indices = (0..settings.len() as u16).map(ServerIndex).collect();
        let vserver = VserverSettings {
            method,
            method_batch: 16,
            servers: indices,
            ..vserver_settings()
        };
        (Balancer::new(&vserver, &settings), servers, settings)
    }

    fn shares(method: Method, weights_and_priorities: &[(u32, u32)], rounds: usize) -> Vec<usize> {
        let (mut balancer, mut servers, settings) = setup(method, weights_and_priorities);
        let mut shares = vec![0; settings.len()];
        for _ in 0..rounds {
            let chosen = balancer
                .choose(&mut servers, &settings, KEY, |_, server| server.has_local_room())
                .unwrap();
            shares[usize::from(chosen.0)] += 1;
        }
        shares
    }

    /// Goal: each method's shares are what it promises, and a later group gets nothing while the first has room.
    #[test]
    fn shares_follow_the_method() {
        assert_eq!(
            shares(Method::RoundRobin, &[(1, 0), (1, 0), (1, 0)], 300),
            [100, 100, 100]
        );
        assert_eq!(
            shares(Method::WeightedRoundRobin, &[(5, 0), (1, 0), (2, 0)], 800),
            [500, 100, 200]
        );
        assert_eq!(shares(Method::LeastOutstanding, &[(1, 0), (1, 0)], 100), [50, 50]);
        assert_eq!(shares(Method::Priority, &[(1, 1), (1, 0)], 100), [0, 100]);
        assert!(
            shares(Method::Hash, &[(1, 0), (1, 0), (1, 0)], 100).contains(&100),
            "one key, one server"
        );
    }

    /// Goal: what follows a chosen message is paid for: shares are exact again as soon as others may be chosen, however long the
    /// batches are.
    #[test]
    fn followers_are_paid_for() {
        for (method, weights, expected) in [
            (Method::RoundRobin, [(1, 0), (3, 0)], [1, 1]),
            (Method::WeightedRoundRobin, [(1, 0), (3, 0)], [1, 3]),
        ] {
            let (mut balancer, mut servers, settings) = setup(method, &weights);
            assert_eq!(balancer.followers_max(), 15);
            let mut taken = [0_u32; 2];
            for choice in 0_u32..4000 {
                let chosen = balancer
                    .choose(&mut servers, &settings, KEY, |_, server| server.has_local_room())
                    .unwrap();
                // Long batches and single messages in a pattern that would favour one server if only choices counted.
                let followers = if choice % 2 == 0 { 15 } else { choice % 3 };
                (0..followers).for_each(|_| balancer.followed(chosen));
                taken[usize::from(chosen.0)] += 1 + followers;
                let [one, other] = taken.map(i64::from);
                let [one_share, other_share] = expected;
                let ahead = one * other_share - other * one_share;
                assert!(ahead.abs() <= 16 * 4, "{method:?}: {taken:?}");
            }
            assert!(taken.iter().all(|taken| *taken > 5_000), "{taken:?}");
        }
        let (balancer, ..) = setup(Method::Hash, &[(1, 0), (1, 0)]);
        assert_eq!(balancer.followers_max(), 0, "each has its own key");
        let (mut balancer, mut servers, settings) = setup(Method::LeastOutstanding, &[(1, 0), (1, 0)]);
        for _ in 0..10 {
            balancer.followed(ServerIndex(0));
            balancer.choose(&mut servers, &settings, KEY, |_, server| server.has_local_room());
        }
        assert!(
            servers.iter().all(|server| server.credit == 0),
            "nobody spends it"
        );
    }

    /// Goal: least-outstanding follows load and weight, least-response-time the measured time.
    #[test]
    fn the_least_loaded_is_chosen() {
        let (mut balancer, mut servers, settings) = setup(Method::LeastOutstanding, &[(1, 0), (4, 0)]);
        (servers[0].outstanding, servers[1].outstanding) = (3, 8);
        let room = |_: ServerIndex, server: &Server| server.has_local_room();
        assert_eq!(
            balancer.choose(&mut servers, &settings, KEY, room),
            Some(ServerIndex(1))
        );
        let (mut balancer, mut servers, settings) = setup(Method::LeastResponseTime, &[(1, 0), (1, 0)]);
        servers[0].measure(50_000_000);
        servers[1].measure(10_000_000);
        assert_eq!(
            balancer.choose(&mut servers, &settings, KEY, room),
            Some(ServerIndex(1))
        );
        servers[1].outstanding = 9;
        assert_eq!(
            balancer.choose(&mut servers, &settings, KEY, room),
            Some(ServerIndex(0))
        );
    }

    /// Goal: when a server goes, only its own keys move, and keys spread by weight.
    #[test]
    fn hashing_moves_only_the_lost_servers_keys() {
        let (mut balancer, mut servers, settings) = setup(Method::Hash, &[(1, 0), (1, 0), (2, 0)]);
        let keys: Vec<_> = (0..4_000).map(|number: u32| number.to_string()).collect();
        let mut choose = |servers: &mut Vec<Server>, key: &str| {
            let key = BalanceKey {
                source: key.as_bytes(),
                ..KEY
            };
            balancer
                .choose(servers, &settings, key, |_, server| server.has_local_room())
                .unwrap()
        };
        let before: Vec<_> = keys.iter().map(|key| choose(&mut servers, key)).collect();
        let share = before.iter().filter(|server| server.0 == 2).count();
        assert!(
            (1_800..2_200).contains(&share),
            "half of the keys for half of the weight: {share}"
        );
        servers[0].capacity = 0;
        for (key, before) in keys.iter().zip(before) {
            let after = choose(&mut servers, key);
            assert!(after == before || before == ServerIndex(0));
        }
    }
}
