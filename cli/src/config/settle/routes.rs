//! Each `[[route]]`: checked, and turned into what the engines take.

use super::Settling;
use super::names::Names;
use crate::config::key::{Key, Origin};
use crate::config::route::RouteSection;
use crate::config::section::Item;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::route::{
    AddressChange, AddressMatch, Direction, Rewrite, RouteAction, RouteGroups, RouteMatch, RouteRule,
};
use smppmux_engine::core::settings::{ClientIndex, ServerIndex, Settings, VserverIndex, VserverSettings};

/// Rules at most.
const RULES_MAX: usize = 10_000;
/// Characters of service_type and of a new prefix at most, without their NUL (SMPP v3.4 section 5.2.11 and 5.2.8).
const SERVICE_TYPE_OCTETS_MAX: usize = 5;
const PREFIX_OCTETS_MAX: usize = 20;

impl<'c> Settling<'c> {
    /// All rules, in the file's order.
    pub(super) fn routes(&mut self, names: &Names<'c>, vservers: &[VserverSettings]) -> Vec<RouteRule> {
        let items = &self.configuration.routes;
        if let Some(surplus) = items.get(RULES_MAX) {
            self.problem(
                &surplus.at(),
                format!("there are more than {RULES_MAX} routing rules"),
            );
        }
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.route(index, names, vservers, item))
            .collect()
    }

    /// The lists of servers that rules name, beside those that the rules of running engines have named.
    pub(super) fn route_groups(&mut self, rules: &[RouteRule], running: Option<&Settings>) -> RouteGroups {
        let before = running.map(Settings::route_groups).cloned().unwrap_or_default();
        before.with_rules(rules).unwrap_or_else(|| {
            let reason = format!(
                "the routing rules have named more than {} lists of servers since the start",
                RouteGroups::GROUPS_MAX
            );
            self.problem(&Origin::Default, reason);
            RouteGroups::default()
        })
    }

    fn route(
        &mut self,
        index: usize,
        names: &Names<'c>,
        vservers: &[VserverSettings],
        item: &'c Item<RouteSection>,
    ) -> RouteRule {
        let section = &item.section;
        self.check_direction(section);
        if let Some(service_type) = &section.service_type.value {
            let key = &section.service_type;
            self.field_text("service-type", key, service_type, SERVICE_TYPE_OCTETS_MAX);
        }
        let route_vservers = section.vservers.value.as_ref();
        let route_vservers = route_vservers.map_or(Vec::new(), |list| names.vservers(self, list));
        let clients = section.clients.value.as_ref();
        let from_servers = section.from_servers.value.as_ref();
        let matches = RouteMatch {
            direction: section.direction.value,
            clients: clients.map_or(Vec::new(), |list| names.clients(self, list)),
            from_servers: from_servers.map_or(Vec::new(), |list| names.servers(self, list)),
            source: address_match(
                &section.source,
                section.source_ton.value,
                section.source_npi.value,
            ),
            destination: address_match(
                &section.destination,
                section.destination_ton.value,
                section.destination_npi.value,
            ),
            service_type: section
                .service_type
                .value
                .clone()
                .map(|text| text.into_bytes().into()),
            data_coding: section.data_coding.value.clone(),
            esm_class: section
                .esm_class
                .value
                .map(|value| (value, section.esm_class_mask.value)),
            vendor_commands: section.vendor_commands.value,
            vservers: route_vservers,
        };
        let action = self.route_action(names, vservers, &matches, section);
        RouteRule {
            name: section
                .name
                .value
                .clone()
                .unwrap_or_else(|| format!("rule {}", index + 1)),
            matches,
            action,
        }
    }

    fn route_action(
        &mut self,
        names: &Names<'c>,
        vservers: &[VserverSettings],
        matches: &RouteMatch,
        section: &'c RouteSection,
    ) -> RouteAction {
        let servers = section.servers.value.as_ref();
        let servers = servers.map_or(Vec::new(), |list| names.servers(self, list));
        if section.servers.value.as_ref().is_some_and(Vec::is_empty) {
            self.problem(
                section.servers.origin(),
                "`servers` is empty: nobody could take the message",
            );
        }
        self.check_group(vservers, &matches.vservers, &servers, section);
        let rewrite = Rewrite {
            source: AddressChange {
                ton: section.set_source_ton.value,
                npi: section.set_source_npi.value,
                prefix: self.prefix_change(
                    ("source", &section.source),
                    ("set-source-prefix", &section.set_source_prefix),
                ),
            },
            destination: AddressChange {
                ton: section.set_destination_ton.value,
                npi: section.set_destination_npi.value,
                prefix: self.prefix_change(
                    ("destination", &section.destination),
                    ("set-destination-prefix", &section.set_destination_prefix),
                ),
            },
        };
        let vserver = names.vserver(self, &section.to_vserver);
        let client = self.vendor_client(names, section);
        let Some(status) = section.reject.value else {
            return RouteAction::Forward {
                servers,
                vserver,
                client,
                rewrite,
            };
        };
        if status.is_ok() {
            let message =
                "`reject` must be an error: ESME_ROK would tell the sender that its message was taken";
            self.problem(section.reject.origin(), message);
        }
        if !servers.is_empty() || vserver.is_some() || client.is_some() || !rewrite.is_empty() {
            let message = "`reject` ends a message's way, so the rule can do nothing else with it";
            self.problem(section.reject.origin(), message);
        }
        RouteAction::Reject(status)
    }

    /// Who gets the vendor commands of servers: nothing in them says so.
    fn vendor_client(&mut self, names: &Names<'c>, section: &'c RouteSection) -> Option<ClientIndex> {
        let vendor = &section.vendor_commands;
        let Some(name) = &section.to_client.value else {
            let is_mo = section.direction.value == Direction::MobileOriginated;
            if is_mo && vendor.value && section.reject.value.is_none() {
                let message =
                    "vendor commands of servers need `to-client`: nothing in them says whose they are";
                self.problem(vendor.origin(), message);
            }
            return None;
        };
        if !vendor.value {
            let message = "`to-client` is for `vendor-commands`: a message goes by its destination";
            self.problem(section.to_client.origin(), message);
        }
        let list = [section.to_client.with_value(name.clone())];
        names.clients(self, &list).first().copied()
    }

    /// Keys that mean nothing in the rule's direction.
    fn check_direction(&mut self, section: &RouteSection) {
        let is_mo = section.direction.value == Direction::MobileOriginated;
        for (name, is_wrong, origin) in [
            (
                "clients",
                is_mo && section.clients.is_set(),
                section.clients.origin(),
            ),
            (
                "servers",
                is_mo && section.servers.is_set(),
                section.servers.origin(),
            ),
            (
                "from-servers",
                !is_mo && section.from_servers.is_set(),
                section.from_servers.origin(),
            ),
            (
                "to-vserver",
                !is_mo && section.to_vserver.is_set(),
                section.to_vserver.origin(),
            ),
            (
                "to-client",
                !is_mo && section.to_client.is_set(),
                section.to_client.origin(),
            ),
        ] {
            if is_wrong {
                let direction = if is_mo { "mo" } else { "mt" };
                self.problem(
                    origin,
                    format!("`{name}` means nothing with direction = \"{direction}\""),
                );
            }
        }
    }

    /// A rule's servers must stand behind each vserver that it holds for, at least one of them.
    fn check_group(
        &mut self,
        vservers: &[VserverSettings],
        named: &[VserverIndex],
        servers: &[ServerIndex],
        section: &RouteSection,
    ) {
        if servers.is_empty() {
            return;
        }
        for (index, vserver) in (0_u16..).zip(vservers) {
            let concerns = named.is_empty() || named.contains(&VserverIndex(index));
            if concerns && !servers.iter().any(|server| vserver.servers.contains(server)) {
                let message = format!(
                    "none of these servers stands behind the vserver \"{}\", for which the rule holds",
                    vserver.name
                );
                self.problem_with_hint(
                    section.servers.origin(),
                    message,
                    "name the vservers in `vservers`",
                );
                return;
            }
        }
    }

    fn prefix_change(
        &mut self,
        (range_name, range): (&str, &Key<Option<AddressRange>>),
        (name, prefix): (&str, &Key<Option<String>>),
    ) -> Option<(usize, Box<[u8]>)> {
        let text = prefix.value.as_ref()?;
        self.field_text(name, prefix, text, PREFIX_OCTETS_MAX);
        let cut = range.value.as_ref().and_then(AddressRange::literal_octets);
        if cut.is_none() {
            let message =
                format!("`{name}` needs a `{range_name}` that is a plain prefix: it stands in its place");
            self.problem(prefix.origin(), message);
        }
        Some((cut?, text.clone().into_bytes().into()))
    }
}

fn address_match(range: &Key<Option<AddressRange>>, ton: Option<u8>, npi: Option<u8>) -> AddressMatch {
    AddressMatch {
        range: range.value.clone(),
        ton,
        npi,
    }
}
