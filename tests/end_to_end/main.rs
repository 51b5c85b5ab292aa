//! smppmux as a process, between ESMEs and SMSCs on loopback.

mod address_claims;
mod admin;
mod admission;
mod batches;
mod broadcasts;
mod byte_stream;
mod concatenated;
mod congestion;
mod connections_total;
mod deliveries;
mod drivers;
mod ending;
mod examples;
mod forward;
mod hashing;
mod kill;
mod message_ids;
mod message_log;
mod message_log_files;
mod message_ownership;
mod operations_down;
mod outbind;
mod overload;
mod pacing;
mod passwords;
mod queue;
mod ranges;
mod receipt_kinds;
mod receipts;
mod receipts_queued;
mod routes;
mod routes_matchers;
mod routes_of_several;
mod sequence_numbers;
mod server_loss;
mod slow_readers;
mod storm;
mod supervised;
mod timeouts;
mod tls;
mod tls_simulators;
mod tutorial;
mod versions;
mod vservers;

use smppmux_tests::configuration::Configuration;
use smppmux_tests::process::Smppmux;

/// The binary that cargo built for these tests, or the one that `SMPPMUX_TEST_PROGRAM` named when they were built: a release build,
/// by its whole path.
const PROGRAM: &str = match option_env!("SMPPMUX_TEST_PROGRAM") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_smppmux-under-test"),
};

/// Starts smppmux and waits until its servers, which must answer by themselves, are bound.
fn start_ready(configuration: &Configuration) -> Smppmux {
    Smppmux::start_ready(PROGRAM, configuration)
}
