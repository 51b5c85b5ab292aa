//! Moving one session's octets: a read, the session's logic, a write, and waiting; nothing here knows what a PDU means.
//!
//! One task drives a connection. Each turn reads once, hands every whole PDU to the session, lets it produce requests, and
//! writes everything that piled up with one system call. Buffers are bounded: a session that does not get rid of its
//! output is neither read nor asked for more.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use smppmux_engine::core::wire::{Frame, next_frame};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};

use super::channel::Channel;

/// Largest PDU that the simulators read, in octets.
pub(crate) const PDU_OCTETS_MAX: u32 = 128 * 1024;
const INPUT_OCTETS: usize = 16 * 1024;
/// Output beyond this stops reading.
const OUTPUT_OCTETS_MAX: usize = 256 * 1024;
/// Output beyond this stops new requests.
pub(crate) const OUTPUT_OCTETS_FULL: usize = 64 * 1024;
/// How long a closed session waits for the peer to close too, so that its last octets are not lost.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// Time inside a simulator: microseconds since its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now_us(self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn instant(self, at_us: u64) -> tokio::time::Instant {
        (self.start + Duration::from_micros(at_us)).into()
    }
}

/// What a session wants of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on.
    Continue,
    /// Write what is there, then close.
    Close,
    /// Close at once, whatever is still to be written.
    Abort,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The session wanted it.
    Closed,
    /// The peer closed it.
    PeerClosed,
    /// The operating system says so.
    Failed(io::Error),
    /// The peer sent a command_length that no PDU has.
    BadLength(u32),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("closed"),
            Self::PeerClosed => formatter.write_str("closed by the peer"),
            Self::Failed(error) => write!(formatter, "failed: {error}"),
            Self::BadLength(command_length) => {
                write!(formatter, "the peer sent a command_length of {command_length}")
            }
        }
    }
}

/// The logic of a session: told of what happens, asked for what to do.
pub(crate) trait Session {
    /// A whole PDU came.
    fn handle_pdu(&mut self, now_us: u64, pdu: &[u8], output: &mut BytesMut) -> Flow;

    /// All output was written.
    fn handle_flushed(&mut self) {}

    /// Time for requests, due answers, timeouts.
    fn produce(&mut self, now_us: u64, output: &mut BytesMut) -> Flow;

    /// When to call `produce` again at the latest.
    fn deadline_us(&mut self, now_us: u64) -> u64;

    /// Whether it can take further PDUs.
    fn wants_input(&self) -> bool {
        true
    }
}

/// Runs a session on a connection until either ends it. `wake` asks for a turn at once.
pub(super) async fn drive(
    channel: &mut Channel,
    session: &mut impl Session,
    clock: Clock,
    wake: &Notify,
) -> End {
    let mut buffers = Buffers::default();
    let mut timer = Box::pin(sleep_until(clock.instant(0)));
    let mut timer_us = 0;
    loop {
        let now_us = clock.now_us();
        let mut flow = match buffers.hand_over(session, now_us) {
            Ok(flow) => flow,
            Err(end) => return end,
        };
        if flow == Flow::Continue {
            // Answers made room in the window: what fits goes out with the same write.
            flow = session.produce(now_us, &mut buffers.output);
        }
        if flow == Flow::Abort {
            return End::Closed;
        }
        if let Err(error) = buffers.flush(channel, session) {
            return End::Failed(error);
        }
        if flow == Flow::Close {
            return match finish(channel, &mut buffers).await {
                Ok(()) => End::Closed,
                Err(error) => End::Failed(error),
            };
        }
        set_timer(timer.as_mut(), &mut timer_us, session.deadline_us(now_us), clock);
        tokio::select! {
            is_readable = channel.ready(buffers.may_read(session.wants_input()), !buffers.output.is_empty()) => {
                match is_readable.and_then(|is_readable| if is_readable { buffers.read(channel) } else { Ok(true) }) {
                    Ok(true) => {}
                    Ok(false) => return End::PeerClosed,
                    Err(error) => return End::Failed(error),
                }
            }
            () = timer.as_mut() => {}
            () = wake.notified() => {}
        }
    }
}

fn set_timer(timer: Pin<&mut Sleep>, set_us: &mut u64, deadline_us: u64, clock: Clock) {
    if deadline_us != *set_us {
        *set_us = deadline_us;
        timer.reset(clock.instant(deadline_us));
    }
}

/// Writes the rest, closes our direction, and gives the peer a moment to close its own.
async fn finish(channel: &mut Channel, buffers: &mut Buffers) -> io::Result<()> {
    let rest = buffers.output.split();
    tokio::time::timeout(CLOSE_PATIENCE, channel.finish(&rest))
        .await
        .unwrap_or(Ok(()))
}

struct Buffers {
    input: Vec<u8>,
    filled: usize,
    may_hold_pdu: bool,
    output: BytesMut,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            input: vec![0; INPUT_OCTETS],
            filled: 0,
            may_hold_pdu: false,
            output: BytesMut::with_capacity(INPUT_OCTETS),
        }
    }
}

impl Buffers {
    fn may_read(&self, session_wants_input: bool) -> bool {
        session_wants_input && self.output.len() < OUTPUT_OCTETS_MAX && self.filled < self.input.len()
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self, channel: &mut Channel) -> io::Result<bool> {
        match channel.try_read(self.input.get_mut(self.filled..).unwrap_or_default()) {
            Ok(0) => Ok(false),
            Ok(octets) => {
                self.filled += octets;
                self.may_hold_pdu = true;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Hands every whole PDU to the session, as long as it takes them.
    fn hand_over(&mut self, session: &mut impl Session, now_us: u64) -> Result<Flow, End> {
        let mut from = 0;
        let mut missing = 0;
        let mut flow = Flow::Continue;
        while self.may_hold_pdu && flow == Flow::Continue && session.wants_input() {
            match next_frame(&self.input[from..self.filled], PDU_OCTETS_MAX) {
                Frame::Pdu(pdu) => {
                    from += pdu.len();
                    flow = session.handle_pdu(now_us, pdu, &mut self.output);
                }
                Frame::Incomplete { missing_octets } => {
                    self.may_hold_pdu = false;
                    missing = missing_octets;
                }
                Frame::BadLength { command_length } => return Err(End::BadLength(command_length)),
            }
        }
        self.make_room(from, missing);
        Ok(flow)
    }

    fn make_room(&mut self, consumed: usize, missing_octets: usize) {
        if consumed > 0 {
            self.input.copy_within(consumed..self.filled, 0);
            self.filled -= consumed;
        }
        if self.filled + missing_octets > self.input.len() {
            self.input.resize(self.filled + missing_octets, 0);
        }
    }

    fn flush(&mut self, channel: &mut Channel, session: &mut impl Session) -> io::Result<()> {
        let had_output = !self.output.is_empty();
        while !self.output.is_empty() {
            match channel.try_write(&self.output) {
                Ok(octets) => self.output.advance(octets),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        channel.try_flush()?;
        if had_output {
            session.handle_flushed();
        }
        Ok(())
    }
}
