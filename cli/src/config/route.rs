//! `[[route]]`: one routing rule.

use super::key::Key;
use super::section::Section;
use serde::Deserialize;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::route::Direction;
use smppmux_engine::core::wire::Status;

/// The keys of `[[route]]`: first what a rule matches, then what it does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteSection {
    /// What the rule is called in dry runs. Default: its number.
    pub name: Key<Option<String>>,
    /// Which messages: from clients (`mt`) or from servers (`mo`). Default: `"mt"`.
    pub direction: Key<Direction>,
    /// Names of the vservers that it holds for. Default: all.
    pub vservers: Key<Option<Vec<Key<String>>>>,
    /// The accounts that sent the message (`mt`). Default: any.
    pub clients: Key<Option<Vec<Key<String>>>>,
    /// Names of the servers that sent the message (`mo`). Default: any.
    pub from_servers: Key<Option<Vec<Key<String>>>>,
    /// The source: a prefix or a regular expression. Default: any.
    pub source: Key<Option<AddressRange>>,
    /// TON of the source. Default: any.
    pub source_ton: Key<Option<u8>>,
    /// NPI of the source. Default: any.
    pub source_npi: Key<Option<u8>>,
    /// The destination: a prefix or a regular expression. Default: any.
    pub destination: Key<Option<AddressRange>>,
    /// TON of the destination. Default: any.
    pub destination_ton: Key<Option<u8>>,
    /// NPI of the destination. Default: any.
    pub destination_npi: Key<Option<u8>>,
    /// service_type. Default: any.
    pub service_type: Key<Option<String>>,
    /// data_coding: one of these. Default: any.
    pub data_coding: Key<Vec<u8>>,
    /// esm_class, as far as `esm-class-mask` says. Default: any.
    pub esm_class: Key<Option<u8>>,
    /// The bits of esm_class that count. Default: 255.
    pub esm_class_mask: Key<u8>,
    /// Matches vendor commands instead of messages. Default: false.
    pub vendor_commands: Key<bool>,
    /// Answers with this status. Default: none.
    pub reject: Key<Option<Status>>,
    /// Names of the servers that the message may go to (`mt`). Default: all of the vserver.
    pub servers: Key<Option<Vec<Key<String>>>>,
    /// Name of the vserver whose clients get the message (`mo`). Default: the server's own.
    pub to_vserver: Key<Option<String>>,
    /// The account whose sessions get the vendor commands of servers (`mo`). Default: none.
    pub to_client: Key<Option<String>>,
    /// New TON of the source. Default: as it is.
    pub set_source_ton: Key<Option<u8>>,
    /// New NPI of the source. Default: as it is.
    pub set_source_npi: Key<Option<u8>>,
    /// What stands in place of the prefix that `source` names. Default: as it is.
    pub set_source_prefix: Key<Option<String>>,
    /// New TON of the destination. Default: as it is.
    pub set_destination_ton: Key<Option<u8>>,
    /// New NPI of the destination. Default: as it is.
    pub set_destination_npi: Key<Option<u8>>,
    /// What stands in place of the prefix that `destination` names. Default: as it is.
    pub set_destination_prefix: Key<Option<String>>,
}

impl Section for RouteSection {
    const NAME: &'static str = "[[route]]";
}

impl Default for RouteSection {
    fn default() -> Self {
        Self {
            name: Key::unset(),
            direction: Key::by_default(Direction::MobileTerminated),
            vservers: Key::unset(),
            clients: Key::unset(),
            from_servers: Key::unset(),
            source: Key::unset(),
            source_ton: Key::unset(),
            source_npi: Key::unset(),
            destination: Key::unset(),
            destination_ton: Key::unset(),
            destination_npi: Key::unset(),
            service_type: Key::unset(),
            data_coding: Key::by_default(Vec::new()),
            esm_class: Key::unset(),
            esm_class_mask: Key::by_default(255),
            vendor_commands: Key::by_default(false),
            reject: Key::unset(),
            servers: Key::unset(),
            to_vserver: Key::unset(),
            to_client: Key::unset(),
            set_source_ton: Key::unset(),
            set_source_npi: Key::unset(),
            set_source_prefix: Key::unset(),
            set_destination_ton: Key::unset(),
            set_destination_npi: Key::unset(),
            set_destination_prefix: Key::unset(),
        }
    }
}
