//! `[message-log]`: checked, and turned into what the writer takes.

use super::Settling;
use super::limits::{DAY, KEPT_AGE_MAX};
use crate::config::key::Origin;
use crate::config::message_log::{LoggedAddresses, MessageLogSection};
use crate::message_log::{AddressForm, FileSettings, LineSettings, MessageLogSettings};
use std::time::Duration;

/// Characters of an address at most (data_sm).
const ADDRESS_CHARACTERS_MAX: u32 = 64;
/// Octets of the key of hashed addresses at least.
const ADDRESS_KEY_OCTETS_MIN: usize = 16;
const FILES_MAX: u32 = 100_000;

impl Settling<'_> {
    /// What the writer takes; `None` where no message is logged.
    pub(super) fn message_log_settings(&mut self) -> Option<MessageLogSettings> {
        let section = &self.configuration.message_log.section;
        self.octets("max-file-bytes", &section.max_file_bytes, &(64 * 1024..=1 << 40));
        self.period(
            "max-file-age",
            &section.max_file_age,
            &(Duration::from_secs(1)..=KEPT_AGE_MAX),
        );
        self.number("max-files", &section.max_files, &(1..=FILES_MAX));
        self.period("sync-interval", &section.sync_interval, &(Duration::ZERO..=DAY));
        self.octets("buffer-bytes", &section.buffer_bytes, &(256 * 1024..=1 << 30));
        let characters = 0..=ADDRESS_CHARACTERS_MAX;
        self.number("mask-keep-first", &section.mask_keep_first, &characters);
        self.number("mask-keep-last", &section.mask_keep_last, &characters);
        let is_name = |name: &str| {
            let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
            (1..=64).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('.')
        };
        if !is_name(&section.name.value) {
            let message = "`name` must be 1 to 64 letters, digits, dots, dashes and underscores, without a dot in front";
            self.problem(section.name.origin(), message);
        }
        let addresses = self.address_form(section);
        if section.path.value.as_deref() == Some("") {
            let message = "`path` is empty; it names the folder of the message log";
            self.problem(section.path.origin(), message);
        }
        let Some(path) = &section.path.value else {
            self.blame_log_keys_without_path(section);
            return None;
        };
        Some(MessageLogSettings {
            file: FileSettings {
                folder: path.into(),
                name: section.name.value.clone(),
                octets_max: section.max_file_bytes.value.0,
                age_max: section.max_file_age.value,
                files_max: section.max_files.value as usize,
                sync_interval: section.sync_interval.value,
            },
            lines: LineSettings {
                content: section.content.value,
                addresses,
            },
            lane_octets: usize::try_from(section.buffer_bytes.value.0).unwrap_or(usize::MAX),
        })
    }

    fn address_form(&mut self, section: &MessageLogSection) -> AddressForm {
        let (form, key) = (section.addresses.value, &section.address_key);
        if form != LoggedAddresses::Hashed && key.is_set() {
            self.problem(key.origin(), "`address-key` needs `addresses = \"hashed\"`");
        }
        if form != LoggedAddresses::Masked {
            for (name, key) in [
                ("mask-keep-first", &section.mask_keep_first),
                ("mask-keep-last", &section.mask_keep_last),
            ] {
                if key.is_set() {
                    self.problem(key.origin(), format!("`{name}` needs `addresses = \"masked\"`"));
                }
            }
        }
        match form {
            LoggedAddresses::Plain => AddressForm::Plain,
            LoggedAddresses::Masked => AddressForm::Masked {
                first: section.mask_keep_first.value as usize,
                last: section.mask_keep_last.value as usize,
            },
            LoggedAddresses::Hashed => match &key.value {
                Some(key) if key.reveal().len() >= ADDRESS_KEY_OCTETS_MIN => AddressForm::hashed(key),
                Some(_) => {
                    let message = format!(
                        "`address-key` is too short: numbers are few enough to try them all, so it needs {ADDRESS_KEY_OCTETS_MIN} octets or more"
                    );
                    self.problem_with_hint(key.origin(), message, "openssl rand -hex 32");
                    AddressForm::Plain
                }
                None => {
                    let message = "`addresses = \"hashed\"` needs `address-key`";
                    self.problem_with_hint(section.addresses.origin(), message, "openssl rand -hex 32");
                    AddressForm::Plain
                }
            },
        }
    }

    fn blame_log_keys_without_path(&mut self, section: &MessageLogSection) {
        // Those that need another key beside `path` have been looked at.
        let keys: [(&str, &Origin); 8] = [
            ("name", section.name.origin()),
            ("content", section.content.origin()),
            ("addresses", section.addresses.origin()),
            ("max-file-bytes", section.max_file_bytes.origin()),
            ("max-file-age", section.max_file_age.origin()),
            ("max-files", section.max_files.origin()),
            ("sync-interval", section.sync_interval.origin()),
            ("buffer-bytes", section.buffer_bytes.origin()),
        ];
        self.blame_keys_without("path", keys);
    }
}
