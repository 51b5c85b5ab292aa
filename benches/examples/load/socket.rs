//! A non-blocking connection: one read and one write at a time, with what is left over of either.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls::Tls;

/// A connection of the load.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    /// Octets of a PDU that is not whole yet.
    partial: Vec<u8>,
    /// What the kernel did not take yet.
    unsent: Vec<u8>,
    /// Whether epoll tells when there is room.
    waits: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        Self::with_tls(stream, None)
    }

    /// By TLS where there is a configuration; it blocks until the handshake is over.
    pub(crate) fn with_tls(mut stream: TcpStream, config: Option<Arc<ClientConfig>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let tls = config
            .map(|config| Tls::shake_hands(config, &mut stream))
            .transpose()?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            tls: tls.map(Box::new),
            partial: Vec::new(),
            unsent: Vec::new(),
            waits: false,
        })
    }

    /// Reads once, behind what was kept; gives the octets there are at the front of `buffer`. None: nothing to read.
    ///
    /// # Errors
    /// What the operating system says, and `UnexpectedEof` when the peer closed.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let kept = self.partial.len();
        let read = match &mut self.tls {
            Some(tls) => tls.read(&mut self.stream, &mut buffer[kept..]),
            None => self.stream.read(&mut buffer[kept..]),
        };
        let octets = match read {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the peer closed")),
            Ok(octets) => octets,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        buffer[..kept].copy_from_slice(&self.partial);
        self.partial.clear();
        Ok(Some(kept + octets))
    }

    /// Keeps the start of a PDU for the next read.
    pub(crate) fn keep(&mut self, partial: &[u8]) {
        self.partial.extend_from_slice(partial);
    }

    /// Writes once; what the kernel does not take waits for [`Self::flush`]. Whether all went out.
    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            tls.take(octets)?;
            return tls.flush(&mut self.stream);
        }
        let written = if self.unsent.is_empty() && !octets.is_empty() {
            self.write(octets)?
        } else {
            0
        };
        self.unsent.extend_from_slice(&octets[written..]);
        Ok(self.unsent.is_empty())
    }

    /// Writes what waits. Whether all went out.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            return tls.flush(&mut self.stream);
        }
        let unsent = std::mem::take(&mut self.unsent);
        let written = self.write(&unsent)?;
        self.unsent.extend_from_slice(&unsent[written..]);
        Ok(self.unsent.is_empty())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// The descriptor, and whether epoll tells when there is room.
    pub(crate) fn waiting(&mut self) -> (BorrowedFd<'_>, &mut bool) {
        (self.stream.as_fd(), &mut self.waits)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.stream.write(octets) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }
}
