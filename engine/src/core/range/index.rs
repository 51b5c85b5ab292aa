//! The index that finds the most specific range for a destination.

use super::address_range::{AddressRange, RangeKind};
use super::expression::Expression;
use super::literal_index::{LiteralEntry, LiteralIndex, LiteralRank};
use super::literal_table::LiteralKind;
use super::numbering::NumberingMap;
use regex::bytes::Regex;

/// Ranges of one vserver, each with a TON and an NPI, and a value for each. Belongs to one core.
///
/// A look-up among literal ranges takes the same steps with ten of them or a million, and nothing is allocated.
/// Expressions are tried one after the other, and only when no literal range holds the destination.
#[derive(Debug)]
pub struct RangeIndex<V> {
    literals: LiteralIndex<V>,
    /// The most specific first.
    expressions: Vec<IndexedExpression<V>>,
    everything: NumberingMap<V>,
    empty: NumberingMap<V>,
}

#[derive(Debug)]
struct IndexedExpression<V> {
    range: AddressRange,
    /// Our own: the range's is shared between cores, and so would be the memory that it searches with.
    regex: Regex,
    values: NumberingMap<V>,
}

impl<V: Copy> RangeIndex<V> {
    /// An empty index. `seed` is a random number from outside: it keeps clients from choosing ranges that collide.
    pub fn new(seed: u64) -> Self {
        Self {
            literals: LiteralIndex::new(seed),
            expressions: Vec::new(),
            everything: NumberingMap::new(),
            empty: NumberingMap::new(),
        }
    }

    /// Makes room for so many more literal ranges at once; growing on the way costs a pause for each time.
    pub fn reserve(&mut self, literal_ranges: usize) {
        self.literals.reserve(literal_ranges);
    }

