//! Turns, rules and tables of the distributor, by example.

use std::net::SocketAddr;
use std::sync::Arc;

use smppmux_flow_distributor::{
    BucketMove, Distributor, Flow, IndirectionTable, LoadView, RssBits, Scheme, Settings, SettingsError,
    TableError, Tolerance, plan_rebalancing,
};

fn settings(cores: usize, scheme: Scheme, pins: &[&str]) -> Settings {
    let pins = pins.iter().map(|pin| pin.parse().expect("a rule")).collect();
    Settings {
        scheme,
        pins,
        ..Settings::for_cores(cores)
    }
}

fn distributor(own_core: usize, settings: Settings) -> Distributor {
    Distributor::new(own_core, Arc::new(settings)).unwrap_or_else(|error| panic!("{error}"))
}

fn flow(source: &str) -> Flow<'static> {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address and a port");
    Flow {
        source: address(source),
        destination: address("192.0.2.1:2775"),
        listener: "sms",
    }
}

/// Goal: every core begins with itself, so that the first connections of four cores do not meet on one.
#[test]
fn round_robin_goes_round_from_the_own_core() {
    let mut distributor = distributor(2, settings(4, Scheme::RoundRobin, &["10.0.0.0/8=0,3"]));
    let mut take = |source: &str, count| {
        (0..count)
            .map(|_| distributor.choose(&flow(source), &[]))
            .collect::<Vec<usize>>()
    };
    assert_eq!(take("198.51.100.1:1", 5), [2, 3, 0, 1, 2]);
    // A rule has turns of its own.
    assert_eq!(take("10.1.2.3:1", 4), [0, 3, 0, 3]);
    assert_eq!(take("198.51.100.1:1", 1), [3]);
}

/// Goal: the first rule that matches counts, whatever the scheme says.
#[test]
fn the_first_matching_rule_counts() {
    for scheme in Scheme::ALL {
        let pins = ["10.1.0.0/16=3", "10.0.0.0/8=1", "listener:sms=2"];
        let mut distributor = distributor(0, settings(4, scheme, &pins));
        for (source, core) in [
            ("10.1.9.9:5", 3),
            ("[::ffff:10.1.9.9]:5", 3),
            ("10.2.0.1:5", 1),
            ("198.51.100.1:5", 2),
            ("[2001:db8::1]:5", 2),
        ] {
            assert_eq!(
                distributor.choose(&flow(source), &[0, 9, 9, 9]),
                core,
                "{scheme}: {source}"
            );
            assert_eq!(
                distributor.bucket_of(&flow(source)),
                None,
                "a pinned flow follows no bucket"
            );
        }
    }
}

/// Goal: before the bind a connection is not handed over only to be handed over again.
#[test]
fn an_account_stays_until_it_is_known() {
    let mut distributor = distributor(1, settings(4, Scheme::Account, &["10.0.0.0/8=0,2"]));
    assert_eq!(distributor.choose(&flow("198.51.100.1:1"), &[]), 1);
    let pinned = distributor.choose(&flow("10.0.0.1:1"), &[]);
    assert!(pinned == 0 || pinned == 2);
}

/// Goal: a rewritten bucket moves the new flows that fall into it, and no table is taken twice, late or in another
/// shape.
#[test]
fn a_published_table_is_followed() {
    let mut distributor = distributor(0, settings(3, Scheme::Rss, &[]));
    let flow = flow("198.51.100.7:40000");
    let bucket = distributor.bucket_of(&flow).expect("rss hashes flows");
    let before = distributor.choose(&flow, &[]);
    let mut table = IndirectionTable::clone(distributor.table());
    let older = Arc::new(table.clone());
    let after = (before + 1) % 3;
    table
        .rewrite(bucket, after)
        .expect("a bucket and a core that exist");
    let newer = Arc::new(table);

    assert!(!distributor.install(Arc::clone(&older)));
    assert!(distributor.install(Arc::clone(&newer)));
    assert_eq!(distributor.choose(&flow, &[]), after);
    assert!(!distributor.install(newer) && !distributor.install(older));

    let mut other_shape =
        IndirectionTable::round_robin(RssBits::new(2).expect("2 bits"), 3).expect("enough buckets");
    for core in [1, 2, 1, 2] {
        other_shape
            .rewrite(0, core)
            .expect("a bucket and a core that exist");
    }
    assert!(!distributor.install(Arc::new(other_shape)));
}

#[test]
fn settings_that_do_not_hold_together_are_refused() {
    let refused = |own_core, settings| Distributor::new(own_core, Arc::new(settings)).err();
    assert_eq!(
        refused(0, settings(0, Scheme::Rss, &[])),
        Some(SettingsError::CoreCount { cores: 0 })
    );
    assert_eq!(
        refused(0, settings(1025, Scheme::Rss, &[])),
        Some(SettingsError::CoreCount { cores: 1025 })
    );
    let own_core = SettingsError::OwnCore {
        own_core: 2,
        cores: 2,
    };
    assert_eq!(refused(2, settings(2, Scheme::Rss, &[])), Some(own_core));
    let beyond = SettingsError::PinBeyondCores {
        rule: "10.0.0.0/8=0,2".to_owned(),
        cores: 2,
    };
    assert_eq!(
        refused(0, settings(2, Scheme::Rss, &["10.0.0.0/8=0,2"])),
        Some(beyond)
    );
    let coarse = Settings {
        bits: RssBits::new(1).expect("1 bit"),
        ..settings(3, Scheme::Rss, &[])
    };
    let table = TableError::FewerBucketsThanCores { buckets: 2, cores: 3 };
    assert_eq!(refused(0, coarse), Some(SettingsError::Table(table)));
}

/// Goal: two of three cores are fullest alike, so that the first move alone does not help; the plan goes on.
#[test]
fn rebalancing_sees_beyond_a_tie() {
    let table = IndirectionTable::round_robin(RssBits::new(2).expect("2 bits"), 3).expect("enough buckets");
    // Buckets 0 to 3 are on the cores 0, 1, 2, 0.
    let plan = |buckets: &[u32; 4], cores: &[u64; 3]| {
        plan_rebalancing(&table, LoadView { buckets, cores }, Tolerance { percent: 10 })
    };
    assert_eq!(
        plan(&[10, 60, 0, 50], &[60, 60, 0]),
        [],
        "core 1 cannot give up half a bucket"
    );
    let moves = plan(&[10, 30, 0, 50], &[60, 60, 0]);
    assert_eq!(
        moves,
        [
            BucketMove {
                bucket: 0,
                from: 0,
                to: 1
            },
            BucketMove {
                bucket: 1,
                from: 1,
                to: 2
            }
        ]
    );
    assert_eq!(plan(&[10, 30, 0, 50], &[60, 60, 60]), [], "it is even");
}
