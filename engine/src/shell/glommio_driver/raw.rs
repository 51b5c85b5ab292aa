//! Descriptors into glommio's streams and back: all `unsafe` of this driver.

use glommio::net::{TcpStream, UnixStream};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// A stream that owns `socket` and closes it. Only on an executor's thread.
pub(super) fn stream_over(socket: OwnedFd) -> TcpStream {
    // SAFETY: the descriptor is open and owned by nobody else: `into_raw_fd` gave the ownership up, the stream takes it.
    unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }
}

/// Like [`stream_over`], for a socket of the UNIX family.
pub(super) fn unix_stream_over(socket: OwnedFd) -> UnixStream {
    // SAFETY: as in `stream_over`.
    unsafe { UnixStream::from_raw_fd(socket.into_raw_fd()) }
}

/// The stream's descriptor for system calls that glommio does not offer.
pub(super) fn descriptor_of(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and keeps it open for as long as it lives, and the result borrows it.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}
