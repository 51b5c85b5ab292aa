//! Each `[[client]]`: checked, and turned into what the engines take.

use super::Settling;
use super::limits::{CREDENTIAL_OCTETS_MAX, WINDOW_MAX};
use super::names::Names;
use super::tls::asks_for_certificates;
use crate::config::addresses::Network;
use crate::config::choices::BindKind;
use crate::config::client::ClientSection;
use crate::config::section::Item;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{Auth, BindKinds, ClientSettings, VserverIndex, VserverSettings};
use smppmux_engine::shell::check_hash;

/// Octets of system_id and password by the specification, without their NUL (SMPP v3.4 section 5.2.1 and
/// 5.2.2).
const STRICT_SYSTEM_ID_OCTETS: usize = 15;
const STRICT_PASSWORD_OCTETS: usize = 8;

/// Address ranges of one account at most.
const ADDRESS_RANGES_MAX: usize = 1_000_000;

impl<'c> Settling<'c> {
    /// All accounts, in the file's order.
    pub(super) fn clients(&mut self, names: &Names<'c>, vservers: &[VserverSettings]) -> Vec<ClientSettings> {
        let items = &self.configuration.clients;
        items
            .iter()
            .map(|item| self.client(names, vservers, item))
            .collect()
    }

    fn client(
        &mut self,
        names: &Names<'c>,
        vservers: &[VserverSettings],
        item: &'c Item<ClientSection>,
    ) -> ClientSettings {
        let section = &item.section;
        let system_id = item.require("system-id", section.system_id.value.as_ref(), &mut self.problems);
        let allowed_vservers = match &section.vservers.value {
            Some(list) => names.vservers(self, list),
            None => Vec::new(),
        };
        let checked_at: Vec<usize> = (0_u16..)
            .zip(vservers)
            .filter(|(index, vserver)| {
                let is_allowed =
                    allowed_vservers.is_empty() || allowed_vservers.contains(&VserverIndex(*index));
                vserver.auth == Auth::Local && is_allowed
            })
            .map(|(index, _)| usize::from(index))
            .collect();
        self.check_password(!checked_at.is_empty(), item);
        self.check_certificate_names(&checked_at, section);
        self.check_client_values(section);
        ClientSettings {
            system_id: system_id.cloned().unwrap_or_default(),
            password: section.password.value.clone().unwrap_or_else(|| Secret::new("")),
            password_hash: section.password_hash.value.clone(),
            vservers: allowed_vservers,
            binds: bind_kinds(&section.bind.value),
            address_ranges: section
                .address_ranges
                .value
                .iter()
                .map(|range| range.value.clone())
                .collect(),
            allow: section.allow.value.iter().map(Network::parts).collect(),
            certificate_names: section.certificate_names.value.clone(),
            max_binds: section.max_binds.value,
            window: section.window.value,
            rate: self.rate_limit(&section.rate, &section.burst),
            servers: section
                .servers
                .value
                .as_ref()
                .map(|list| names.servers(self, list))
                .unwrap_or_default(),
        }
    }

    /// Of the vservers that check this account's binds.
    fn check_certificate_names(&mut self, vservers: &[usize], section: &ClientSection) {
        let sections = &self.configuration.vservers;
        let mut checking = vservers.iter().filter_map(|place| sections.get(*place));
        let never = !vservers.is_empty() && !checking.any(|item| asks_for_certificates(&item.section));
        if never && !section.certificate_names.value.is_empty() {
            self.warn(
                section.certificate_names.origin(),
                "the account can never bind: none of its vservers asks clients for a certificate (`tls-client-ca`)",
            );
        }
    }

    fn check_password(&mut self, is_checked_here: bool, item: &Item<ClientSection>) {
        let section = &item.section;
        if section.password_hash.is_set() && section.password.is_set() {
            self.problem_with_hint(
                section.password_hash.origin(),
                "`password` and `password-hash` exclude each other",
                "remove `password`",
            );
        } else if is_checked_here && !section.password_hash.is_set() {
            item.require("password", section.password.value.as_ref(), &mut self.problems);
        }
        if let Some(hash) = &section.password_hash.value
            && let Err(reason) = check_hash(&String::from_utf8_lossy(hash.reveal()))
        {
            let message = format!("`password-hash` cannot be used: {reason}");
            self.problem_with_hint(
                section.password_hash.origin(),
                message,
                "make one with `smppmux passwd`",
            );
        }
        let strict = self.configuration.engine.section.strict_lengths.value;
        let limit = |strict_limit| {
            if strict {
                strict_limit
            } else {
                CREDENTIAL_OCTETS_MAX
            }
        };
        if let Some(system_id) = &section.system_id.value {
            self.field_text(
                "system-id",
                &section.system_id,
                system_id,
                limit(STRICT_SYSTEM_ID_OCTETS),
            );
        }
        if let Some(password) = &section.password.value {
            let password = String::from_utf8_lossy(password.reveal());
            self.field_text(
                "password",
                &section.password,
                &password,
                limit(STRICT_PASSWORD_OCTETS),
            );
        }
    }

    fn check_client_values(&mut self, section: &ClientSection) {
        self.optional_number("max-binds", &section.max_binds, &(1..=u32::MAX));
        self.number("window", &section.window, &(1..=WINDOW_MAX));
        if section.bind.value.is_empty() {
            self.problem(
                section.bind.origin(),
                "`bind` is empty: the account could never bind",
            );
        }
        if section.vservers.value.as_ref().is_some_and(Vec::is_empty) {
            self.problem(
                section.vservers.origin(),
                "`vservers` is empty: the account could bind nowhere",
            );
        }
        if section.servers.value.as_ref().is_some_and(Vec::is_empty) {
            self.problem(
                section.servers.origin(),
                "`servers` is empty: the account could send nothing",
            );
        }
        let ranges = section.address_ranges.value.len();
        if ranges > ADDRESS_RANGES_MAX {
            let message = format!("{ranges} address ranges are more than {ADDRESS_RANGES_MAX}");
            self.problem(section.address_ranges.origin(), message);
        }
    }
}

fn bind_kinds(kinds: &[BindKind]) -> BindKinds {
    BindKinds {
        transmitter: kinds.contains(&BindKind::Transmitter),
        receiver: kinds.contains(&BindKind::Receiver),
        transceiver: kinds.contains(&BindKind::Transceiver),
    }
}
