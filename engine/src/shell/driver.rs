//! The narrow contract between the shared part of the shell and a driver.
//!
//! A driver moves bytes and time between the kernel and one core's [`Station`](super::station::Station). It asks
//! nothing about SMPP and decides nothing: what happened goes up by the station's methods, what to do comes down by
//! this trait.
//!
//! # One turn
//!
//! 1. The driver learns what happened and calls, in any order and number: `accepted`, `connected`, `connect_failed`,
//!    `stage_leftover` + `received` or `received_apart`, `read_finished`, `transmitted`, `lost`, `detached`.
//! 2. `take_inbox`, in every turn and not only when woken; `handle_timeouts`.
//! 3. `end_turn`: the station polls the engine, tells the driver what to do, and wakes other cores once.
//! 4. Nothing left to do: arm the timer for `next_deadline`, then `prepare_to_park` with a waker that other threads may
//!    call; sleep only if it says so; `unpark` when awake.
//!
//! # Rules
//!
//! - No call back into the station from within a `Driver` method.
//! - After [`release`](Driver::release) no event for that link may follow. The station ignores one that does.
//! - `lost` is told when no buffer is being written any more, or with that buffer.
//! - After [`detach`](Driver::detach) gave a socket away, or with `detached`, the link is forgotten as by a release.
//! - `transmitted` may come later than the kernel took the octets, but before the next timeouts and within 25 ms; without that delay
//!   where the station has said that something awaits it.
//! - A driver must bound what it does between two inbox drains.

use super::link::LinkId;
use crate::core::contract::Unsent;
use bytes::BytesMut;
use std::io;
use std::os::fd::OwnedFd;

/// What the shared part asks of a driver.
pub(crate) trait Driver {
    /// Takes a connected, non-blocking socket over and starts reading from it.
    fn adopt(&mut self, link: LinkId, socket: OwnedFd);

    /// Takes a socket over whose connect is under way. Ends in the station's `connected` (reading starts then) or
    /// `connect_failed` (the driver has dropped the socket by then).
    fn await_connected(&mut self, link: LinkId, socket: OwnedFd);

    /// Writes `octets`: what the kernel takes in this turn, the rest when it takes more. There is no second call for a link
    /// before the buffer came back.
    fn transmit(&mut self, link: LinkId, octets: BytesMut) -> Transmission;

    /// Reads no more from this link until [`resume_reading`](Self::resume_reading).
    fn pause_reading(&mut self, link: LinkId);

    /// Reads on.
    fn resume_reading(&mut self, link: LinkId);

    /// Says to the peer that nothing more will be written (FIN). Only when no buffer is being written.
    fn finish_writing(&mut self, link: LinkId);

    /// Gives the socket back, open, and forgets the link; nothing that arrived is lost: what was read is with the station
    /// before. Only when no buffer is being written. The socket goes to another driver.
    fn detach(&mut self, link: LinkId) -> Detached;

    /// Closes the socket now and forgets the link. A buffer that was not wholly written comes back, unless the kernel is
    /// still writing it, which is never so behind `lost`.
    fn release(&mut self, link: LinkId) -> Option<Unsent>;
}

/// What became of a buffer when [`Driver::transmit`] returned.
#[derive(Debug)]
pub(crate) enum Transmission {
    /// The kernel took all of it; the buffer comes back.
    Complete(BytesMut),
    /// The rest is written later; the station's `transmitted` or `lost` follows.
    Pending,
    /// The connection is lost; the link must be released.
    Lost(io::ErrorKind, Unsent),
}

/// What became of a socket when [`Driver::detach`] returned.
#[derive(Debug)]
pub(crate) enum Detached {
    /// Here it is.
    Now(OwnedFd),
    /// The kernel still has something to say of it. The station's `detached` follows in the next turns, behind that, unless
    /// `lost` does or the link is released.
    Later,
    /// It cannot be had, and stays where it is.
    Never,
}
