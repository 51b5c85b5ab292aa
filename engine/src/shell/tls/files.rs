//! Reads certificates and keys, and makes of them what connections begin with.

use super::{CertificateFiles, OwnCertificate, ServerTls, TlsError, VserverTls};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::Path;
use std::sync::Arc;
use webpki::EndEntityCert;

fn wrong(file: &Path, reason: &(impl ToString + ?Sized)) -> TlsError {
    TlsError {
        file: Some(file.to_owned()),
        reason: reason.to_string(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn versions(is_version_13_required: bool) -> &'static [&'static SupportedProtocolVersion] {
    const NEW: &[&SupportedProtocolVersion] = &[&TLS13];
    const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    if is_version_13_required { NEW } else { BOTH }
}

/// Adds our certificates to `own`.
pub(super) fn server_config(
    tls: &VserverTls,
    own: &mut Vec<OwnCertificate>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let without_file = |error: rustls::Error| TlsError {
        file: None,
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.is_version_13_required))
        .map_err(without_file)?;
    let builder = match &tls.client_ca {
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
            let verifier = if tls.is_client_certificate_required {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(ca, &error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let certificates = tls
        .certificates
        .iter()
        .map(|files| certified_key(files, own))
        .collect::<Result<_, _>>()?;
    Ok(Arc::new(
        builder.with_cert_resolver(Arc::new(ByName { certificates })),
    ))
}

/// Adds our certificate, if there is one, to `own`.
pub(super) fn client_config(
    tls: &ServerTls,
    own: &mut Vec<OwnCertificate>,
) -> Result<Arc<ClientConfig>, TlsError> {
    if let Some(name) = &tls.name
        && ServerName::try_from(name.as_str()).is_err()
    {
        return Err(TlsError {
            file: None,
            reason: format!("{name:?} is neither a DNS name nor an address"),
        });
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.is_version_13_required))
        .map_err(|error| wrong(&tls.ca, &error))?
        .with_root_certificates(roots(&tls.ca)?);
    let config = match &tls.certificate {
        Some(files) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key(files, own)?)))
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(|error| wrong(file, &error))?
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(file, &error))?;
    if certificates.is_empty() {
        return Err(wrong(file, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| wrong(file, &error))
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(chain(file)?);
    if added == 0 {
        return Err(wrong(file, "no certificate in it can be a root"));
    }
    Ok(roots)
}

fn certified_key(
    files: &CertificateFiles,
    own: &mut Vec<OwnCertificate>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certified = CertifiedKey::from_der(chain(&files.certificate)?, key(&files.key)?, &provider())
        .map_err(|error| wrong(&files.key, &error))?;
    let leaf = certified.cert.first();
    let leaf = leaf.filter(|leaf| EndEntityCert::try_from(*leaf).is_ok());
    let leaf = leaf.ok_or_else(|| wrong(&files.certificate, "the certificate cannot be read"))?;
    own.push(OwnCertificate {
        file: files.certificate.clone(),
        leaf: leaf.clone(),
    });
    Ok(Arc::new(certified))
}

/// Chooses the certificate that is for the host that the client names.
#[derive(Debug)]
struct ByName {
    certificates: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| {
            self.certificates.iter().find(|certified| {
                certified
                    .cert
                    .first()
                    .and_then(|leaf| EndEntityCert::try_from(leaf).ok())
                    .is_some_and(|leaf| leaf.verify_is_valid_for_subject_name(&name).is_ok())
            })
        });
        named.or(self.certificates.first()).cloned()
    }
}

/// The DNS names that a certificate is for.
pub(super) fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    EndEntityCert::try_from(certificate)
        .map(|certificate| certificate.valid_dns_names().map(str::to_owned).collect())
        .unwrap_or_default()
}
