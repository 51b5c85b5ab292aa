//! Each `[[server]]`: checked, and turned into what the engines take.

use super::Settling;
use super::limits::{CONNECTIONS_MAX, CREDENTIAL_OCTETS_MAX, DAY, MILLISECOND, WEIGHT_MAX, WINDOW_MAX};
use super::names::Names;
use super::tls::transport;
use crate::config::key::{Key, Origin};
use crate::config::section::Item;
use crate::config::server::ServerSection;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{
    Connections, ServerIndex, ServerSettings, VserverIndex, VserverSettings,
};
use std::time::Duration;

/// Octets of system_type and address_range in a bind, without their NUL (SMPP v3.4 section 5.2.3 and 5.2.7).
const SYSTEM_TYPE_OCTETS_MAX: usize = 12;
const ADDRESS_RANGE_OCTETS_MAX: usize = 40;

/// Addresses of one server at most.
const ADDRESSES_MAX: usize = 16;

impl<'c> Settling<'c> {
    /// All servers, in the file's order.
    pub(super) fn servers(&mut self, names: &Names<'c>, vservers: &[VserverSettings]) -> Vec<ServerSettings> {
        let items = self.configuration.servers.iter().enumerate();
        items
            .map(|(index, item)| self.server(index, names, vservers, item))
            .collect()
    }

    fn server(
        &mut self,
        index: usize,
        names: &Names<'c>,
        vservers: &[VserverSettings],
        item: &'c Item<ServerSection>,
    ) -> ServerSettings {
        let section = &item.section;
        let engine = &self.configuration.engine.section;
        item.require("name", section.name.value.as_ref(), &mut self.problems);
        let uid = item.require("uid", section.uid.value, &mut self.problems);
        let system_id = item.require("system-id", section.system_id.value.as_ref(), &mut self.problems);
        let password = item.require("password", section.password.value.as_ref(), &mut self.problems);
        self.check_credentials(section);
        self.check_server_values(section);
        let mobile_originated_vserver = self.mobile_originated_vserver(index, names, vservers, item);
        let receiving = mobile_originated_vserver.and_then(|index| vservers.get(usize::from(index.0)));
        ServerSettings {
            name: section.name.value.clone().unwrap_or_default(),
            uid: uid.map(|uid| uid.0).unwrap_or_default(),
            addresses: self.addresses(item),
            transmitter_address: section.transmitter_address.value.clone().map(|address| address.0),
            receiver_address: section.receiver_address.value.clone().map(|address| address.0),
            local_address: section.local_address.value,
            transport: transport(section),
            system_id: system_id.cloned().unwrap_or_default(),
            password: password.cloned().unwrap_or_else(|| Secret::new("")),
            system_type: section.system_type.value.clone(),
            interface_version: section.interface_version.value.0,
            bind: section.bind.value,
            address_range: section.address_range.value.clone(),
            addr_ton: section.addr_ton.value,
            addr_npi: section.addr_npi.value,
            connections: self.connections(section),
            window: section.window.value.unwrap_or(engine.window.value),
            window_octets: usize::try_from(section.window_octets.value.0).unwrap_or(usize::MAX),
            rate: self.rate_limit(&section.rate, &section.burst),
            adaptive_pace: section.adaptive_pace.value,
            slow_start: section.slow_start.value,
            ejection: self.ejection(section),
            weight: section.weight.value,
            priority: section.priority.value,
            response_timeout: section.response_timeout.value,
            enquire_link_interval: section.enquire_link_interval.value,
            enquire_link_misses: section.enquire_link_misses.value,
            reconnect_min: section.reconnect_min.value,
            reconnect_max: section.reconnect_max.value,
            auth_retry: section.auth_retry.value,
            outbind: self.outbind(item, receiving),
            concat_reference: section.concat_reference.value,
            mobile_originated_vserver,
            message_id_format: section.message_id_format.value,
        }
    }

