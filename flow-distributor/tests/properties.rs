//! What must hold for every flow, key, scheme and load.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;
use smppmux_flow_distributor::{
    Distributor, Flow, IndirectionTable, KEY_OCTETS, LoadView, PinRule, RssBits, RssHash, RssKey, Scheme,
    Settings, Tolerance, plan_rebalancing,
};

fn key() -> impl Strategy<Value = RssKey> {
    prop::array::uniform32(any::<u8>()).prop_map(|random| {
        let mut octets = [0; KEY_OCTETS];
        octets[..random.len()].copy_from_slice(&random);
        RssKey::new(octets)
    })
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

fn endpoint() -> impl Strategy<Value = SocketAddr> {
    (address(), any::<u16>()).prop_map(SocketAddr::from)
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL.to_vec())
}

fn hash() -> impl Strategy<Value = RssHash> {
    prop::sample::select(vec![RssHash::Ahash, RssHash::Toeplitz])
}

fn settings(cores: usize, scheme: Scheme, hash: RssHash, key: RssKey) -> Settings {
    Settings {
        cores,
        scheme,
        hash,
        key,
        bits: RssBits::MAX,
        pins: Vec::new(),
    }
}

fn distributor(own_core: usize, settings: Settings) -> Distributor {
    Distributor::new(own_core, Arc::new(settings)).unwrap_or_else(|error| panic!("{error}"))
}

/// The flow as a dual-stack socket shows it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

proptest! {
    /// Goal: whatever the scheme, the load and the rules, the core exists, and pinned flows stay within their rule.
    #[test]
    fn a_choice_stays_within_the_cores(
        (cores, own_core) in (1_usize..=128).prop_flat_map(|cores| (Just(cores), 0..cores)),
        (scheme, hash, key) in (scheme(), hash(), key()),
        flows in prop::collection::vec((endpoint(), endpoint(), prop::bool::ANY), 1..40),
        load in prop::collection::vec(any::<u32>(), 0..130),
        pinned in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let mut settings = settings(cores, scheme, hash, key);
        let pinned: Vec<String> = pinned.iter().map(|index| index.index(cores).to_string()).collect();
        let rule: PinRule = format!("listener:pinned={}", pinned.join(",")).parse().expect("a rule");
        settings.pins.push(rule.clone());
        let mut distributor = distributor(own_core, settings);
        for (source, destination, is_pinned) in flows {
            let listener = if is_pinned { "pinned" } else { "sms" };
            let flow = Flow { source, destination, listener };
            let account = distributor.choose_for_account(b"esme1", distributor.rule_of(&flow));
            for core in [distributor.choose(&flow, &load), account] {
                prop_assert!(core < cores);
                prop_assert!(!is_pinned || rule.cores.contains(core));
            }
        }
    }

    /// Goal: all cores send the same flow, and the binds of one account, to the same core; and the way an address is
    /// written does not matter.
    #[test]
    fn all_cores_agree(
        cores in 1_usize..=16,
        (two_tuple, hash, key) in (any::<bool>(), hash(), key()),
        (source, destination) in (endpoint(), endpoint()),
        system_id in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let scheme = if two_tuple { Scheme::RssTwoTuple } else { Scheme::Rss };
        let flow = Flow { source, destination, listener: "sms" };
        let seen_as = Flow { source: mapped(source), destination: mapped(destination), listener: "other" };
        let mut choices = (0..cores).flat_map(|own_core| {
            let mut distributor = distributor(own_core, settings(cores, scheme, hash, key));
            let account = distributor.choose_for_account(&system_id, distributor.rule_of(&flow));
            [&flow, &seen_as].map(|flow| (distributor.choose(flow, &[]), account))
        });
        let first = choices.next().expect("there is a core");
        prop_assert!(choices.all(|choice| choice == first));
    }

    /// Goal: with the 2-tuple all connections of a host stay together.
    #[test]
    fn a_two_tuple_ignores_ports(
        (hash, key) in (hash(), key()),
        (source, destination) in (address(), address()),
        ports in prop::collection::vec(any::<(u16, u16)>(), 2..20),
    ) {
        let mut distributor = distributor(0, settings(128, Scheme::RssTwoTuple, hash, key));
        let cores: Vec<usize> = ports
            .iter()
            .map(|(from, to)| Flow {
                source: SocketAddr::new(source, *from),
                destination: SocketAddr::new(destination, *to),
                listener: "sms",
            })
            .map(|flow| distributor.choose(&flow, &[]))
            .collect();
        prop_assert!(cores.iter().all(|core| *core == cores[0]));
    }

    /// Goal: the choice is the least loaded core, and an equal own core is not left.
    #[test]
    fn least_loaded_is_least_loaded(
        load in prop::collection::vec(0_u32..4, 1..20),
        own_core in any::<prop::sample::Index>(),
        (source, destination) in (endpoint(), endpoint()),
    ) {
        let own_core = own_core.index(load.len());
        let mut distributor = distributor(
            own_core,
            settings(load.len(), Scheme::LeastLoaded, RssHash::Ahash, RssKey::MICROSOFT),
        );
        let core = distributor.choose(&Flow { source, destination, listener: "sms" }, &load);
        let least = load.iter().min().copied().expect("there is a core");
        prop_assert_eq!(load[core], least);
        prop_assert!(load[own_core] != least || core == own_core);
    }

    /// Goal: nothing moves within the tolerance; else the fullest core gets lighter or nothing moves; and the moves
    /// are real and say truly where a bucket was.
    #[test]
    fn rebalancing_helps_or_stays_away(
        cores in 1_usize..=12,
        bits in 4_u8..=7,
        bucket_loads in prop::collection::vec(prop_oneof![0_u32..10, 0_u32..100_000], 0..128),
        other_loads in prop::collection::vec(0_u64..50_000, 0..12),
        percent in 0_u32..100,
    ) {
        let bits = RssBits::new(bits).expect("1 to 7 bits");
        let mut table = IndirectionTable::round_robin(bits, cores).expect("enough buckets");
        let core_loads = |table: &IndirectionTable| {
            let mut loads = vec![0_u64; cores];
            for (core, other) in other_loads.iter().take(cores).enumerate() {
                loads[core] += other;
            }
            for (core, load) in table.iter().zip(&bucket_loads) {
                loads[core] += u64::from(*load);
            }
            loads
        };
        let fullest = |loads: &[u64]| loads.iter().copied().max().unwrap_or(0);
        let before = core_loads(&table);
        let view = LoadView { buckets: &bucket_loads, cores: &before };
        let moves = plan_rebalancing(&table, view, Tolerance { percent });

        let limit = before.iter().sum::<u64>() * u64::from(100 + percent);
        let is_even = fullest(&before) * 100 * cores as u64 <= limit;
        prop_assert!(!is_even || moves.is_empty());
        prop_assert!(moves.windows(2).all(|pair| pair[0].bucket < pair[1].bucket), "a bucket moves twice");
        for change in &moves {
            prop_assert_eq!(table.iter().nth(change.bucket), Some(change.from));
            prop_assert_ne!(change.from, change.to);
            prop_assert_eq!(table.rewrite(change.bucket, change.to), Ok(()));
        }
        prop_assert!(moves.is_empty() || fullest(&core_loads(&table)) < fullest(&before));
    }
}

