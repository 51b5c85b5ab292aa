//! The octets of a connection, in clear or by TLS: the same calls for both, so that who drives a session need not know.
//!
//! rustls stands between the socket and the session, as in smppmux's shell. Invariants: it keeps at most what one read brought
//! and some records to be written, whatever the peer does; nothing is handed to the session before the handshake is over.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

/// A handshake is given up after this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the peer of a simulator.
pub(super) struct Channel {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    connection: Connection,
    /// Deciphered octets that nobody has read.
    deciphered: usize,
}

impl Channel {
    /// Octets as they are.
    pub(super) const fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// TLS towards a server of that name.
    ///
    /// # Errors
    /// What the operating system says, or what is wrong with the handshake.
    pub(super) async fn connect(
        stream: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(invalid)?;
        Self::shaking_hands(stream, connection.into()).await
    }

    /// TLS with whoever has connected.
    ///
    /// # Errors
    /// What the operating system says, or what is wrong with the handshake.
    pub(super) async fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(invalid)?;
        Self::shaking_hands(stream, connection.into()).await
    }

    async fn shaking_hands(stream: TcpStream, connection: Connection) -> io::Result<Self> {
        let mut channel = Self {
            stream,
            tls: Some(Box::new(Tls {
                connection,
                deciphered: 0,
            })),
        };
        let outcome = tokio::time::timeout(HANDSHAKE_TIMEOUT, channel.shake_hands()).await;
        outcome.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
        Ok(channel)
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            if !self.try_flush()? {
                self.stream.writable().await?;
                continue;
            }
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.connection.is_handshaking()) else {
                return Ok(());
            };
            self.stream.readable().await?;
            match tls.take(&self.stream) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    // The peer may still learn why.
                    let _ = self.try_flush();
                    return Err(error);
                }
            }
        }
    }

    /// Waits until something of `reads` and `writes` can be done, for ever where neither is wanted. Whether it is reading.
    pub(super) async fn ready(&self, reads: bool, writes: bool) -> io::Result<bool> {
        if reads && self.tls.as_ref().is_some_and(|tls| tls.deciphered > 0) {
            return Ok(true);
        }
        let interest = match (reads, writes || self.wants_write()) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        Ok(self.stream.ready(interest).await?.is_readable())
    }

    /// Reads once; 0 at the end of the stream, `WouldBlock` where there is nothing yet.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.try_read(buffer);
        };
        if tls.deciphered == 0 && tls.take(&self.stream)? == 0 {
            return Ok(0);
        }
        if tls.deciphered == 0 {
            // A part of a record, or a word between the two TLS sides.
            return Err(ErrorKind::WouldBlock.into());
        }
        let octets = tls.connection.reader().read(buffer)?;
        tls.deciphered -= octets;
        Ok(octets)
    }

    /// Writes some; `WouldBlock` where nothing more is taken. What TLS has taken may wait for [`try_flush`](Self::try_flush).
    pub(super) fn try_write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.try_write(octets);
        };
        let taken = tls.connection.writer().write(octets)?;
        self.try_flush()?;
        if taken == 0 && !octets.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Writes what TLS has taken; whether all of it is out.
    pub(super) fn try_flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.connection.wants_write() {
            match tls.connection.write_tls(&mut Octets(&self.stream)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// Writes the rest, closes our direction, and reads until the peer has closed its own.
    pub(super) async fn finish(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.try_write(rest) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        if let Some(tls) = &mut self.tls {
            tls.connection.send_close_notify();
        }
        while !self.try_flush()? {
            self.stream.writable().await?;
        }
        self.stream.shutdown().await?;
        let mut discarded = [0; 4096];
        while self.stream.read(&mut discarded).await? > 0 {}
        Ok(())
    }
}

impl Tls {
    /// Takes what the socket has; 0 at the end of the stream.
    fn take(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let octets = self.connection.read_tls(&mut Octets(stream))?;
        let state = self.connection.process_new_packets().map_err(invalid)?;
        self.deciphered = state.plaintext_bytes_to_read();
        Ok(if state.peer_has_closed() && self.deciphered == 0 {
            0
        } else {
            octets
        })
    }
}

/// A socket as rustls wants it.
struct Octets<'a>(&'a TcpStream);

impl Read for Octets<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Octets<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = if self.tls.is_some() { "TLS" } else { "clear" };
        write!(formatter, "Channel({security})")
    }
}
