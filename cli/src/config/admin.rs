//! `[admin]`: where metrics, health and control are offered.

use super::key::Key;
use super::section::Section;
use serde::Deserialize;
use std::net::SocketAddr;

/// The keys of `[admin]`: metrics, health and control.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AdminSection {
    /// Address of the HTTP interface. Default: none.
    pub listen: Key<Option<SocketAddr>>,
    /// Path of the control socket. Default: none.
    pub socket: Key<Option<String>>,
    /// File that holds the token for the HTTP interface. Default: none.
    pub token_file: Key<Option<String>>,
}

impl Section for AdminSection {
    const NAME: &'static str = "[admin]";
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            listen: Key::unset(),
            socket: Key::unset(),
            token_file: Key::unset(),
        }
    }
}
