//! Address ranges: what a text means does not change when it is written in its normal form, a grant covers what it says, and
//! the index gives the most specific range that holds an address, as a search through all of them does.

use smppmux_engine::core::range::{AddressRange, AllowedIndex, RANGE_OCTETS_MAX, RangeIndex, RangeKind};
use smppmux_engine::core::settings::ClientIndex;

pub(crate) fn run(data: &[u8]) {
    // Text, addresses and more texts are lines.
    let mut lines = data.split(|octet| *octet == b'\n');
    let addresses: Vec<&[u8]> = lines
        .next()
        .unwrap_or_default()
        .split(|octet| *octet == b' ')
        .collect();
    let parsed = lines.take(8).map(AddressRange::parse);
    let ranges: Vec<AddressRange> = parsed.filter_map(Result::ok).collect();
    // With its signs escaped a normal form may be longer than a text may be.
    for range in ranges
        .iter()
        .filter(|range| range.text().len() <= RANGE_OCTETS_MAX)
    {
        let again = AddressRange::parse(range.text().as_bytes());
        let again = again.unwrap_or_else(|error| panic!("{}: {error}", range.text()));
        assert_eq!(again.text(), range.text());
        assert_eq!(again.kind(), range.kind());
        for address in &addresses {
            assert_eq!(range.matches(address), again.matches(address), "{}", range.text());
        }
    }
    for range in &ranges {
        assert!(range.covers(range), "{} covers itself", range.text());
    }
    covers_what_it_holds(&ranges, &addresses);
    index_finds_the_best(&ranges, &addresses);
}

/// What a claim holds, the grant that covers it holds too.
fn covers_what_it_holds(ranges: &[AddressRange], addresses: &[&[u8]]) {
    for grant in ranges {
        for claim in ranges.iter().filter(|claim| grant.covers(claim)) {
            for address in addresses {
                assert!(
                    !claim.matches(address) || grant.matches(address),
                    "{} covers {}, but not {}",
                    grant.text(),
                    claim.text(),
                    address.escape_ascii()
                );
            }
        }
    }
    let allowed = AllowedIndex::new(1, (0..).map(ClientIndex).zip(ranges));
    for address in addresses {
        // An empty configured range grants nothing.
        let grants = |range: &&AddressRange| range.kind() != RangeKind::Empty && range.matches(address);
        let is_held = ranges.iter().any(|range| grants(&range));
        assert_eq!(
            allowed.may_be_claimed(address),
            is_held,
            "{}",
            address.escape_ascii()
        );
    }
}

fn index_finds_the_best(ranges: &[AddressRange], addresses: &[&[u8]]) {
    let mut index = RangeIndex::new(7);
    for (number, range) in ranges.iter().enumerate() {
        index.insert(0, 0, range, number);
    }
    for address in addresses {
        let best = index.best(1, 1, address);
        let held: Vec<usize> = (0..ranges.len())
            .filter(|place| ranges[*place].matches(address))
            .collect();
        assert_eq!(best.is_some(), !held.is_empty(), "{}", address.escape_ascii());
        let Some(best) = best else { continue };
        assert!(
            held.contains(&best),
            "{} at {}",
            ranges[best].text(),
            address.escape_ascii()
        );
        // An exact address comes before every prefix, a prefix before the shorter ones and before anything else.
        for other in held {
            let (best, other) = (&ranges[best], &ranges[other]);
            let is_before = match other.kind() {
                RangeKind::Exact => best.kind() == RangeKind::Exact,
                RangeKind::Prefix => {
                    best.kind() == RangeKind::Exact || best.kind() == RangeKind::Prefix && other.covers(best)
                }
                _ => true,
            };
            assert!(is_before, "{} before {}", best.text(), other.text());
        }
    }
    for range in ranges {
        index.remove(0, 0, range);
    }
    assert!(index.is_empty());
}
