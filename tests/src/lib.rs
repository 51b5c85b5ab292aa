//! SMPP peers over real sockets, and a guard around the built `smppmux`, for tests.
//!
//! Peers are blocking and wait for events, never for a time to pass; every wait ends after [`PATIENCE`] with a panic that
//! says what was waited for.

pub mod configuration;
pub mod esme;
pub mod http;
pub mod no_io_uring;
pub mod openssl;
pub mod pdu;
pub mod peer;
pub mod process;
pub mod simulator;
pub mod skip;
pub mod smsc;
pub mod stepped_clock;

use std::time::Duration;

/// How long a test waits for something that must come. Long, because test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
