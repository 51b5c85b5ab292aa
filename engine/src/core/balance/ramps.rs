//! What a choice by load makes of servers that have a part of their share only (`slow_start`).
//!
//! Where a method gives out shares a part is part of the share. Where it looks for the least busy one that is not enough: an idle
//! server is the least busy one however small its weight is. So there a server that ramps has to save up for each message.
//! Must never refuse a message for which there is room.

use super::Balancer;
use crate::core::server::Server;
use crate::core::settings::ServerIndex;
use crate::core::slow_start::WHOLE;

impl Balancer {
    /// A server that ramps saves its share with each choice, as in weighted round-robin, and is chosen for its low cost only when it
    /// has saved up for it: an idle one has the lowest cost of all, whatever its weight.
    #[cold]
    #[inline(never)]
    pub(super) fn least_by_turn(
        &self,
        group: &[ServerIndex],
        servers: &mut [Server],
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
        cost: impl Fn(&Server, u64) -> u64,
    ) -> Option<ServerIndex> {
        let total = self.save_up(group, servers, has_room, 1);
        let is_its_turn = |index: ServerIndex, server: &Server| {
            (server.part == WHOLE || server.gate >= total) && has_room(index, server)
        };
        if let Some(chosen) = self.least(group, servers, &is_its_turn, &cost) {
            self.pay(&mut servers[usize::from(chosen.0)], total, 1);
            return Some(chosen);
        }
        // A message does not wait for a turn where there is room; nobody pays for having been the only one.
        self.least(group, servers, has_room, &cost)
    }

    /// Each server that ramps saves its share of so many messages. The answer is what a message costs.
    pub(super) fn save_up(
        &self,
        group: &[ServerIndex],
        servers: &mut [Server],
        has_room: &impl Fn(ServerIndex, &Server) -> bool,
        messages: i64,
    ) -> i64 {
        let share_of = |server: &Server| i64::from(server.weight) * i64::from(server.part);
        let with_room = |index: &&ServerIndex| has_room(**index, &servers[usize::from(index.0)]);
        let shares = group.iter().filter(with_room);
        let total: i64 = shares.map(|index| share_of(&servers[usize::from(index.0)])).sum();
        for index in group {
            let server = &mut servers[usize::from(index.0)];
            if server.part < WHOLE && has_room(*index, server) {
                let most = total * self.saved_max();
                server.gate = (server.gate + messages * share_of(server)).min(most);
            }
        }
        total
    }

    /// A server has got so many messages that cost `total` each.
    pub(super) fn pay(&self, server: &mut Server, total: i64, messages: i64) {
        if server.part < WHOLE {
            let least = -total * self.saved_max();
            server.gate = (server.gate - messages * total).max(least);
        }
    }

    /// Messages that a server that ramps saves up for at most, and owes at most: those of a batch, and a turn's.
    fn saved_max(&self) -> i64 {
        i64::from(self.followers_max) + 2
    }
}

#[cfg(test)]
mod tests {
    use super::super::BalanceKey;
    use super::super::tests::{KEY, setup};
    use super::*;
    use crate::core::settings::Method;

