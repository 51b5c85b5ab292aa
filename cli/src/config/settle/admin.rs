//! `[admin]`: checked, and turned into what the control core takes.

use super::Settling;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The longest path that a Unix socket can have (sun_path of unix(7), less its NUL).
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// Where the admin interface is offered; nowhere by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address of the HTTP interface.
    pub listen: Option<SocketAddr>,
    /// Path of the control socket.
    pub socket: Option<PathBuf>,
    /// File with the token that allows changes over the HTTP interface.
    pub token_file: Option<PathBuf>,
}

impl Settling<'_> {
    /// Checks the keys and gives what they come to.
    pub(super) fn admin_settings(&mut self) -> AdminSettings {
        let admin = &self.configuration.admin.section;
        let is_path =
            |path: &String| (1..=SOCKET_PATH_OCTETS_MAX).contains(&path.len()) && !path.contains('\0');
        if admin.socket.value.as_ref().is_some_and(|path| !is_path(path)) {
            let message = format!("`socket` must be a path of 1 to {SOCKET_PATH_OCTETS_MAX} octets");
            self.problem(admin.socket.origin(), message);
        }
        if admin.token_file.value.as_deref() == Some("") {
            self.problem(admin.token_file.origin(), "`token-file` is empty");
        }
        if admin.token_file.is_set() && !admin.listen.is_set() {
            let message =
                "`token-file` is of no use without `listen`: who can open the control socket needs no token";
            self.warn(admin.token_file.origin(), message);
        }
        AdminSettings {
            listen: admin.listen.value,
            socket: admin.socket.value.as_ref().map(PathBuf::from),
            token_file: admin.token_file.value.as_ref().map(PathBuf::from),
        }
    }
}