    /// Ranges in the index, each TON and NPI counted.
    pub fn len(&self) -> usize {
        let expressions: usize = self
            .expressions
            .iter()
            .map(|expression| expression.values.len())
            .sum();
        self.literals.len() + expressions + self.everything.len() + self.empty.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of the literal ranges, in octets.
    pub fn literal_memory_octets(&self) -> usize {
        self.literals.memory_octets()
    }

    /// Adds a range, or replaces its value and returns the old one.
    pub fn insert(&mut self, addr_ton: u8, addr_npi: u8, range: &AddressRange, value: V) -> Option<V> {
        if let Some(entry) = literal_entry(addr_ton, addr_npi, range) {
            return self.literals.insert(entry, value);
        }
        let values = match range.expression() {
            None if range.kind() == RangeKind::Empty => &mut self.empty,
            None => &mut self.everything,
            Some(expression) => {
                let at = self.position(expression).unwrap_or_else(|at| {
                    let new = IndexedExpression {
                        range: range.clone(),
                        regex: expression.regex().clone(),
                        values: NumberingMap::new(),
                    };
                    self.expressions.insert(at, new);
                    at
                });
                &mut self.expressions[at].values
            }
        };
        values.insert(addr_ton, addr_npi, value)
    }

    /// Takes a range out.
    pub fn remove(&mut self, addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<V> {
        if let Some(entry) = literal_entry(addr_ton, addr_npi, range) {
            return self.literals.remove(entry);
        }
        let Some(expression) = range.expression() else {
            return match range.kind() {
                RangeKind::Empty => self.empty.remove(addr_ton, addr_npi),
                _ => self.everything.remove(addr_ton, addr_npi),
            };
        };
        let at = self.position(expression).ok()?;
        let values = &mut self.expressions[at].values;
        let old = values.remove(addr_ton, addr_npi);
        if values.is_empty() {
            self.expressions.remove(at);
        }
        old
    }

    /// The value of exactly this range, TON and NPI.
    pub fn value(&self, addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<V> {
        if let Some(entry) = literal_entry(addr_ton, addr_npi, range) {
            return self.literals.get(entry);
        }
        match range.expression() {
            Some(expression) => {
                let at = self.position(expression).ok()?;
                self.expressions[at].values.get(addr_ton, addr_npi)
            }
            None if range.kind() == RangeKind::Empty => self.empty.get(addr_ton, addr_npi),
            None => self.everything.get(addr_ton, addr_npi),
        }
    }

    /// The value of the most specific range that holds a destination: an exact address, then the longest prefix, then
    /// expressions (the longest literal start first, then in the order of their texts), then everything, then the empty
    /// range. A TON or NPI of 0 in the range matches any; between equal ranges the equal TON beats 0, then the equal NPI.
    #[inline]
    pub fn best(&self, dest_ton: u8, dest_npi: u8, address: &[u8]) -> Option<V> {
        self.literals
            .best(dest_ton, dest_npi, address)
            .or_else(|| self.best_unliteral(dest_ton, dest_npi, address))
    }

    /// The best of the literal ranges alone among those values that `accept` makes something of.
    #[inline]
    pub fn best_literal<R>(
        &self,
        dest_ton: u8,
        dest_npi: u8,
        address: &[u8],
        accept: impl FnMut(V, LiteralRank) -> Option<R>,
    ) -> Option<R> {
        self.literals.best_of(dest_ton, dest_npi, address, accept)
    }

    fn best_unliteral(&self, dest_ton: u8, dest_npi: u8, address: &[u8]) -> Option<V> {
        self.expressions
            .iter()
            .find_map(|expression| expression.best(dest_ton, dest_npi, address))
            .or_else(|| self.everything.best(dest_ton, dest_npi))
            .or_else(|| self.empty.best(dest_ton, dest_npi))
    }

    fn position(&self, expression: &Expression) -> Result<usize, usize> {
        self.expressions
            .binary_search_by(|indexed| match indexed.range.expression() {
                Some(other) => other.compare_specificity(expression),
                None => std::cmp::Ordering::Less,
            })
    }
}

impl<V: Copy> IndexedExpression<V> {
    fn best(&self, dest_ton: u8, dest_npi: u8, address: &[u8]) -> Option<V> {
        let value = self.values.best(dest_ton, dest_npi)?;
        let start = self.range.expression()?.common_start();
        (address.starts_with(start) && self.regex.is_match(address)).then_some(value)
    }
}

fn literal_entry(addr_ton: u8, addr_npi: u8, range: &AddressRange) -> Option<LiteralEntry<'_>> {
    let kind = match range.kind() {
        RangeKind::Exact => LiteralKind::Exact,
        RangeKind::Prefix => LiteralKind::Prefix,
        RangeKind::Expression | RangeKind::Everything | RangeKind::Empty => return None,
    };
    Some(LiteralEntry {
        addr_ton,
        addr_npi,
        kind,
        literal: range.literal()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::cmp::Reverse;

    /// The rule itself: looks at every range.
    #[derive(Default)]
    struct Model(Vec<(u8, u8, AddressRange, u32)>);

    impl Model {
        fn replace(&mut self, ton: u8, npi: u8, range: &AddressRange, value: Option<u32>) -> Option<u32> {
            let same =
                |entry: &(u8, u8, AddressRange, u32)| (entry.0, entry.1) == (ton, npi) && entry.2 == *range;
            let old = self.0.iter().position(same).map(|at| self.0.swap_remove(at).3);
            self.0.extend(value.map(|value| (ton, npi, range.clone(), value)));
            old
        }

        fn best(&self, ton: u8, npi: u8, address: &[u8]) -> Option<u32> {
            let matching = self.0.iter().filter(|(range_ton, range_npi, range, _)| {
                [0, ton].contains(range_ton) && [0, npi].contains(range_npi) && range.matches(address)
            });
            let most_specific = matching.min_by_key(|(range_ton, range_npi, range, _)| {
                let start_octets = match range.expression() {
                    Some(expression) => expression.common_start().len(),
                    None => range.literal().map_or(0, <[u8]>::len),
                };
                let numbering = Reverse((*range_ton == ton, *range_npi == npi));
                (range.kind(), Reverse(start_octets), range.text(), numbering)
            });
            most_specific.map(|entry| entry.3)
        }
    }

    fn any_range() -> impl Strategy<Value = AddressRange> {
        let text = prop_oneof![
            8 => r"[12+]{0,3}",
            3 => r"\^[12]{0,4}\$",
            1 => r"[12]{14,18}|\^[12]{16,18}\$",
            1 => r"[12][ab][12]?|\^[ab]\$",
            3 => r"\^[12]{0,2}(\[12\]|\(1\|22\))\$?|[12]{1,2}\$",
            1 => Just(".*".to_owned()),
        ];
        text.prop_map(|text| AddressRange::parse(text.as_bytes()).expect("a good range"))
    }

    fn any_address() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[12+]{0,4}", 1 => "[12]{14,20}", 1 => "[12]{0,2}[ab][12]{0,2}", 1 => "[12]{60,70}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Goal: after any inserts and removes, each look-up finds what a search through all ranges finds.
        #[test]
        fn the_most_specific_range_is_found(
            seed: u64,
            steps in vec((0_u8..3, 0_u8..3, any_range(), prop_oneof![3 => any::<u32>().prop_map(Some), 1 => Just(None)]), 1..60),
            destinations in vec((0_u8..3, 0_u8..3, any_address()), 20),
        ) {
            let mut index = RangeIndex::new(seed);
            let mut model = Model::default();
            for (ton, npi, range, value) in &steps {
                let old = match value {
                    Some(value) => index.insert(*ton, *npi, range, *value),
                    None => index.remove(*ton, *npi, range),
                };
                prop_assert_eq!(old, model.replace(*ton, *npi, range, *value));
                prop_assert_eq!(index.value(*ton, *npi, range), *value);
            }
            prop_assert_eq!(index.len(), model.0.len());
            for (ton, npi, address) in &destinations {
                let address = address.as_bytes();
                prop_assert_eq!(index.best(*ton, *npi, address), model.best(*ton, *npi, address), "{:?}", address);
            }
            for (ton, npi, range, _) in &steps {
                prop_assert_eq!(index.remove(*ton, *npi, range), model.replace(*ton, *npi, range, None));
            }
            prop_assert!(index.is_empty());
            prop_assert_eq!(index.best(1, 1, b"12"), None);
        }
    }
}