    /// Goal: a server that has a part of its share gets just that part, by every method that has shares, whether the servers are idle
    /// or busy and whether others follow or not; and the methods that look at the load give it no more than that.
    #[test]
    fn a_part_of_a_share_is_what_a_server_gets() {
        let methods = [
            Method::RoundRobin,
            Method::WeightedRoundRobin,
            Method::LeastOutstanding,
            Method::LeastResponseTime,
            Method::Priority,
        ];
        for (method, part, is_busy, batch) in methods.into_iter().flat_map(|method| {
            [26, 100, 200, 256].into_iter().flat_map(move |part| {
                [false, true]
                    .into_iter()
                    .flat_map(move |is_busy| [0, 3, 15, 127].map(move |batch| (method, part, is_busy, batch)))
            })
        }) {
            let (mut balancer, mut servers, settings) = setup(method, &[(1, 0), (2, 0), (1, 0)]);
            balancer.followers_max = batch.max(15);
            servers[2].part = part;
            balancer.set_ramping(part < WHOLE);
            // The one that has come back is idle, or all are.
            servers[0].outstanding = u32::from(is_busy) * 50;
            servers[1].outstanding = u32::from(is_busy) * 99;
            let mut taken = [0_u32; 3];
            for _ in 0..3_000 {
                let chosen = balancer
                    .choose(&mut servers, &settings, KEY, |_, server| server.has_local_room())
                    .unwrap();
                (0..batch).for_each(|_| balancer.followed(chosen));
                taken[usize::from(chosen.0)] += 1 + batch;
                let all: u32 = taken.iter().sum();
                let weights = if method == Method::RoundRobin { 2 } else { 3 };
                let exact = f64::from(all) * f64::from(part) / f64::from(weights * WHOLE + part);
                let ahead = f64::from(taken[2]) - exact;
                let bound = 2.0 * f64::from(batch + 2);
                let has_share =
                    part < WHOLE || matches!(method, Method::RoundRobin | Method::WeightedRoundRobin);
                let what = format!("{method:?} {part} busy {is_busy} batch {batch}: {taken:?}");
                assert!(!has_share || ahead <= bound, "{what}, {ahead} ahead");
                // By the response time an idle server of a higher weight is always the better one.
                let is_wanted = is_busy || method != Method::LeastResponseTime;
                assert!(
                    !has_share || !is_wanted || ahead >= -bound - 3.0,
                    "{what}, {ahead} ahead"
                );
            }
        }
    }

    /// Goal: a part of a share keeps no message from the only server with room, and what it got for want of others does not count
    /// against it afterwards.
    #[test]
    fn a_part_of_a_share_refuses_nothing() {
        let (mut balancer, mut servers, settings) = setup(Method::LeastOutstanding, &[(1, 0), (1, 0)]);
        servers[1].part = 26;
        balancer.set_ramping(true);
        servers[0].capacity = 0;
        let mut choose = |servers: &mut Vec<Server>| {
            balancer
                .choose(servers, &settings, KEY, |_, server| server.has_local_room())
                .unwrap()
        };
        for _ in 0..100 {
            assert_eq!(choose(&mut servers), ServerIndex(1));
        }
        servers[0].capacity = 100;
        let soon = (0..30).filter(|_| choose(&mut servers) == ServerIndex(1)).count();
        assert!((2..=5).contains(&soon), "{soon}");
    }

    /// Goal: while the part of a server grows, each key comes to it once and stays; with all of it, keys are where they always were.
    #[test]
    fn keys_come_back_one_after_the_other() {
        let (mut balancer, mut servers, settings) = setup(Method::Hash, &[(1, 0), (1, 0)]);
        let keys: Vec<_> = (0..2_000).map(|number: u32| number.to_string()).collect();
        let mut places = |servers: &mut Vec<Server>| -> Vec<ServerIndex> {
            let choose = |key: &String| {
                let key = BalanceKey {
                    source: key.as_bytes(),
                    ..KEY
                };
                let chosen = balancer.choose(servers, &settings, key, |_, server| server.has_local_room());
                chosen.unwrap()
            };
            keys.iter().map(choose).collect()
        };
        let in_the_end = places(&mut servers);
        let mut before = 0;
        for part in [26, 64, 128, 192, 256] {
            servers[1].part = part;
            let now = places(&mut servers);
            let there = now.iter().filter(|place| place.0 == 1).count();
            let exact = 2_000.0 * f64::from(part) / f64::from(part + 256);
            assert!(
                (there as f64 - exact).abs() < 100.0,
                "{part}: {there}, not {exact}"
            );
            assert!(there > before);
            before = there;
            let strays = now
                .iter()
                .zip(&in_the_end)
                .filter(|(now, then)| now.0 == 1 && then.0 == 0);
            assert_eq!(strays.count(), 0, "nobody comes who would leave again");
        }
        assert_eq!(places(&mut servers), in_the_end);
    }
}
