//! Which smppmux is spoken to: by flag, by its configuration file, or where one usually is.

use crate::arguments::CtlTarget;
use crate::config::{self, Configuration};
use crate::exit::{self, Failure};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

const DEFAULT_SOCKET: &str = "/run/smppmux/control.sock";
const DEFAULT_URL: &str = "http://127.0.0.1:9775";

/// Where to connect, and what to show there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) place: Place,
    pub(super) token_file: Option<PathBuf>,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Socket(PathBuf),
    /// Host and port.
    Tcp(String),
}

/// Finds out where to connect, with this file's token or the configured one.
///
/// # Errors
///
/// Exit code 64 for a URL that is none, 66 or 78 for the configuration file.
pub(crate) fn find(arguments: &CtlTarget, token_file: Option<PathBuf>) -> Result<Target, Failure> {
    let place = if let Some(socket) = &arguments.socket {
        Place::Socket(socket.clone())
    } else if let Some(url) = &arguments.url {
        Place::Tcp(host_and_port(url)?)
    } else if let Some(path) = &arguments.config {
        return configured(path, token_file);
    } else if Path::new(DEFAULT_SOCKET).exists() {
        Place::Socket(DEFAULT_SOCKET.into())
    } else {
        Place::Tcp(host_and_port(DEFAULT_URL)?)
    };
    Ok(Target { place, token_file })
}

fn configured(path: &Path, token_file: Option<PathBuf>) -> Result<Target, Failure> {
    let source = config::read_source(path)?;
    let (configuration, _) = Configuration::parse(&source.text)
        .map_err(|problems| Failure::new(exit::CONFIGURATION, source.describe_all(&problems)))?;
    let admin = &configuration.admin.section;
    let place = match (&admin.socket.value, admin.listen.value) {
        (Some(socket), _) => Place::Socket(socket.into()),
        (None, Some(address)) => Place::Tcp(reachable(address).to_string()),
        (None, None) => {
            let reason = format!(
                "{} has neither `socket` nor `listen` under [admin]",
                path.display()
            );
            return Err(Failure::new(exit::CONFIGURATION, reason));
        }
    };
    let token_file = token_file.or_else(|| admin.token_file.value.as_ref().map(PathBuf::from));
    Ok(Target { place, token_file })
}

/// Who listens on every address is reached by the one of this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn host_and_port(url: &str) -> Result<String, Failure> {
    let wrong = || {
        let reason = format!("{url:?} is no address of an HTTP interface, such as {DEFAULT_URL}");
        Failure::new(exit::USAGE, reason)
    };
    let uri: hyper::Uri = url.parse().map_err(|_| wrong())?;
    let is_plain = uri.scheme_str().is_none_or(|scheme| scheme == "http") && matches!(uri.path(), "" | "/");
    let authority = uri.authority().filter(|_| is_plain).ok_or_else(wrong)?;
    Ok(match authority.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what people write for an address is understood, and what is none is refused.
    #[test]
    fn urls_are_read() {
        for (url, expected) in [
            ("http://127.0.0.1:9775", "127.0.0.1:9775"),
            ("http://mux.example/", "mux.example:80"),
            ("localhost:9775", "localhost:9775"),
            ("http://[::1]:9775", "[::1]:9775"),
        ] {
            assert_eq!(host_and_port(url).expect(url), expected);
        }
        for url in ["", "https://127.0.0.1:1", "http://x/path", "a b"] {
            assert!(host_and_port(url).is_err(), "{url}");
        }
    }
}
