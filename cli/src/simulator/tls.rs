//! TLS on the command lines of both simulators, and what their connections begin with.
//!
//! Files are read by what reads them for smppmux itself, once, before anything is connected.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use smppmux_engine::shell::{CertificateFiles, ServerTls, TlsError, VserverTls};

/// TLS of simulated ESMEs.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsArguments {
    /// Connect by TLS.
    #[arg(long, requires = "tls_ca", help_heading = "TLS")]
    pub tls: bool,
    /// Who signs the target's certificate: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "TLS")]
    pub tls_ca: Option<PathBuf>,
    /// The name that the target's certificate must be for [default: the host of --target].
    #[arg(long, value_name = "NAME", requires = "tls", help_heading = "TLS")]
    pub tls_name: Option<String>,
    /// Our certificate, for a target that asks for one: a PEM file.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key"], help_heading = "TLS")]
    pub tls_certificate: Option<PathBuf>,
    /// Its private key: a PEM file.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_certificate"], help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,
    /// Refuse TLS 1.2.
    #[arg(long, requires = "tls", help_heading = "TLS")]
    pub tls_1_3: bool,
}

/// TLS of a simulated message centre, on all that it listens to.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTlsArguments {
    /// Expect TLS of every connection.
    #[arg(long, requires_all = ["tls_certificate", "tls_key"], help_heading = "TLS")]
    pub tls: bool,
    /// Our certificate: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "TLS")]
    pub tls_certificate: Option<PathBuf>,
    /// Its private key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,
    /// Who signs the certificates that clients must show: a PEM file [default: none is asked for].
    #[arg(long, value_name = "FILE", requires = "tls", help_heading = "TLS")]
    pub tls_client_ca: Option<PathBuf>,
    /// Refuse TLS 1.2.
    #[arg(long, requires = "tls", help_heading = "TLS")]
    pub tls_1_3: bool,
}

/// What the connections of ESMEs begin with.
#[derive(Clone, Debug)]
pub(super) struct ClientTls {
    config: Arc<ClientConfig>,
    /// `None`: the host that is connected to.
    name: Option<ServerName<'static>>,
}

impl ClientTlsArguments {
    /// Reads the files. `None`: no TLS.
    ///
    /// # Errors
    /// A sentence on the file or name at fault.
    pub(super) fn read(&self) -> Result<Option<ClientTls>, String> {
        let Some(ca) = self.tls_ca.clone().filter(|_| self.tls) else {
            return Ok(None);
        };
        let name = self.tls_name.as_deref().map(server_name).transpose()?;
        let tls = ServerTls {
            ca,
            name: None,
            certificate: files(self.tls_certificate.as_ref(), self.tls_key.as_ref()),
            is_version_13_required: self.tls_1_3,
        };
        let config = tls.client_config().map_err(|error| at_fault(&error))?;
        Ok(Some(ClientTls { config, name }))
    }
}

impl ServerTlsArguments {
    /// Reads the files. `None`: no TLS.
    ///
    /// # Errors
    /// A sentence on the file at fault.
    pub(super) fn read(&self) -> Result<Option<Arc<ServerConfig>>, String> {
        let files = files(self.tls_certificate.as_ref(), self.tls_key.as_ref());
        let Some(files) = files.filter(|_| self.tls) else {
            return Ok(None);
        };
        let tls = VserverTls {
            listen: Vec::new(),
            certificates: vec![files],
            client_ca: self.tls_client_ca.clone(),
            is_client_certificate_required: true,
            is_version_13_required: self.tls_1_3,
        };
        tls.server_config().map(Some).map_err(|error| at_fault(&error))
    }
}

impl ClientTls {
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Whose certificate the other side of a connection to `target` must show.
    ///
    /// # Errors
    /// A sentence on a target whose host is no name.
    pub(super) fn name_for(&self, target: &str) -> Result<ServerName<'static>, String> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => {
                let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
                server_name(host.trim_start_matches('[').trim_end_matches(']'))
            }
        }
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| format!("TLS: `{text}` is neither a DNS name nor an address"))
}

fn files(certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<CertificateFiles> {
    let (certificate, key) = certificate.zip(key)?;
    Some(CertificateFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    })
}

fn at_fault(error: &TlsError) -> String {
    format!("TLS: {error}")
}
