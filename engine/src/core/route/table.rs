//! The rules of one vserver and direction, compiled: each stands in one index, by the most telling thing that it asks for.
//!
//! A message looks only at the rules that its own addresses and sender lead to, and at those that no index can hold. Each
//! list is in the order of the configuration, so the first match is the lowest of the first matches of all lists.

use super::{AddressMatch, RouteQuery, RouteRule};
use crate::core::range::RangeMatcher;
use crate::core::settings::ClientIndex;
use crate::core::wire::Address;
use ahash::RandomState;
use std::collections::HashMap;

/// Rules in the order of the configuration, by place.
type Places = Vec<u32>;

/// Compiled rules. Belongs to one core.
#[derive(Clone, Debug)]
pub struct RouteTable {
    rules: Vec<CompiledRule>,
    by_destination: PrefixIndex,
    by_source: PrefixIndex,
    by_client: HashMap<ClientIndex, Places, RandomState>,
    others: Places,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    /// Its place among all rules of the configuration.
    number: u16,
    rule: RouteRule,
    source: CompiledAddress,
    destination: CompiledAddress,
}

#[derive(Clone, Debug)]
struct CompiledAddress {
    matcher: Option<RangeMatcher>,
    ton: Option<u8>,
    npi: Option<u8>,
}

impl RouteTable {
    /// Compiles rules, each with its place in the configuration. `None` when there are none.
    pub fn new<'r>(rules: impl IntoIterator<Item = (u16, &'r RouteRule)>, seed: u64) -> Option<Self> {
        let hasher = || RandomState::with_seeds(seed, 21, 22, 23);
        let mut table = Self {
            rules: Vec::new(),
            by_destination: PrefixIndex::new(hasher()),
            by_source: PrefixIndex::new(hasher()),
            by_client: HashMap::with_hasher(hasher()),
            others: Vec::new(),
        };
        for (number, rule) in rules {
            table.add(number, rule);
        }
        (!table.rules.is_empty()).then_some(table)
    }

    fn add(&mut self, number: u16, rule: &RouteRule) {
        let place = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let compiled = CompiledRule {
            number,
            rule: rule.clone(),
            source: CompiledAddress::new(&rule.matches.source),
            destination: CompiledAddress::new(&rule.matches.destination),
        };
        // Of a vendor command only the sender is known.
        let has_addresses = !rule.matches.vendor_commands;
        if let Some(literal) = compiled.destination.literal().filter(|_| has_addresses) {
            self.by_destination.add(literal, place);
        } else if let Some(literal) = compiled.source.literal().filter(|_| has_addresses) {
            self.by_source.add(literal, place);
        } else if !rule.matches.clients.is_empty() {
            for client in &rule.matches.clients {
                self.by_client.entry(*client).or_default().push(place);
            }
        } else {
            self.others.push(place);
        }
        self.rules.push(compiled);
    }

    /// The first rule that matches, and its place among all rules of the configuration.
    pub fn first_match(&self, query: &RouteQuery<'_>) -> Option<(u16, &RouteRule)> {
        let mut best = None;
        if let Some(destination) = query.destination {
            self.by_destination
                .visit(destination.addr, |places| self.look_in(places, query, &mut best));
        }
        self.by_source
            .visit(query.source.addr, |places| self.look_in(places, query, &mut best));
        if let Some(places) = query.client.and_then(|client| self.by_client.get(&client)) {
            self.look_in(places, query, &mut best);
        }
        self.look_in(&self.others, query, &mut best);
        let rule = &self.rules[best? as usize];
        Some((rule.number, &rule.rule))
    }

    /// Moves `best` to the first rule of a list that matches, if that comes before it.
    fn look_in(&self, places: &[u32], query: &RouteQuery<'_>, best: &mut Option<u32>) {
        for place in places {
            if best.is_some_and(|best| best <= *place) {
                return;
            }
            if self.rules[*place as usize].matches(query) {
                *best = Some(*place);
                return;
            }
        }
    }

    /// The rule with this place in the configuration.
    pub fn rule(&self, number: u16) -> Option<&RouteRule> {
        let place = self
            .rules
            .binary_search_by_key(&number, |rule| rule.number)
            .ok()?;
        Some(&self.rules[place].rule)
    }
}