    fn addresses(&mut self, item: &Item<ServerSection>) -> Vec<String> {
        let section = &item.section;
        match (&section.address.value, &section.addresses.value) {
            (Some(_), Some(_)) => {
                let at = later(&section.address, &section.addresses);
                self.problem(at, "`address` and `addresses` exclude each other");
                Vec::new()
            }
            (Some(address), None) => vec![address.0.clone()],
            (None, Some(addresses)) => {
                if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
                    let message = format!(
                        "`addresses` has {} entries; 1 to {ADDRESSES_MAX} fit",
                        addresses.len()
                    );
                    self.problem(section.addresses.origin(), message);
                }
                addresses.iter().map(|address| address.0.clone()).collect()
            }
            (None, None) => {
                item.require::<()>("address", None, &mut self.problems);
                Vec::new()
            }
        }
    }

    fn connections(&mut self, section: &ServerSection) -> Connections {
        self.optional_number("connections", &section.connections, &(1..=CONNECTIONS_MAX));
        self.optional_number(
            "connections-total",
            &section.connections_total,
            &(1..=CONNECTIONS_MAX),
        );
        match (section.connections.value, section.connections_total.value) {
            (Some(_), Some(_)) => {
                let at = later(&section.connections, &section.connections_total);
                let message =
                    "`connections` (per core) and `connections-total` (on all cores) exclude each other";
                self.problem_with_hint(at, message, "remove one of the two");
                Connections::PerCore(1)
            }
            (None, Some(total)) => Connections::Total(total),
            (Some(connections), None) => Connections::PerCore(connections),
            (None, None) => {
                Connections::PerCore(self.configuration.engine.section.connections_per_server.value)
            }
        }
    }

    fn check_credentials(&mut self, section: &ServerSection) {
        if let Some(system_id) = &section.system_id.value {
            self.field_text("system-id", &section.system_id, system_id, CREDENTIAL_OCTETS_MAX);
        }
        if let Some(password) = &section.password.value {
            let password = String::from_utf8_lossy(password.reveal());
            self.field_text("password", &section.password, &password, CREDENTIAL_OCTETS_MAX);
        }
        self.field_text(
            "system-type",
            &section.system_type,
            &section.system_type.value,
            SYSTEM_TYPE_OCTETS_MAX,
        );
        let range = &section.address_range;
        self.field_text("address-range", range, &range.value, ADDRESS_RANGE_OCTETS_MAX);
    }

    fn check_server_values(&mut self, section: &ServerSection) {
        for (name, key) in [
            ("auth-retry", &section.auth_retry),
            ("response-timeout", &section.response_timeout),
            ("enquire-link-interval", &section.enquire_link_interval),
            ("reconnect-min", &section.reconnect_min),
            ("reconnect-max", &section.reconnect_max),
        ] {
            self.period(name, key, &(MILLISECOND..=DAY));
        }
        self.period("slow-start", &section.slow_start, &(Duration::ZERO..=DAY));
        self.optional_number("window", &section.window, &(1..=WINDOW_MAX));
        self.octets("window-octets", &section.window_octets, &(65_536..=(1 << 30)));
        self.number("weight", &section.weight, &(1..=WEIGHT_MAX));
        self.number("priority", &section.priority, &(0..=1000));
        self.number("enquire-link-misses", &section.enquire_link_misses, &(1..=100));
        self.not_longer(
            ("reconnect-min", &section.reconnect_min),
            ("reconnect-max", &section.reconnect_max),
        );
    }

    /// Clients belong to a vserver, so a server's deliver_sm must have one: the only one that lists it, or
    /// the one that it names.
    fn mobile_originated_vserver(
        &mut self,
        index: usize,
        names: &Names<'c>,
        vservers: &[VserverSettings],
        item: &'c Item<ServerSection>,
    ) -> Option<VserverIndex> {
        let listing: Vec<VserverIndex> = (0_u16..)
            .zip(vservers)
            .filter(|(_, vserver)| {
                vserver
                    .servers
                    .iter()
                    .any(|ServerIndex(server)| usize::from(*server) == index)
            })
            .map(|(vserver, _)| VserverIndex(vserver))
            .collect();
        let key = &item.section.mobile_originated_vserver;
        match (names.vserver(self, key), listing.as_slice()) {
            (Some(named), listing) if listing.contains(&named) => Some(named),
            (Some(_), _) => {
                self.problem(
                    key.origin(),
                    "the vserver that gets this server's messages does not list the server",
                );
                None
            }
            (None, _) if key.value.is_some() => None,
            (None, []) => {
                if !vservers.is_empty() && !item.is_retired() {
                    self.warn(
                        &item.at(),
                        format!("no vserver lists the server {}", name_of(item)),
                    );
                }
                None
            }
            (None, [only]) => Some(*only),
            (None, [first, ..]) => {
                let first = vservers
                    .get(usize::from(first.0))
                    .map(|vserver| vserver.name.clone());
                self.problem_with_hint(
                    &item.at(),
                    format!(
                        "{} vservers list the server {}, so it must say whose clients get its messages",
                        listing.len(),
                        name_of(item)
                    ),
                    format!(
                        "add mobile-originated-vserver = \"{}\"",
                        first.unwrap_or_default()
                    ),
                );
                None
            }
        }
    }
}

fn name_of(item: &Item<ServerSection>) -> String {
    item.section
        .name
        .value
        .as_ref()
        .map_or_else(|| "without a name".into(), |name| format!("\"{name}\""))
}

/// The place of the key that stands later in the file.
fn later<'k, T, U>(left: &'k Key<T>, right: &'k Key<U>) -> &'k Origin {
    match (left.origin(), right.origin()) {
        (Origin::File(left_span), Origin::File(right_span)) if left_span.start > right_span.start => {
            left.origin()
        }
        (Origin::Flag(_), _) => left.origin(),
        _ => right.origin(),
    }
}
