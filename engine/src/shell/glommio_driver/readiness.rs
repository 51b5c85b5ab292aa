//! Waits until a descriptor is readable.
//!
//! glommio 0.9 offers this for its own streams only, and its listener's accept sets no CLOEXEC, changes the listener's
//! flags with four system calls for each connection and loses the connection when its future is dropped. But its stream
//! asks for readiness as soon as it is made, before it reads for the first time. So one wait is one stream over a
//! duplicate of the descriptor; its first read (which fails: a listener is not connected) tells that the wait is over.

use super::raw;
use futures_io::AsyncRead;
use glommio::net::TcpStream;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// One wait after the other for one descriptor. Level-triggered: readable is readable, whatever came before.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    wait: Option<TcpStream>,
}

impl Readiness {
    /// Ready once `descriptor` is readable.
    ///
    /// # Errors
    /// When it cannot be duplicated (no descriptor left).
    pub(super) fn poll_readable(
        &mut self,
        context: &mut Context<'_>,
        descriptor: &OwnedFd,
    ) -> Poll<io::Result<()>> {
        let wait = match &mut self.wait {
            Some(wait) => wait,
            none => none.insert(raw::stream_over(descriptor.try_clone()?)),
        };
        // Its result is of no interest: only that there is one.
        drop(ready!(Pin::new(wait).poll_read(context, &mut [0])));
        self.wait = None;
        Poll::Ready(Ok(()))
    }
}
