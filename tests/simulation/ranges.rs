//! Address ranges as the shadow model knows them: a text for the bind, and in plain Rust what it means.
//!
//! Independent of the engine's own reading on purpose; the list covers each kind and every overlap between kinds.

/// One range that ESMEs may claim.
pub(crate) struct RangeModel {
    /// address_range of the bind.
    pub(crate) text: &'static str,
    covers: fn(&str) -> bool,
    /// The higher, the more specific; equal for ranges that no rule orders.
    pub(crate) specificity: u32,
}

const EXACT: u32 = 1_000;
const PREFIX: u32 = 100;
const EXPRESSION: u32 = 1;
const EVERYTHING: u32 = 0;

pub(crate) const RANGES: [RangeModel; 7] = [
    RangeModel {
        text: "^88876500$",
        covers: |address| address == "88876500",
        specificity: EXACT,
    },
    RangeModel {
        text: "888765",
        covers: |address| address.starts_with("888765"),
        specificity: PREFIX + 6,
    },
    RangeModel {
        text: "^8887.*",
        covers: |address| address.starts_with("8887"),
        specificity: PREFIX + 4,
    },
    RangeModel {
        text: "24457",
        covers: |address| address.starts_with("24457"),
        specificity: PREFIX + 5,
    },
    RangeModel {
        text: "^8887650[0-4]$",
        covers: |address| {
            address.len() == 8 && address.starts_with("8887650") && address.as_bytes()[7] <= b'4'
        },
        specificity: EXPRESSION,
    },
    RangeModel {
        text: "99$",
        covers: |address| address.ends_with("99"),
        specificity: EXPRESSION,
    },
    RangeModel {
        text: ".*",
        covers: |_| true,
        specificity: EVERYTHING,
    },
];

/// Where messages go; between them they fall into every range, and one only into the widest.
pub(crate) const DESTINATIONS: [&str; 8] = [
    "88876500",
    "88876503",
    "888765099",
    "88871",
    "2445712",
    "2445799",
    "1199",
    "777",
];

impl RangeModel {
    pub(crate) fn covers(&self, address: &str) -> bool {
        (self.covers)(address)
    }
}
