//! `[message-log]`: one line for each submit, answer, MO and receipt.

use super::key::Key;
use super::section::Section;
use super::texts::Octets;
use super::value::choices;
use serde::Deserialize;
use smppmux_engine::core::secret::Secret;
use std::time::Duration;

/// How much of a message's text stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedContent {
    /// None of it.
    None,
    /// Its octets in hexadecimal.
    Hex,
    /// As text, where its data_coding says how to read it.
    Text,
}

choices!(LoggedContent: "none" => Self::None, "hex" => Self::Hex, "text" => Self::Text);

/// How addresses stand in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedAddresses {
    /// As they are.
    Plain,
    /// The first and last characters.
    Masked,
    /// A keyed hash of them.
    Hashed,
}

choices!(LoggedAddresses: "plain" => Self::Plain, "masked" => Self::Masked, "hashed" => Self::Hashed);

/// The keys of `[message-log]`: one line for each submit, answer, MO and receipt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct MessageLogSection {
    /// Folder of the files. Default: none, and no log.
    pub path: Key<Option<String>>,
    /// What the files' names begin with. Default: `"messages"`.
    pub name: Key<String>,
    /// How much of a text is logged. Default: `"none"`.
    pub content: Key<LoggedContent>,
    /// How addresses are logged. Default: `"plain"`.
    pub addresses: Key<LoggedAddresses>,
    /// Characters that a masked address begins with. Default: 5.
    pub mask_keep_first: Key<u32>,
    /// Characters that it ends with. Default: 2.
    pub mask_keep_last: Key<u32>,
    /// The key of hashed addresses. Default: none.
    pub address_key: Key<Option<Secret>>,
    /// Octets of a file at most. Default: `"100MiB"`.
    pub max_file_bytes: Key<Octets>,
    /// How long a file is written. Default: `"1d"`.
    pub max_file_age: Key<Duration>,
    /// Finished files that are kept. Default: 30.
    pub max_files: Key<u32>,
    /// How often the file is synced. Default: `"1s"`.
    pub sync_interval: Key<Duration>,
    /// Octets of memory for what one core's records wait in. Default: `"16MiB"`.
    pub buffer_bytes: Key<Octets>,
}

impl Section for MessageLogSection {
    const NAME: &'static str = "[message-log]";
}

impl Default for MessageLogSection {
    fn default() -> Self {
        Self {
            path: Key::unset(),
            name: Key::by_default("messages".into()),
            content: Key::by_default(LoggedContent::None),
            addresses: Key::by_default(LoggedAddresses::Plain),
            mask_keep_first: Key::by_default(5),
            mask_keep_last: Key::by_default(2),
            address_key: Key::unset(),
            max_file_bytes: Key::by_default(Octets(100 << 20)),
            max_file_age: Key::by_default(Duration::from_secs(24 * 3600)),
            max_files: Key::by_default(30),
            sync_interval: Key::by_default(Duration::from_secs(1)),
            buffer_bytes: Key::by_default(Octets(16 << 20)),
        }
    }
}
