//! The decision when to rewrite the table, run against simulated cores.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use smppmux_flow_distributor::{Balancer, CoreWork, IndirectionTable, Look, Policy, RssBits, Tolerance};

const INTERVAL: Duration = Duration::from_secs(5);
const LOOKS: u32 = 3;
const REST: Duration = Duration::from_secs(30);

fn balancer(cores: usize, percent: u32) -> Balancer {
    let table = IndirectionTable::round_robin(RssBits::MAX, cores).expect("enough buckets");
    let policy = Policy {
        tolerance: Tolerance { percent },
        looks: LOOKS,
        rest: REST,
    };
    Balancer::new(policy, table)
}

/// Connections and messages alike, so that the load is the connections'.
fn work(load: f64) -> CoreWork {
    CoreWork {
        busy: INTERVAL.mul_f64(load / 1e6),
        messages: (load * 10.0) as u64,
        connections: load as u64,
    }
}

fn look_at(balancer: &mut Balancer, number: u32, cores: &[CoreWork], arrivals: &[u64]) -> usize {
    let look = Look {
        at: INTERVAL * number,
        elapsed: INTERVAL,
        cores,
        arrivals,
    };
    balancer.look(&look).len()
}

fn unevenness(loads: &[f64]) -> f64 {
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    loads.iter().copied().fold(0.0, f64::max) / mean
}

fn shares(balancer: &Balancer, arrivals: &[u64], cores: usize) -> Vec<f64> {
    let total = arrivals.iter().sum::<u64>() as f64;
    let mut shares = vec![0.0; cores];
    for (core, arrived) in balancer.table().iter().zip(arrivals) {
        shares[core] += *arrived as f64 / total;
    }
    shares
}

proptest! {
    /// Goal: while load and arrivals stay as they are, no table comes twice, rewrites keep their distance, and they end; none comes
    /// where the load is within the tolerance.
    /// Method: 400 looks that all show the same.
    #[test]
    fn a_constant_load_is_rewritten_for_once(
        cores in 2_usize..=12,
        percent in 10_u32..=100,
        loads in prop::collection::vec(prop_oneof![Just(0.0), 10.0..5000.0_f64], 12),
        arrivals in prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..5, 0_u64..500], 128),
    ) {
        let loads = &loads[..cores];
        let mut balancer = balancer(cores, percent);
        let figures: Vec<CoreWork> = loads.iter().map(|load| work(*load)).collect();
        let mut tables = HashSet::from([balancer.table().iter().collect::<Vec<_>>()]);
        let mut rewrites = Vec::new();
        for number in 1..=400 {
            let moved = look_at(&mut balancer, number, &figures, &arrivals);
            if moved > 0 {
                prop_assert!(moved <= 128);
                prop_assert!(tables.insert(balancer.table().iter().collect()), "a table comes again");
                rewrites.push(number);
            }
        }
        prop_assert!(rewrites.first().is_none_or(|first| *first >= LOOKS));
        prop_assert!(rewrites.windows(2).all(|pair| INTERVAL * (pair[1] - pair[0]) >= REST));
        prop_assert!(rewrites.len() <= 8, "{rewrites:?}");
        prop_assert!(rewrites.last().is_none_or(|last| *last < 200), "{rewrites:?}");
        prop_assert!(loads.iter().sum::<f64>() < 100.0 || unevenness(loads) > f64::from(percent) / 100.0 + 0.99 || rewrites.is_empty());
    }

    /// Goal: where sessions come and go the cores become even and stay so, without rewriting for ever, however fast sessions are replaced.
    /// Method: each look replaces a part of every core's sessions by what the table sends; 3,000 looks from any start.
    #[test]
    fn sessions_that_come_and_go_even_out(
        cores in 2_usize..=8,
        percent in 15_u32..=50,
        replaced in 0.002..1.0_f64,
        start in prop::collection::vec(0.0..1.0_f64, 8),
        skew in prop::collection::vec(1_u64..20, 128),
    ) {
        let total = 10_000.0 * cores as f64;
        let whole: f64 = start[..cores].iter().sum::<f64>().max(0.001);
        let mut loads: Vec<f64> = start[..cores].iter().map(|load| load / whole * total).collect();
        let mut balancer = balancer(cores, percent);
        let mut late_rewrites = 0;
        for number in 1..=3000 {
            for (load, share) in loads.iter_mut().zip(shares(&balancer, &skew, cores)) {
                *load = *load * (1.0 - replaced) + total * share * replaced;
            }
            let figures: Vec<CoreWork> = loads.iter().map(|load| work(*load)).collect();
            if look_at(&mut balancer, number, &figures, &skew) > 0 && number > 1500 {
                late_rewrites += 1;
            }
        }
        prop_assert_eq!(late_rewrites, 0, "it never ends: {:?}", loads);
        let limit = 1.0 + f64::from(percent) / 100.0 + 0.02;
        prop_assert!(unevenness(&loads) <= limit, "{:?}", loads);
        prop_assert!(balancer.rewrites() <= 24, "{} rewrites", balancer.rewrites());
    }
}

