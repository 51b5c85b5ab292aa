//! TLS of vservers and servers: checked, files included, and turned into what the shell takes.

use super::Settling;
use crate::config::key::Origin;
use crate::config::server::ServerSection;
use crate::config::tls::TlsVersion;
use crate::config::vserver::VserverSection;
use smppmux_engine::shell::{CertificateFiles, ServerTls, TlsSettings, VserverTls};

/// Where Debian, Ubuntu and Alpine keep the certificates that everybody believes.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// TLS towards a server, as far as it can be used.
fn asked_of_server(section: &ServerSection) -> Option<ServerTls> {
    let asked = &section.tls.value;
    let files = asked.certificate.as_ref().zip(asked.key.as_ref());
    asked.is_on.then(|| ServerTls {
        ca: asked.ca.as_deref().unwrap_or(SYSTEM_CA).into(),
        name: asked.name.clone(),
        certificate: files.map(|(certificate, key)| CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        }),
        is_version_13_required: asked.minimum_version == TlsVersion::V13,
    })
}

/// Whether clients of a vserver can show a certificate.
pub(super) fn asks_for_certificates(section: &VserverSection) -> bool {
    !section.tls_listen.value.is_empty() && section.tls_client_ca.value.is_some()
}

/// What the engines are told of it.
pub(super) fn transport(section: &ServerSection) -> u64 {
    asked_of_server(section).map_or(0, |tls| tls.transport())
}

impl Settling<'_> {
    /// TLS of all vservers and servers, in the file's order.
    pub(super) fn tls_settings(&mut self) -> TlsSettings {
        let configuration = self.configuration;
        let vservers = configuration.vservers.iter();
        let servers = configuration.servers.iter();
        TlsSettings {
            vservers: vservers.map(|item| self.vserver_tls(&item.section)).collect(),
            servers: servers.map(|item| self.server_tls(&item.section)).collect(),
        }
    }

    fn vserver_tls(&mut self, section: &VserverSection) -> Option<VserverTls> {
        let required = ("tls-client-required", section.tls_client_required.origin());
        if section.tls_listen.value.is_empty() {
            let keys = [
                ("tls-certificate", section.tls_certificate.origin()),
                ("tls-key", section.tls_key.origin()),
                ("tls-client-ca", section.tls_client_ca.origin()),
                required,
                ("tls-minimum-version", section.tls_minimum_version.origin()),
            ];
            self.blame_keys_without("tls-listen", keys);
            return None;
        }
        if section.tls_client_required.value && section.tls_client_ca.value.is_none() {
            self.blame_keys_without("tls-client-ca", [required]);
        }
        let (certificates, keys) = (&section.tls_certificate.value, &section.tls_key.value);
        if certificates.is_empty() || certificates.len() != keys.len() {
            let message = format!(
                "`tls-listen` needs a certificate and its key: there are {} in `tls-certificate` and {} in `tls-key`",
                certificates.len(),
                keys.len()
            );
            self.problem(section.tls_listen.origin(), message);
            return None;
        }
        let files = certificates.iter().zip(keys);
        let tls = VserverTls {
            listen: section.tls_listen.value.iter().map(|key| key.value).collect(),
            certificates: files
                .map(|(certificate, key)| CertificateFiles {
                    certificate: certificate.into(),
                    key: key.into(),
                })
                .collect(),
            client_ca: section.tls_client_ca.value.as_ref().map(Into::into),
            is_client_certificate_required: section.tls_client_required.value,
            is_version_13_required: section.tls_minimum_version.value == TlsVersion::V13,
        };
        self.check_tls(
            section.tls_certificate.origin(),
            &TlsSettings {
                vservers: vec![Some(tls.clone())],
                servers: Vec::new(),
            },
        );
        Some(tls)
    }

    fn server_tls(&mut self, section: &ServerSection) -> Option<ServerTls> {
        let tls = asked_of_server(section)?;
        if section.outbind_listen.is_set() {
            self.problem(
                section.tls.origin(),
                "`tls` and `outbind-listen` exclude each other: connections that a server opens are not encrypted",
            );
        }
        let asked = &section.tls.value;
        if asked.certificate.is_some() != asked.key.is_some() {
            self.problem(
                section.tls.origin(),
                "`tls` needs `certificate` and `key` together, or neither",
            );
        }
        self.check_tls(
            section.tls.origin(),
            &TlsSettings {
                vservers: Vec::new(),
                servers: vec![Some(tls.clone())],
            },
        );
        Some(tls)
    }

    fn check_tls(&mut self, at: &Origin, settings: &TlsSettings) {
        match settings.check() {
            Ok(warnings) => {
                for warning in warnings {
                    self.warn(at, warning);
                }
            }
            Err(error) => self.problem(at, format!("TLS cannot be used: {error}")),
        }
    }
}