impl CompiledRule {
    fn matches(&self, query: &RouteQuery<'_>) -> bool {
        let wanted = &self.rule.matches;
        let is_sender = (wanted.clients.is_empty()
            || query
                .client
                .is_some_and(|client| wanted.clients.contains(&client)))
            && (wanted.from_servers.is_empty()
                || query
                    .server
                    .is_some_and(|server| wanted.from_servers.contains(&server)));
        if !is_sender || wanted.vendor_commands != query.is_vendor_command {
            return false;
        }
        if query.is_vendor_command {
            return true;
        }
        let is_content = wanted
            .service_type
            .as_ref()
            .is_none_or(|service_type| **service_type == *query.service_type)
            && (wanted.data_coding.is_empty() || wanted.data_coding.contains(&query.data_coding))
            && wanted
                .esm_class
                .is_none_or(|(value, mask)| query.esm_class & mask == value & mask);
        is_content && self.source.matches(Some(query.source)) && self.destination.matches(query.destination)
    }
}

impl CompiledAddress {
    fn new(wanted: &AddressMatch) -> Self {
        Self {
            matcher: wanted.range.as_ref().map(RangeMatcher::new),
            ton: wanted.ton,
            npi: wanted.npi,
        }
    }

    fn literal(&self) -> Option<&[u8]> {
        self.matcher.as_ref().and_then(RangeMatcher::literal)
    }

    fn matches(&self, address: Option<Address<'_>>) -> bool {
        let Some(address) = address else {
            return self.matcher.is_none() && self.ton.is_none() && self.npi.is_none();
        };
        self.ton.is_none_or(|ton| ton == address.ton)
            && self.npi.is_none_or(|npi| npi == address.npi)
            && self
                .matcher
                .as_ref()
                .is_none_or(|matcher| matcher.matches(address.addr))
    }
}

/// Lists of rules by the literal that an address must start with.
#[derive(Clone, Debug)]
struct PrefixIndex {
    places: HashMap<Box<[u8]>, Places, RandomState>,
    /// The lengths that occur, in ascending order.
    lengths: Vec<usize>,
}

impl PrefixIndex {
    fn new(hasher: RandomState) -> Self {
        Self {
            places: HashMap::with_hasher(hasher),
            lengths: Vec::new(),
        }
    }

    fn add(&mut self, literal: &[u8], place: u32) {
        self.places.entry(literal.into()).or_default().push(place);
        if let Err(at) = self.lengths.binary_search(&literal.len()) {
            self.lengths.insert(at, literal.len());
        }
    }

