//! Who may connect to a `[[vserver]]`: checked, and turned into what the engines take.

use super::Settling;
use super::limits::{DAY, MILLISECOND};
use crate::config::addresses::Network;
use crate::config::vserver::VserverSection;
use smppmux_engine::core::settings::AdmissionSettings;

/// Connections and failed binds at most that can be asked for.
const COUNT_MAX: u32 = 1_000_000;

impl Settling<'_> {
    pub(super) fn admission(&mut self, section: &VserverSection) -> AdmissionSettings {
        for (name, key) in [
            ("max-connections", &section.max_connections),
            (
                "max-connections-per-address",
                &section.max_connections_per_address,
            ),
            (
                "connection-rate-per-address",
                &section.connection_rate_per_address,
            ),
            ("failed-binds-max", &section.failed_binds_max),
        ] {
            self.optional_number(name, key, &(1..=COUNT_MAX));
        }
        self.period(
            "failed-bind-window",
            &section.failed_bind_window,
            &(MILLISECOND..=DAY),
        );
        self.period("ban-time", &section.ban_time, &(MILLISECOND..=DAY));
        if let Some(back_off) = section.failed_bind_back_off.value {
            let key = section.failed_bind_back_off.with_value(back_off);
            self.period(
                "failed-bind-back-off",
                &key,
                &(MILLISECOND..=section.ban_time.value),
            );
        }
        AdmissionSettings {
            proxy_networks: networks(&section.proxy_protocol.value),
            connections_max: section.max_connections.value,
            connections_per_address_max: section.max_connections_per_address.value,
            connection_rate_per_address: section.connection_rate_per_address.value,
            failed_binds_max: section.failed_binds_max.value,
            failed_bind_window: section.failed_bind_window.value,
            failed_bind_back_off: section.failed_bind_back_off.value,
            ban_time: section.ban_time.value,
            exempt_networks: networks(&section.limits_exempt.value),
        }
    }
}

fn networks(networks: &[Network]) -> Vec<(std::net::IpAddr, u8)> {
    networks.iter().map(Network::parts).collect()
}
