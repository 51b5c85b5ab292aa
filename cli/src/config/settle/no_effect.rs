//! Keys whose features come with later versions: one warning for each, so that nobody relies on what does not
//! happen.

use super::{Settling, blame};
use crate::config::choices::Rebalance;
use crate::config::key::Key;
use smppmux_flow_distributor::Scheme;

impl Settling<'_> {
    /// Warns once of each key that is set and does nothing.
    pub(super) fn warn_of_no_effect(&mut self) {
        let configuration = self.configuration;
        let distribution = &configuration.engine.section.distribution;
        if distribution.value == Scheme::Account {
            self.no_effect(
                distribution,
                "distribution = \"account\"",
                "connections stay on the core that accepted them",
            );
        }
        let rebalance = &configuration.engine.section.rebalance;
        if rebalance.value == Rebalance::Auto && !distribution.value.has_buckets() {
            let message = format!(
                "`rebalance` has no effect with `distribution = \"{}\"`: only the rss distributions have a table that can be rewritten",
                distribution.value
            );
            self.warn(blame(rebalance, distribution), message);
        }
    }

    fn no_effect<T>(&mut self, key: &Key<T>, name: &str, instead: &str) {
        self.warn(
            key.origin(),
            format!("`{name}` has no effect in this version: {instead}"),
        );
    }
}
