//! TLS of the load's ESMEs: one version, one cipher and one key exchange, so that every proxy has the same work.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore};

/// Who the proxy's certificate is for.
const NAME: &str = "localhost";

/// One side of a connection, without its socket.
#[derive(Debug)]
pub(crate) struct Tls(ClientConnection);

/// What all of them begin with.
///
/// # Errors
/// A sentence on the file.
pub(crate) fn config(ca: &Path) -> Result<Arc<ClientConfig>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", ca.display());
    let text = fs::read(ca).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    let provider = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![kx_group::X25519],
        ..default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(&error))?;
    Ok(Arc::new(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

impl Tls {
    /// Shakes hands on a socket that blocks.
    ///
    /// # Errors
    /// What the operating system says, or what is wrong with the peer.
    pub(crate) fn shake_hands(config: Arc<ClientConfig>, stream: &mut TcpStream) -> io::Result<Self> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(stream)?;
        }
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        if suite != Some(CipherSuite::TLS13_AES_128_GCM_SHA256) {
            return Err(io::Error::other(format!("the cipher is {suite:?}")));
        }
        // What the window holds has to fit.
        connection.set_buffer_limit(None);
        Ok(Self(connection))
    }

    /// Reads what the socket has, as far as `buffer` has room for it.
    ///
    /// # Errors
    /// What the operating system says, `WouldBlock` too, or what is wrong with the peer.
    pub(crate) fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut octets = 0;
        loop {
            match self.0.reader().read(&mut buffer[octets..]) {
                Ok(0) => return Ok(octets),
                Ok(more) => {
                    octets += more;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match self.0.read_tls(stream) {
                Ok(0) => return Ok(octets),
                Ok(_) => self.0.process_new_packets().map_err(io::Error::other)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock && octets > 0 => return Ok(octets),
                Err(error) => return Err(error),
            };
        }
    }

    /// Takes all octets.
    ///
    /// # Errors
    /// Where the connection is over.
    pub(crate) fn take(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(octets)
    }

    /// Writes what was taken; whether all went out.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn flush(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                written => drop(written?),
            }
        }
        Ok(true)
    }
}
