//! The lists of servers that rules name, as marks: what a message carries along of the rule that it has met.
//!
//! Invariant: a mark never changes its meaning, also when other rules come while the message is under way. So lists are only
//! ever added, and the marks that there can be are their limit.

use super::{RouteAction, RouteRule};
use crate::core::settings::ServerIndex;
use ahash::RandomState;
use std::collections::HashMap;

/// The lists that rules name or have named, and the mark of each rule.
#[derive(Clone, Debug, Default)]
pub struct RouteGroups {
    /// Each once, in the order in which they came.
    groups: Vec<Box<[ServerIndex]>>,
    /// By the rule's place in the configuration.
    rules: Vec<u16>,
}

impl RouteGroups {
    /// Lists at most: two marks have other meanings.
    pub const GROUPS_MAX: usize = Self::NO_GROUP as usize - 1;

    /// The mark of a message that has not met the rules.
    pub(in crate::core) const NOT_ROUTED: u16 = 0;
    /// The mark of a message that no rule, or one without servers, has met: all servers of the vserver may take it. It is the
    /// highest that a window has room for.
    pub(in crate::core) const NO_GROUP: u16 = (1 << 14) - 1;

    /// The same lists, those of these rules behind them, and the marks of these rules. `None`: there are too many lists.
    #[must_use]
    pub fn with_rules(mut self, rules: &[RouteRule]) -> Option<Self> {
        let hasher = RandomState::with_seeds(31, 32, 33, 34);
        let mut known: HashMap<Box<[ServerIndex]>, u16, RandomState> = HashMap::with_hasher(hasher);
        known.extend(self.groups.iter().cloned().zip(1..));
        self.rules.clear();
        for rule in rules {
            let mark = match &rule.action {
                RouteAction::Forward { servers, .. } if !servers.is_empty() => {
                    if let Some(mark) = known.get(servers.as_slice()) {
                        *mark
                    } else if self.groups.len() == Self::GROUPS_MAX {
                        return None;
                    } else {
                        let group: Box<[ServerIndex]> = servers.as_slice().into();
                        self.groups.push(group.clone());
                        let mark = u16::try_from(self.groups.len()).ok()?;
                        known.insert(group, mark);
                        mark
                    }
                }
                _ => Self::NO_GROUP,
            };
            self.rules.push(mark);
        }
        Some(self)
    }

    /// The mark of the rule with this place in the configuration.
    pub(in crate::core) fn mark_of(&self, rule: u16) -> u16 {
        self.rules
            .get(usize::from(rule))
            .copied()
            .unwrap_or(Self::NO_GROUP)
    }

    /// The servers that may take a message with this mark; empty for all.
    pub(in crate::core) fn servers(&self, mark: u16) -> &[ServerIndex] {
        let place = usize::from(mark).checked_sub(1);
        place
            .and_then(|place| self.groups.get(place))
            .map_or(&[], |group| group)
    }

    /// Every mark of `old` means the same here.
    pub(in crate::core) fn continues(&self, old: &Self) -> bool {
        self.groups.starts_with(&old.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::route::{AddressMatch, Direction, Rewrite, RouteMatch};

    fn rule(servers: &[u16]) -> RouteRule {
        RouteRule {
            name: String::new(),
            matches: RouteMatch {
                direction: Direction::MobileTerminated,
                vservers: Vec::new(),
                clients: Vec::new(),
                from_servers: Vec::new(),
                source: AddressMatch::default(),
                destination: AddressMatch::default(),
                service_type: None,
                data_coding: Vec::new(),
                esm_class: None,
                vendor_commands: false,
            },
            action: RouteAction::Forward {
                servers: servers.iter().copied().map(ServerIndex).collect(),
                vserver: None,
                client: None,
                rewrite: Rewrite::default(),
            },
        }
    }

    /// Goal: rules may come, go and change places; a mark that was given before names the same servers as then.
    #[test]
    fn marks_keep_their_meaning() {
        let old = RouteGroups::default()
            .with_rules(&[rule(&[1, 2]), rule(&[]), rule(&[3]), rule(&[1, 2])])
            .unwrap();
        assert_eq!(old.mark_of(0), old.mark_of(3));
        assert!(old.servers(old.mark_of(1)).is_empty());
        let new = old.clone().with_rules(&[rule(&[3]), rule(&[4])]).unwrap();
        assert!(new.continues(&old) && !old.continues(&new));
        for number in 0..4 {
            let mark = old.mark_of(number);
            assert_eq!(new.servers(mark), old.servers(mark));
        }
        assert_eq!(new.mark_of(0), old.mark_of(2));
        assert_eq!(new.servers(new.mark_of(1)), [ServerIndex(4)]);
        assert!(new.servers(RouteGroups::NOT_ROUTED).is_empty());
    }

    /// Goal: more lists than there are marks are refused, not confused.
    #[test]
    fn too_many_lists_are_refused() {
        let rules: Vec<_> = (0..RouteGroups::GROUPS_MAX)
            .map(|first| rule(&[first as u16]))
            .collect();
        let full = RouteGroups::default().with_rules(&rules).unwrap();
        assert_eq!(full.servers(full.mark_of(16_381)), [ServerIndex(16_381)]);
        assert!(full.clone().with_rules(&rules[5..9]).is_some());
        assert!(full.with_rules(&[rule(&[7, 8])]).is_none());
    }
}