    /// Shows every list whose literal `address` starts with.
    fn visit(&self, address: &[u8], mut look: impl FnMut(&[u32])) {
        for length in &self.lengths {
            let Some(start) = address.get(..*length) else {
                return;
            };
            if let Some(places) = self.places.get(start) {
                look(places);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, RouteAction, RouteMatch};
    use super::*;
    use crate::core::range::AddressRange;
    use crate::core::wire::Status;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn any_address_match() -> impl Strategy<Value = AddressMatch> {
        let range = prop_oneof![
            4 => "[12]{0,3}",
            1 => r"\^[12]{1,3}\$",
            1 => r"\^[12](1|2)2?",
            1 => "2\\$",
        ];
        (
            option::of(range),
            option::weighted(0.2, 0_u8..2),
            option::weighted(0.2, 0_u8..2),
        )
            .prop_map(|(range, ton, npi)| AddressMatch {
                range: range.and_then(|text| AddressRange::parse(text.as_bytes()).ok()),
                ton,
                npi,
            })
    }

    prop_compose! {
        fn any_rule()(
            clients in vec((0_u32..3).prop_map(ClientIndex), 0..2),
            source in any_address_match(),
            destination in any_address_match(),
            service_type in option::weighted(0.2, "[AB]?"),
            data_coding in vec(0_u8..2, 0..2),
            esm_class in option::weighted(0.2, (0_u8..4, 0_u8..4)),
            vendor_commands in proptest::bool::weighted(0.1),
        ) -> RouteRule {
            RouteRule {
                name: String::new(),
                matches: RouteMatch {
                    direction: Direction::MobileTerminated,
                    vservers: Vec::new(),
                    clients,
                    from_servers: Vec::new(),
                    source,
                    destination,
                    service_type: service_type.map(|text| text.into_bytes().into()),
                    data_coding,
                    esm_class,
                    vendor_commands,
                },
                action: RouteAction::Reject(Status::ESME_RSYSERR),
            }
        }
    }

    fn holds(wanted: &AddressMatch, address: Option<Address<'_>>) -> bool {
        match address {
            None => !wanted.is_given(),
            Some(address) => {
                wanted
                    .range
                    .as_ref()
                    .is_none_or(|range| range.matches(address.addr))
                    && wanted.ton.is_none_or(|ton| ton == address.ton)
                    && wanted.npi.is_none_or(|npi| npi == address.npi)
            }
        }
    }

    /// The rule itself, without an index.
    fn matches(rule: &RouteMatch, query: &RouteQuery<'_>) -> bool {
        let client = query.client.expect("every query here has one");
        (rule.clients.is_empty() || rule.clients.contains(&client))
            && rule.vendor_commands == query.is_vendor_command
            && (query.is_vendor_command
                || holds(&rule.source, Some(query.source))
                    && holds(&rule.destination, query.destination)
                    && rule
                        .service_type
                        .as_ref()
                        .is_none_or(|text| **text == *query.service_type)
                    && (rule.data_coding.is_empty() || rule.data_coding.contains(&query.data_coding))
                    && rule
                        .esm_class
                        .is_none_or(|(value, mask)| query.esm_class & mask == value & mask))
    }

    /// Goal: a thousand rules with prefixes of their own cost a message no more than ten: it looks at those that its addresses
    /// lead to.
    #[test]
    fn a_message_looks_only_at_rules_that_could_match() {
        let looked_at = |rules: u32| {
            let rules: Vec<_> = (0..rules)
                .map(|number| {
                    let text = format!("44{number:05}");
                    let range = AddressRange::parse(text.as_bytes()).expect("a prefix");
                    let destination = AddressMatch {
                        range: Some(range),
                        ..AddressMatch::default()
                    };
                    rule(destination)
                })
                .collect();
            let table = RouteTable::new((0..).zip(&rules), 1).expect("rules");
            let query = RouteQuery {
                client: None,
                server: None,
                source: Address::default(),
                destination: Some(Address {
                    ton: 0,
                    npi: 0,
                    addr: b"440000712345",
                }),
                service_type: &[],
                data_coding: 0,
                esm_class: 0,
                is_vendor_command: false,
            };
            assert_eq!(table.first_match(&query).map(|(number, _)| number), Some(7));
            let mut looked_at = table.others.len();
            table
                .by_destination
                .visit(b"440000712345", |places| looked_at += places.len());
            looked_at
        };
        assert_eq!((looked_at(10), looked_at(1_000)), (1, 1));
    }

    fn rule(destination: AddressMatch) -> RouteRule {
        RouteRule {
            name: String::new(),
            matches: RouteMatch {
                direction: Direction::MobileTerminated,
                vservers: Vec::new(),
                clients: Vec::new(),
                from_servers: Vec::new(),
                source: AddressMatch::default(),
                destination,
                service_type: None,
                data_coding: Vec::new(),
                esm_class: None,
                vendor_commands: false,
            },
            action: RouteAction::Reject(Status::ESME_RSYSERR),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Goal: whatever the rules, the index finds the rule that a look at each in turn finds first.
        #[test]
        fn the_first_match_wins(
            rules in vec(any_rule(), 0..20),
            queries in vec(
                (0_u32..3, "[12]{0,4}", option::weighted(0.9, "[12]{0,4}"), "[AB]?", 0_u8..2, 0_u8..4, 0_u8..2, proptest::bool::weighted(0.1)),
                20,
            ),
        ) {
            let table = RouteTable::new((0..).zip(&rules), 7);
            for (client, source, destination, service_type, data_coding, esm_class, numbering, is_vendor_command) in &queries {
                let address = |addr: &'_ String| Address { ton: *numbering, npi: 1 - *numbering, addr: Box::leak(addr.clone().into_bytes().into_boxed_slice()) };
                let query = RouteQuery {
                    client: Some(ClientIndex(*client)),
                    server: None,
                    source: address(source),
                    destination: destination.as_ref().map(address),
                    service_type: service_type.as_bytes(),
                    data_coding: *data_coding,
                    esm_class: *esm_class,
                    is_vendor_command: *is_vendor_command,
                };
                let found = table.as_ref().and_then(|table| table.first_match(&query)).map(|(number, _)| number);
                let expected = (0_u16..).zip(&rules).find(|(_, rule)| matches(&rule.matches, &query)).map(|(number, _)| number);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
