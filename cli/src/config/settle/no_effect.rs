//! Keys that do nothing beside others: one warning for each, so that nobody relies on what does not happen.

use super::{Settling, blame};
use crate::config::choices::Rebalance;

impl Settling<'_> {
    /// Warns once of each key that is set and does nothing.
    pub(super) fn warn_of_no_effect(&mut self) {
        let configuration = self.configuration;
        let distribution = &configuration.engine.section.distribution;
        let rebalance = &configuration.engine.section.rebalance;
        if rebalance.value == Rebalance::Auto && !distribution.value.has_buckets() {
            let message = format!(
                "`rebalance` has no effect with `distribution = \"{}\"`: only the rss distributions have a table that can be rewritten",
                distribution.value
            );
            self.warn(blame(rebalance, distribution), message);
        }
    }
}
