//! How other threads wake a sleeping executor.
//!
//! Not by glommio's own wakers: those interrupt the executor over its latency ring, and glommio 0.9 may take such an
//! interruption that comes late (between its last look at the rings and the first task) for "nothing to do" and park
//! with runnable tasks. A readable socket is an ordinary event that wakes an ordinary task.

use super::raw;
use futures_io::AsyncRead;
use glommio::net::UnixStream;
use std::io::{self, Write};
use std::os::unix::net;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// The end outside: any thread may press it.
#[derive(Debug)]
struct Button(net::UnixStream);

/// The end inside, before the executor exists.
#[derive(Debug)]
pub(super) struct Doorbell {
    socket: net::UnixStream,
    button: Arc<Button>,
}

/// The end inside, on the executor.
#[derive(Debug)]
pub(super) struct InstalledDoorbell {
    stream: UnixStream,
    waker: Waker,
}

impl Doorbell {
    pub(super) fn new() -> io::Result<Self> {
        let (outside, inside) = net::UnixStream::pair()?;
        outside.set_nonblocking(true)?;
        inside.set_nonblocking(true)?;
        Ok(Self {
            socket: inside,
            button: Arc::new(Button(outside)),
        })
    }

    /// Wakes the executor, from any thread.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.button))
    }

    /// On the executor's thread.
    pub(super) fn install(self) -> InstalledDoorbell {
        InstalledDoorbell {
            waker: self.waker(),
            stream: raw::unix_stream_over(self.socket.into()),
        }
    }
}

impl InstalledDoorbell {
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Takes note of every ring until now, and lets the next one wake `context`.
    pub(super) fn listen(&mut self, context: &mut Context<'_>) {
        let mut rings = [0; 64];
        // We hold a button ourselves, so there is no end of file, and a socket pair has no other errors.
        while let Poll::Ready(Ok(1..)) = Pin::new(&mut self.stream).poll_read(context, &mut rings) {}
    }
}

impl Wake for Button {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A full socket is readable, which is all that is wanted; a closed one has nobody to wake.
        drop((&self.0).write(&[1]));
    }
}
