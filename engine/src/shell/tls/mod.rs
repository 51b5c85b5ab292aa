//! TLS on both sides: which certificates are shown and which are believed.
//!
//! [`TlsSettings`] names files; [`Registry`] has read them and gives a new connection what it needs. [`session`] is one
//! connection without a socket: octets in, octets out, so that every driver carries it alike.
//!
//! Invariants: files are read by the control core only; what is in use is replaced as a whole, or not at all where a file is
//! wrong, or a certificate that has run out would replace one that has not; connections that are there keep what they began
//! with. The lock is taken when a connection begins, never for octets.

mod files;
mod session;
mod validity;

pub(super) use session::{Progress, Session};

use crate::core::settings::{ServerIndex, VserverIndex};
use files::{client_config, server_config};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use validity::Validity;

/// TLS of all vservers and servers, by their places in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Of each vserver, where it has TLS.
    pub vservers: Vec<Option<VserverTls>>,
    /// Of each server, where it has TLS.
    pub servers: Vec<Option<ServerTls>>,
}

/// TLS towards the clients of a vserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VserverTls {
    /// Addresses where clients speak TLS.
    pub listen: Vec<SocketAddr>,
    /// What is shown; the first to a client that names no host, or one that nobody has.
    pub certificates: Vec<CertificateFiles>,
    /// Who signs the certificates of clients; `None`: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// A client without a certificate is refused.
    pub is_client_certificate_required: bool,
    /// TLS 1.2 is refused.
    pub is_version_13_required: bool,
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerTls {
    /// Who signs its certificate.
    pub ca: PathBuf,
    /// The name that its certificate must be for; `None`: the host of its address.
    pub name: Option<String>,
    /// What is shown to it, where it asks.
    pub certificate: Option<CertificateFiles>,
    /// TLS 1.2 is refused.
    pub is_version_13_required: bool,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, then those between it and the root.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

/// Why TLS cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The file to blame, where there is one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(formatter, "{}: {}", file.display(), self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl std::error::Error for TlsError {}

/// What new connections get.
#[derive(Debug)]
pub(super) struct Registry {
    loaded: RwLock<Arc<LoadedTls>>,
}

/// Files that were read: what new connections begin with, once it is in use.
#[derive(Debug)]
pub struct LoadedTls {
    settings: TlsSettings,
    vservers: Vec<Option<Arc<ServerConfig>>>,
    servers: Vec<Option<Arc<ClientConfig>>>,
    own: Vec<OwnCertificate>,
}

/// A certificate that we show.
#[derive(Debug)]
struct OwnCertificate {
    file: PathBuf,
    leaf: CertificateDer<'static>,
}

impl ServerTls {
    /// Stands for all of this, for [`ServerSettings::transport`](crate::core::settings::ServerSettings::transport); never 0.
    pub fn transport(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// Reads the files, for who connects by itself.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        client_config(self, &mut Vec::new())
    }
}

impl VserverTls {
    /// Reads the files, for who listens by itself.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        server_config(self, &mut Vec::new())
    }
}

impl TlsSettings {
    /// Whether anybody has TLS.
    pub fn is_used(&self) -> bool {
        self.vservers.iter().any(Option::is_some) || self.servers.iter().any(Option::is_some)
    }

    /// Reads every file, to find out what is wrong; gives what an operator should know of certificates that have run out, are
    /// not valid yet, or soon run out.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn check(&self) -> Result<Vec<String>, TlsError> {
        let loaded = LoadedTls::read(self)?;
        let now = UnixTime::now();
        let warnings = loaded.own.iter().filter_map(|own| {
            let warning = Validity::of(&own.leaf, now).warning()?;
            Some(format!("{}: {warning}", own.file.display()))
        });
        Ok(warnings.collect())
    }
}

impl LoadedTls {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let mut own = Vec::new();
        let mut vservers = Vec::with_capacity(settings.vservers.len());
        for tls in &settings.vservers {
            vservers.push(tls.as_ref().map(|tls| server_config(tls, &mut own)).transpose()?);
        }
        let mut servers = Vec::with_capacity(settings.servers.len());
        for tls in &settings.servers {
            servers.push(tls.as_ref().map(|tls| client_config(tls, &mut own)).transpose()?);
        }
        Ok(Self {
            settings: settings.clone(),
            vservers,
            servers,
            own,
        })
    }

    /// Whether a certificate is shown already.
    fn shows(&self, leaf: &CertificateDer<'_>) -> bool {
        self.own.iter().any(|own| own.leaf == *leaf)
    }
}

impl Registry {
    /// Reads all files. `None`: there is no TLS.
    pub(super) fn new(settings: &TlsSettings) -> Result<Option<Arc<Self>>, TlsError> {
        if !settings.is_used() {
            return Ok(None);
        }
        let loaded = RwLock::new(Arc::new(LoadedTls::read(settings)?));
        Ok(Some(Arc::new(Self { loaded })))
    }

    /// Reads all files anew; nothing is in use yet. A certificate that cannot be used now is an error, but for one that is in
    /// use: it was somebody's will, and nothing gets worse.
    pub(super) fn read(&self, settings: &TlsSettings) -> Result<LoadedTls, TlsError> {
        let new = LoadedTls::read(settings)?;
        let (current, now) = (self.loaded(), UnixTime::now());
        for own in new.own.iter().filter(|own| !current.shows(&own.leaf)) {
            if let Some(reason) = Validity::of(&own.leaf, now).obstacle() {
                return Err(TlsError {
                    file: Some(own.file.clone()),
                    reason,
                });
            }
        }
        Ok(new)
    }

    /// New connections begin with this from now on.
    pub(super) fn use_loaded(&self, loaded: LoadedTls) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    fn loaded(&self) -> Arc<LoadedTls> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a vserver's clients speak TLS.
    pub(super) fn listen(&self, vserver: VserverIndex) -> Vec<SocketAddr> {
        let loaded = self.loaded();
        let tls = loaded.settings.vservers.get(usize::from(vserver.0));
        tls.and_then(Option::as_ref)
            .map(|tls| tls.listen.clone())
            .unwrap_or_default()
    }

    /// Our side of a connection that a client has opened.
    pub(super) fn accept(&self, vserver: VserverIndex) -> Option<Session> {
        let config = self.loaded().vservers.get(usize::from(vserver.0))?.clone()?;
        let connection = ServerConnection::new(config).ok()?;
        Some(Session::new(connection.into()))
    }

    /// Our side of a connection to a server at `address`, which is `host:port`. `None` where the engine goes by other settings
    /// than these, as in the moments of a reload.
    pub(super) fn connect(&self, server: ServerIndex, transport: u64, address: &str) -> Option<Session> {
        let index = usize::from(server.0);
        let loaded = self.loaded();
        let config = loaded.servers.get(index)?.clone()?;
        let tls = loaded.settings.servers.get(index)?.as_ref()?;
        if tls.transport() != transport {
            return None;
        }
        let host = tls.name.as_deref().unwrap_or_else(|| host_of(address));
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let connection = ClientConnection::new(config, name).ok()?;
        Some(Session::new(connection.into()))
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests;
