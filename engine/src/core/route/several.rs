//! A message with several destinations at the rules: each destination meets them as if it were the only one.
//!
//! It is one message and goes to one server, so what the rules say of its destinations must be possible at once: one that is
//! rejected rejects it whole, the servers are those that all of them may go to, and the source is changed in one way.
//! Nothing is kept: each look goes through the destinations anew, which are 255 at most.

use super::rewrite::{ADDRESS_CHARACTERS_MAX, AddressChange, CannotRewrite, append_changed};
use super::{RouteAction, RouteGroups, RouteQuery, RouteRule, RouteTable};
use crate::core::settings::ServerIndex;
use crate::core::wire::{DestAddress, Status, SubmitMultiView, patch_command_length};
use bytes::BytesMut;

/// The rules send the destinations of one message to different servers, or change its source in different ways.
const CANNOT_JOIN: Status = Status::ESME_RSUBMITFAIL;
/// Octets of a destination beside its text: dest_flag, TON and NPI, or dest_flag alone for a distribution list.
const OCTETS_BEFORE_ADDRESS: usize = 3;
const OCTETS_BEFORE_LIST: usize = 1;

/// A checked submit_multi, and the rules that it meets.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct SeveralDestinations<'a> {
    pub(in crate::core) table: &'a RouteTable,
    /// What is known of the message without its destinations.
    pub(in crate::core) query: RouteQuery<'a>,
    pub(in crate::core) view: SubmitMultiView<'a>,
}

/// What the rules say of it as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct JoinedRules<'a> {
    /// The mark of the servers that may take it.
    pub(in crate::core) mark: u16,
    /// What is changed in its source; `None` for nothing.
    source: Option<&'a AddressChange>,
    /// Something is changed in it.
    pub(in crate::core) is_changed: bool,
}

impl<'a> SeveralDestinations<'a> {
    /// The destinations with the rule that each has met. No rule knows the members of a distribution list: it meets those
    /// that name no destination.
    fn rules(&self) -> impl Iterator<Item = (DestAddress<'a>, Option<(u16, &'a RouteRule)>)> {
        let Self { table, query, view } = *self;
        view.destinations().map(move |destination| {
            let query = RouteQuery {
                destination: match destination {
                    DestAddress::Sme(address) => Some(address),
                    DestAddress::DistributionList(_) => None,
                },
                ..query
            };
            (destination, table.first_match(&query))
        })
    }

    /// What the rules of all destinations say together; `Err`: the message is answered with this status.
    pub(in crate::core) fn join(&self, groups: &RouteGroups) -> Result<JoinedRules<'a>, Status> {
        let mut joined: Option<JoinedRules<'_>> = None;
        for (_, rule) in self.rules() {
            let (mark, rewrite) = match rule {
                None => (RouteGroups::NO_GROUP, None),
                Some((number, rule)) => match &rule.action {
                    RouteAction::Reject(status) => return Err(*status),
                    RouteAction::Forward { rewrite, .. } => (groups.mark_of(number), Some(rewrite)),
                },
            };
            let source = rewrite
                .map(|rewrite| &rewrite.source)
                .filter(|change| !change.is_empty());
            let is_changed = rewrite.is_some_and(|rewrite| !rewrite.is_empty());
            let Some(joined) = &mut joined else {
                joined = Some(JoinedRules {
                    mark,
                    source,
                    is_changed,
                });
                continue;
            };
            if joined.source != source {
                return Err(CANNOT_JOIN);
            }
            joined.is_changed |= is_changed;
            if is_narrower(groups, mark, joined.mark) {
                joined.mark = mark;
            }
        }
        let joined = joined.ok_or(CANNOT_JOIN)?;
        let all_allow = self.rules().all(|(_, rule)| {
            let mark = rule.map_or(RouteGroups::NO_GROUP, |(number, _)| groups.mark_of(number));
            includes(groups.servers(mark), groups.servers(joined.mark))
        });
        if all_allow { Ok(joined) } else { Err(CANNOT_JOIN) }
    }

    /// Appends a copy with its addresses changed. `out` may hold a part of it after an error.
    pub(in crate::core) fn append(
        &self,
        out: &mut BytesMut,
        pdu: &[u8],
        joined: &JoinedRules<'_>,
    ) -> Result<(), CannotRewrite> {
        let start = out.len();
        let source = self.view.source_addr_range();
        let mut written = 0;
        // Behind the source stand its NUL and number_of_dests.
        let mut at = source.end + 2;
        if let Some(change) = joined.source {
            append_changed(out, pdu, &mut written, source, change, ADDRESS_CHARACTERS_MAX)?;
        }
        for (destination, rule) in self.rules() {
            let addr = match destination {
                DestAddress::Sme(address) => {
                    at + OCTETS_BEFORE_ADDRESS..at + OCTETS_BEFORE_ADDRESS + address.addr.len()
                }
                DestAddress::DistributionList(name) => {
                    at + OCTETS_BEFORE_LIST..at + OCTETS_BEFORE_LIST + name.len()
                }
            };
            at = addr.end + 1;
            if let (DestAddress::Sme(_), Some((_, rule))) = (destination, rule)
                && let RouteAction::Forward { rewrite, .. } = &rule.action
                && !rewrite.destination.is_empty()
            {
                let change = &rewrite.destination;
                append_changed(out, pdu, &mut written, addr, change, ADDRESS_CHARACTERS_MAX)?;
            }
        }
        out.extend_from_slice(pdu.get(written..).ok_or(CannotRewrite)?);
        patch_command_length(&mut out[start..]);
        Ok(())
    }
}