/// Goal: the buckets go away from the busy core, those with many new connections first.
#[test]
fn new_connections_leave_the_busy_core() {
    let mut balancer = balancer(4, 20);
    let busy = [work(4000.0), work(1000.0), work(1000.0), work(1000.0)];
    let mut arrivals = [0; 128];
    arrivals[4] = 50;
    assert_eq!(balancer.table().iter().nth(4), Some(0));
    for number in 1..LOOKS {
        assert_eq!(look_at(&mut balancer, number, &busy, &arrivals), 0);
    }
    assert!(look_at(&mut balancer, LOOKS, &busy, &arrivals) > 0);
    assert_ne!(balancer.table().iter().nth(4), Some(0));
    let of_busy = balancer.table().iter().filter(|core| *core == 0).count();
    assert!(of_busy < 32, "{of_busy} buckets stay");
    assert_eq!((balancer.rewrites(), balancer.table().version() > 0), (1, true));
    assert_eq!(balancer.load_percent(0), Some(228));
}

/// Goal: each figure counts by its weight, and one that is next to nothing does not count.
#[test]
fn figures_have_weights() {
    let idle = CoreWork::default();
    let one = |busy, messages, connections| {
        let mut balancer = balancer(2, 20);
        let figures = [
            CoreWork {
                busy: Duration::from_millis(busy),
                messages,
                connections,
            },
            idle,
        ];
        let other = CoreWork {
            busy: Duration::ZERO,
            messages,
            connections,
        };
        look_at(&mut balancer, 1, &[figures[0], other], &[]);
        balancer.load_percent(0)
    };
    // Two quarters on the first core alone, two halves of a quarter on each.
    assert_eq!(one(2500, 1000, 100), Some(150));
    // 100 ms of 5 s, 10 messages and 3 connections are nothing.
    assert_eq!(one(100, 5, 1), None);
    // Connections alone.
    assert_eq!(one(0, 0, 100), Some(100));
}

/// Goal: a load that is elsewhere at every third look moves nothing.
#[test]
fn a_burst_moves_nothing() {
    let mut balancer = balancer(2, 20);
    let (often, seldom) = ([work(4000.0), work(0.0)], [work(0.0), work(4000.0)]);
    for number in 0..200 {
        let figures = if number % 3 == 0 { &seldom } else { &often };
        assert_eq!(look_at(&mut balancer, number, figures, &[]), 0, "look {number}");
    }
}

/// Goal: one core is always even.
#[test]
fn one_core_is_left_alone() {
    let mut balancer = balancer(1, 10);
    for number in 0..20 {
        assert_eq!(look_at(&mut balancer, number, &[work(4000.0)], &[1; 128]), 0);
    }
}
