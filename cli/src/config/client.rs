//! `[[client]]`: one account that ESMEs bind with.

use super::addresses::Network;
use super::choices::BindKind;
use super::key::Key;
use super::section::Section;
use serde::Deserialize;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::secret::Secret;

/// The keys of `[[client]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClientSection {
    /// Unique name that the client binds with. Required.
    pub system_id: Key<Option<String>>,
    /// Its password. Required, unless all its vservers have `auth = "forward"`.
    pub password: Key<Option<Secret>>,
    /// A hash of its password, instead of the password. Default: none.
    pub password_hash: Key<Option<Secret>>,
    /// Names of the vservers that it may bind at. Default: all.
    pub vservers: Key<Option<Vec<Key<String>>>>,
    /// Kinds of bind that it may use. Default: all three.
    pub bind: Key<Vec<BindKind>>,
    /// What it may claim by address_range: prefixes or regular expressions. Default: none, so no MO, receipts
    /// only.
    pub address_ranges: Key<Vec<Key<AddressRange>>>,
    /// Networks that it may come from. Default: any.
    pub allow: Key<Vec<Network>>,
    /// DNS names, one of which its TLS certificate must be for. Default: none, it needs no certificate.
    pub certificate_names: Key<Vec<String>>,
    /// Sessions at once at most, on all cores together. Default: no limit.
    pub max_binds: Key<Option<u32>>,
    /// Requests in flight per session, each direction on its own. Default: 100.
    pub window: Key<u32>,
    /// Messages per second at most. Default: no limit.
    pub rate: Key<Option<u32>>,
    /// Messages above `rate` that may come at once. Default: none.
    pub burst: Key<Option<u32>>,
    /// Names of the servers that its messages may go to. Default: all of the vserver.
    pub servers: Key<Option<Vec<Key<String>>>>,
}

impl Section for ClientSection {
    const NAME: &'static str = "[[client]]";
}

impl Default for ClientSection {
    fn default() -> Self {
        Self {
            system_id: Key::unset(),
            password: Key::unset(),
            password_hash: Key::unset(),
            vservers: Key::unset(),
            bind: Key::by_default(vec![
                BindKind::Transmitter,
                BindKind::Receiver,
                BindKind::Transceiver,
            ]),
            address_ranges: Key::by_default(Vec::new()),
            allow: Key::by_default(Vec::new()),
            certificate_names: Key::by_default(Vec::new()),
            max_binds: Key::unset(),
            window: Key::by_default(100),
            rate: Key::unset(),
            burst: Key::unset(),
            servers: Key::unset(),
        }
    }
}