/// A list of servers has all of another; an empty one stands for every server.
fn includes(list: &[ServerIndex], other: &[ServerIndex]) -> bool {
    list.is_empty() || !other.is_empty() && other.iter().all(|server| list.contains(server))
}

/// The servers of a mark are fewer than those of another.
fn is_narrower(groups: &RouteGroups, mark: u16, than: u16) -> bool {
    let servers = |mark| match groups.servers(mark).len() {
        0 => usize::MAX,
        servers => servers,
    };
    servers(mark) < servers(than)
}

#[cfg(test)]
mod tests {
    use super::super::{AddressMatch, Direction, Rewrite, RouteMatch};
    use super::*;
    use crate::core::range::AddressRange;
    use crate::core::wire::{Address, CommandId, Message, SubmitMulti, write_pdu};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn any_change(prefix: String) -> impl Strategy<Value = AddressChange> {
        (option::of(0_u8..2), option::of("[0-9]{0,19}")).prop_map(move |(ton, with)| AddressChange {
            ton,
            npi: None,
            prefix: with.map(|with| (prefix.len(), with.into_bytes().into())),
        })
    }

    fn any_action(prefix: String) -> impl Strategy<Value = RouteAction> {
        let forward = (
            prop_oneof![Just(vec![]), Just(vec![1]), Just(vec![1, 2]), Just(vec![2, 3])],
            option::weighted(0.1, 0_u8..2),
            option::weighted(0.5, any_change(prefix)),
        );
        let forward = forward.prop_map(|(servers, source_ton, destination)| RouteAction::Forward {
            servers: servers.into_iter().map(ServerIndex).collect(),
            vserver: None,
            client: None,
            rewrite: Rewrite {
                source: AddressChange {
                    ton: source_ton,
                    ..AddressChange::default()
                },
                destination: destination.unwrap_or_default(),
            },
        });
        prop_oneof![9 => forward, 1 => Just(RouteAction::Reject(Status::ESME_RINVDSTADR))]
    }

    /// A rule for destinations with a prefix, or for all where it is empty.
    fn any_rule() -> impl Strategy<Value = RouteRule> {
        "[12]{0,2}".prop_flat_map(|prefix| {
            any_action(prefix.clone()).prop_map(move |action| RouteRule {
                name: prefix.clone(),
                matches: RouteMatch {
                    direction: Direction::MobileTerminated,
                    vservers: Vec::new(),
                    clients: Vec::new(),
                    from_servers: Vec::new(),
                    source: AddressMatch::default(),
                    destination: AddressMatch {
                        range: (!prefix.is_empty())
                            .then(|| AddressRange::parse(prefix.as_bytes()).expect("digits")),
                        ..AddressMatch::default()
                    },
                    service_type: None,
                    data_coding: Vec::new(),
                    esm_class: None,
                    vendor_commands: false,
                },
                action,
            })
        })
    }

