//! One TLS connection without a socket.

use super::files::names_of;
use bytes::{Buf as _, BufMut as _, BytesMut};
use rustls::Connection;
use std::io::{Read as _, Write as _};

/// Octets of a peer until its handshake is over; a chain of certificates has a few thousand. With the number of connections
/// that may be in handshake this bounds their memory.
const HANDSHAKE_OCTETS_MAX: usize = 32 * 1024;
/// DNS names of a client's certificate that are looked at.
const NAMES_MAX: usize = 16;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    /// What was received and the engine has not taken.
    plain: BytesMut,
    /// What waits until there is time for its handshake.
    deferred: BytesMut,
    /// The engine's buffer whose octets are being written in their secured form.
    outgoing: Option<BytesMut>,
    /// Received during the handshake.
    handshake_octets: usize,
    /// The peer has said that nothing more comes.
    peer_has_finished: bool,
}

/// How far received octets have brought a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The handshake goes on.
    Handshaking,
    /// The handshake has just ended.
    Established,
    /// It had ended before.
    Running,
}

impl Session {
    pub(super) fn new(mut connection: Connection) -> Self {
        // The engine bounds what it hands out.
        connection.set_buffer_limit(None);
        Self {
            connection,
            plain: BytesMut::new(),
            deferred: BytesMut::new(),
            outgoing: None,
            handshake_octets: 0,
            peer_has_finished: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes received octets.
    ///
    /// # Errors
    /// When the peer breaks the protocol, shows a certificate that is not believed, or sends too much before its handshake is
    /// over. An alert may wait to be written.
    pub(crate) fn receive(&mut self, mut octets: &[u8]) -> Result<Progress, rustls::Error> {
        let was_handshaking = self.is_handshaking();
        if was_handshaking {
            self.handshake_octets += octets.len();
            if self.handshake_octets > HANDSHAKE_OCTETS_MAX {
                return Err(rustls::Error::General(
                    "more octets than a handshake has".to_owned(),
                ));
            }
        }
        while !octets.is_empty() {
            let taken = self
                .connection
                .read_tls(&mut octets)
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            if taken == 0 {
                // Nothing counts behind the peer's farewell.
                self.peer_has_finished = true;
                break;
            }
            let state = self.connection.process_new_packets()?;
            self.peer_has_finished |= state.peer_has_closed();
            self.take_plain(state.plaintext_bytes_to_read())?;
        }
        Ok(match (was_handshaking, self.is_handshaking()) {
            (_, true) => Progress::Handshaking,
            (true, false) => Progress::Established,
            (false, false) => Progress::Running,
        })
    }

    fn take_plain(&mut self, octets: usize) -> Result<(), rustls::Error> {
        if octets == 0 {
            return Ok(());
        }
        let start = self.plain.len();
        self.plain.resize(start + octets, 0);
        self.connection
            .reader()
            .read_exact(&mut self.plain[start..])
            .map_err(|error| rustls::Error::General(error.to_string()))
    }

    /// What was received, for the engine.
    pub(crate) fn take_received(&mut self) -> BytesMut {
        std::mem::take(&mut self.plain)
    }

    /// Gives back what the engine did not take, after so many octets that it did.
    pub(crate) fn keep_received(&mut self, mut received: BytesMut, consumed_octets: usize) {
        received.advance(consumed_octets.min(received.len()));
        if !received.is_empty() {
            self.plain = received;
        }
    }

    /// Keeps octets until the handshake's turn comes. False: there are too many, and they are not kept.
    pub(crate) fn defer(&mut self, octets: &[u8]) -> bool {
        let is_in_bounds = self.handshake_octets + self.deferred.len() + octets.len() <= HANDSHAKE_OCTETS_MAX;
        if is_in_bounds {
            self.deferred.extend_from_slice(octets);
        }
        is_in_bounds
    }

    /// The peer has said that nothing more comes.
    pub(crate) fn peer_has_finished(&self) -> bool {
        self.peer_has_finished
    }

    /// Whether octets wait for the handshake's turn.
    pub(crate) fn is_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    pub(crate) fn take_deferred(&mut self) -> BytesMut {
        std::mem::take(&mut self.deferred)
    }

    /// Takes a buffer of the engine; [`secured_octets`](Self::secured_octets) has its octets, and it comes back when they are
    /// written.
    ///
    /// # Errors
    /// Gives the buffer back when the connection cannot write.
    pub(crate) fn send(&mut self, octets: BytesMut) -> Result<(), BytesMut> {
        debug_assert!(self.outgoing.is_none(), "one buffer at a time");
        if self.connection.writer().write_all(&octets).is_err() {
            return Err(octets);
        }
        self.outgoing = Some(octets);
        Ok(())
    }

    /// Says farewell to the peer.
    pub(crate) fn say_farewell(&mut self) {
        self.connection.send_close_notify();
    }

    /// Whether something is to be written to the socket.
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// What is to be written to the socket, in an empty buffer.
    pub(crate) fn secured_octets(&mut self, buffer: BytesMut) -> BytesMut {
        let mut writer = buffer.writer();
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            if self.connection.write_tls(&mut writer).is_err() {
                break;
            }
        }
        writer.into_inner()
    }

    /// The engine's buffer whose octets were all written.
    pub(crate) fn take_outgoing(&mut self) -> Option<BytesMut> {
        self.outgoing.take()
    }

    /// The DNS names of the peer's certificate, which was verified; none without one.
    pub(crate) fn certificate_names(&self) -> Vec<String> {
        let certificates = self.connection.peer_certificates();
        let mut names = certificates
            .and_then(<[_]>::first)
            .map(names_of)
            .unwrap_or_default();
        names.truncate(NAMES_MAX);
        names
    }
}
