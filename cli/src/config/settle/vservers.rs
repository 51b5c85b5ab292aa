//! Each `[[vserver]]`: checked, and turned into what the engines take.

use super::Settling;
use super::limits::{DAY, MILLISECOND};
use super::names::Names;
use crate::config::key::Origin;
use crate::config::section::Item;
use crate::config::vserver::VserverSection;
use smppmux_engine::core::receipts::CheckKey;
use smppmux_engine::core::route::HopGuard;
use smppmux_engine::core::settings::{MessageIdSettings, ReceiptSettings, VserverSettings};

/// Characters of a signature at most: a tagged id must leave room for the id.
const SIGNATURE_CHARACTERS_MAX: usize = 16;

impl<'c> Settling<'c> {
    /// All vservers, in the file's order.
    pub(super) fn vservers(&mut self, names: &Names<'c>) -> Vec<VserverSettings> {
        let items = &self.configuration.vservers;
        if items.is_empty() {
            self.problem_with_hint(
                &Origin::Default,
                "there is no [[vserver]], so there is nothing to listen on",
                "add a [[vserver]] with `name` and `listen`",
            );
        }
        items.iter().map(|item| self.vserver(names, item)).collect()
    }

    fn vserver(&mut self, names: &Names<'c>, item: &'c Item<VserverSection>) -> VserverSettings {
        let section = &item.section;
        item.require("name", section.name.value.as_ref(), &mut self.problems);
        let listen = item.require("listen", section.listen.value.as_ref(), &mut self.problems);
        if listen.is_some_and(Vec::is_empty) && section.tls_listen.value.is_empty() {
            self.problem(section.listen.origin(), "`listen` is empty: nobody could connect");
        }
        let servers = match &section.servers.value {
            Some(list) => names.servers(self, list),
            None => Names::all_servers(self),
        };
        if section.servers.value.as_ref().is_some_and(Vec::is_empty) || self.configuration.servers.is_empty()
        {
            let at = if section.servers.is_set() {
                section.servers.origin().clone()
            } else {
                item.at()
            };
            self.problem(&at, "this vserver has no server behind it");
        }
        self.check_vserver_values(section);
        VserverSettings {
            name: section.name.value.clone().unwrap_or_default(),
            listen: listen
                .map(|keys| keys.iter().map(|key| key.value).collect())
                .unwrap_or_default(),
            method: section.method.value,
            method_batch: section.method_batch.value,
            eject_limit_percent: section.eject_limit.value,
            hash_key: section.hash_key.value,
            auth: section.auth.value,
            servers,
            overload: section.overload.value,
            hold_time: section.hold_time.value,
            all_servers_down: section.all_servers_down.value,
            on_server_loss: section.on_server_loss.value,
            on_throttle: section.on_throttle.value,
            hop_guard: section.hop_guard_tag.value.map(|tag| HopGuard {
                tag,
                hops_max: section.hop_guard_max.value,
            }),
            pool_method: section.pool_method.value,
            empty_range: section.empty_range.value,
            signature: section.signature.value.clone(),
            message_id: MessageIdSettings {
                mode: section.message_id.value,
                key: section
                    .message_id_key
                    .value
                    .as_ref()
                    .map(CheckKey::new)
                    .unwrap_or_default(),
            },
            receipts: ReceiptSettings {
                route: section.receipts.value,
                hold: section.receipt_hold.value,
                unknown: section.receipt_unknown.value,
            },
            late_answer_hold: section.late_answer_hold.value,
            forward_cache: section.forward_cache.value,
            timeout_status: section.timeout_status.value,
            bind_timeout: section.bind_timeout.value,
            enquire_link_interval: section.enquire_link_interval.value,
            enquire_link_misses: section.enquire_link_misses.value,
            response_timeout: section.response_timeout.value,
            admission: self.admission(section),
            concat_timeout: section.concat_timeout.value,
        }
    }

    fn check_vserver_values(&mut self, section: &VserverSection) {
        for (name, key) in [
            ("hold-time", &section.hold_time),
            ("receipt-hold", &section.receipt_hold),
            ("late-answer-hold", &section.late_answer_hold),
            ("forward-cache", &section.forward_cache),
            ("bind-timeout", &section.bind_timeout),
            ("enquire-link-interval", &section.enquire_link_interval),
            ("response-timeout", &section.response_timeout),
            ("concat-timeout", &section.concat_timeout),
        ] {
            self.period(name, key, &(MILLISECOND..=DAY));
        }
        self.number("enquire-link-misses", &section.enquire_link_misses, &(1..=100));
        self.optional_number("hop-guard-tag", &section.hop_guard_tag, &(0x1400..=0x3FFF));
        self.number("method-batch", &section.method_batch, &(1..=1000));
        self.number("eject-limit", &section.eject_limit, &(0..=100));
        self.number("hop-guard-max", &section.hop_guard_max, &(1..=255));
        let signature = &section.signature;
        let is_good = (1..=SIGNATURE_CHARACTERS_MAX).contains(&signature.value.len())
            && signature.value.bytes().all(|octet| octet.is_ascii_alphanumeric());
        if !is_good {
            let message = format!(
                "`signature` is \"{}\"; it must be 1 to {SIGNATURE_CHARACTERS_MAX} letters and digits",
                signature.value
            );
            self.problem(signature.origin(), message);
        }
        if section.timeout_status.value.is_ok() {
            self.problem(
                section.timeout_status.origin(),
                "`timeout-status` must be an error: ESME_ROK would tell the client that its message was taken",
            );
        }
    }
}