    fn submit_multi(source_ton: u8, destinations: &[DestAddress<'_>]) -> Option<BytesMut> {
        let source = Address {
            ton: source_ton,
            npi: 1,
            addr: b"7",
        };
        let message = Message {
            source,
            short_message: b"text",
            ..Message::default()
        };
        let mut pdu = BytesMut::new();
        let body = SubmitMulti {
            message,
            destinations,
        };
        write_pdu(&mut pdu, CommandId::SUBMIT_MULTI, Status::ESME_ROK, 9, &body).ok()?;
        Some(pdu)
    }

    /// What the rules say, told one by one: the whole PDU as it must leave, and the lists of servers of its destinations.
    fn expected(
        rules: &[RouteRule],
        destinations: &[DestAddress<'_>],
    ) -> Result<(Option<BytesMut>, Vec<Vec<ServerIndex>>), Status> {
        let met = destinations.iter().map(|destination| {
            let addr = match destination {
                DestAddress::Sme(address) => Some(address.addr),
                DestAddress::DistributionList(_) => None,
            };
            let holds = |rule: &&RouteRule| {
                rule.name.is_empty() || addr.is_some_and(|addr| addr.starts_with(rule.name.as_bytes()))
            };
            rules.iter().find(holds).map(|rule| &rule.action)
        });
        let (mut texts, mut sources, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for (destination, action) in destinations.iter().zip(met) {
            let (servers, rewrite) = match action {
                Some(RouteAction::Reject(status)) => return Err(*status),
                Some(RouteAction::Forward { servers, rewrite, .. }) => (servers.clone(), rewrite.clone()),
                None => (Vec::new(), Rewrite::default()),
            };
            lists.push(servers);
            sources.push(rewrite.source);
            texts.push(match destination {
                DestAddress::Sme(address) => (
                    rewrite.destination.ton.unwrap_or(address.ton),
                    rewrite.destination.apply(address.addr),
                ),
                DestAddress::DistributionList(name) => (0, name.to_vec()),
            });
        }
        if sources.iter().any(|source| *source != sources[0]) {
            return Err(CANNOT_JOIN);
        }
        let written: Vec<_> = destinations
            .iter()
            .zip(&texts)
            .map(|(destination, (ton, text))| match destination {
                DestAddress::Sme(address) => DestAddress::Sme(Address {
                    ton: *ton,
                    npi: address.npi,
                    addr: text,
                }),
                DestAddress::DistributionList(_) => DestAddress::DistributionList(text),
            })
            .collect();
        Ok((submit_multi(sources[0].ton.unwrap_or(5), &written), lists))
    }

    proptest! {
        /// Goal: a submit_multi with any destinations is what its destinations would have become one by one, and goes to
        /// servers that each of them may go to, the fewest that a rule names; where there are none such it is refused.
        /// Method: against the rules read one by one, and the writer.
        #[test]
        fn several_are_what_each_would_be(
            rules in vec(any_rule(), 0..5),
            // A third are the names of distribution lists.
            texts in vec(("[12]{1,3}", 0_u8..3), 1..6),
        ) {
            let destinations: Vec<_> = texts.iter().map(|(text, kind)| match kind {
                0 => DestAddress::DistributionList(text.as_bytes()),
                npi => DestAddress::Sme(Address { ton: 3, npi: *npi, addr: text.as_bytes() }),
            }).collect();
            let pdu = submit_multi(5, &destinations).expect("it fits");
            let groups = RouteGroups::default().with_rules(&rules).expect("few");
            let Some(table) = RouteTable::new((0..).zip(&rules), 1) else { return Ok(()) };
            let view = SubmitMultiView::parse(&pdu).expect("well-formed");
            let query = RouteQuery {
                client: None,
                server: None,
                source: view.source(),
                destination: None,
                service_type: &[],
                data_coding: 0,
                esm_class: 0,
                is_vendor_command: false,
            };
            let several = SeveralDestinations { table: &table, query, view };
            let joined = several.join(&groups);
            let (written, lists) = match expected(&rules, &destinations) {
                Ok(expected) => expected,
                Err(status) => {
                    // What is refused for two reasons names either.
                    prop_assert!(joined == Err(status) || joined == Err(CANNOT_JOIN));
                    return Ok(());
                }
            };
            let of_all = |list: &&Vec<ServerIndex>| lists.iter().all(|other| includes(other, list));
            let common = lists.iter().find(of_all);
            prop_assert_eq!(joined.is_ok(), common.is_some());
            let (Ok(joined), Some(common)) = (joined, common) else { return Ok(()) };
            prop_assert_eq!(groups.servers(joined.mark), common.as_slice());
            let mut out = BytesMut::new();
            let outcome = several.append(&mut out, &pdu, &joined);
            prop_assert_eq!(outcome.is_ok(), written.is_some());
            if let Some(written) = written {
                prop_assert_eq!(&out, &written);
                prop_assert!(joined.is_changed || out == pdu);
            }
        }
    }
}