/// How unevenly `flows` fall into the buckets: the chi-square statistic with 127 degrees of freedom. Its mean is 127
/// and its standard deviation 16 when the hash is even.
fn chi_square(distributor: &Distributor, flows: impl Iterator<Item = (SocketAddr, SocketAddr)>) -> f64 {
    let mut counts = [0_u32; 128];
    for (source, destination) in flows {
        let flow = Flow {
            source,
            destination,
            listener: "sms",
        };
        counts[distributor.bucket_of(&flow).expect("a scheme that hashes")] += 1;
    }
    let mean = f64::from(counts.iter().sum::<u32>()) / 128.0;
    counts
        .iter()
        .map(|count| (f64::from(*count) - mean).powi(2) / mean)
        .sum()
}

const FLOWS: u16 = 12_800;
/// Seven standard deviations above the mean: an even hash passes all cases of a run.
const CHI_SQUARE_MAX: f64 = 127.0 + 7.0 * 16.0;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: `ahash` spreads evenly, for random peers as well as for those of real life: one host with ascending
    /// ports, and a provider's hosts in a row.
    #[test]
    fn ahash_is_even(
        key in key(),
        seed in any::<u64>(),
        base in any::<u32>(),
        listener in endpoint(),
    ) {
        let distributor = distributor(0, settings(2, Scheme::Rss, RssHash::Ahash, key));
        let host = |number: u32| IpAddr::from(Ipv4Addr::from(base.wrapping_add(number)));
        let random = (1..=u64::from(FLOWS)).map(|number| {
            // Consecutive multiples of an odd constant: any spread will do, as long as it is not the hash's own.
            let bits = (seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (SocketAddr::new(Ipv4Addr::from((bits >> 32) as u32).into(), (bits >> 16) as u16), listener)
        });
        let ascending_ports = (0..FLOWS).map(|number| (SocketAddr::new(host(0), 32_768 + number), listener));
        let hosts_in_a_row = (0..FLOWS).map(|number| (SocketAddr::new(host(u32::from(number)), 40_000), listener));
        for statistic in [
            chi_square(&distributor, random),
            chi_square(&distributor, ascending_ports),
            chi_square(&distributor, hosts_in_a_row),
        ] {
            prop_assert!(statistic < CHI_SQUARE_MAX, "chi-square {statistic}");
        }
    }
}
