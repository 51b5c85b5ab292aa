//! The two halves of a submit: to the server, and back.
//!
//! The other half of each is done before or behind the measured part, so that the window is as empty as before.

use crate::pdus::REQUEST_NUMBER;
use crate::round_trip::RoundTrip;
use crate::way::{BATCH_MESSAGES, Way};

/// Requests under way, by the server's numbers.
type UnderWay = [[u8; 4]; BATCH_MESSAGES as usize];

/// submit_sm to the server.
pub(super) struct SubmitRequest {
    engine: RoundTrip,
    under_way: UnderWay,
}

impl SubmitRequest {
    pub(super) fn new() -> Self {
        Self {
            engine: RoundTrip::new(),
            under_way: UnderWay::default(),
        }
    }
}

impl Way for SubmitRequest {
    fn run(&mut self) {
        send(&mut self.engine, &mut self.under_way);
    }

    fn finish(&mut self) {
        answer(&mut self.engine, &self.under_way);
    }
}

/// submit_sm_resp to the client.
pub(super) struct SubmitResponse {
    engine: RoundTrip,
    under_way: UnderWay,
}

impl SubmitResponse {
    pub(super) fn new() -> Self {
        Self {
            engine: RoundTrip::new(),
            under_way: UnderWay::default(),
        }
    }
}

impl Way for SubmitResponse {
    fn prepare(&mut self) {
        send(&mut self.engine, &mut self.under_way);
    }

    fn run(&mut self) {
        answer(&mut self.engine, &self.under_way);
    }
}

fn send(engine: &mut RoundTrip, under_way: &mut UnderWay) {
    for number in under_way {
        *number = engine.submit_request();
    }
}

fn answer(engine: &mut RoundTrip, under_way: &UnderWay) {
    for number in under_way {
        assert_eq!(engine.submit_response(*number), REQUEST_NUMBER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const BATCH: u64 = BATCH_MESSAGES as u64;

    fn outstanding(engine: &mut RoundTrip) -> u64 {
        engine.engine().report().servers[0].outstanding
    }

    /// Goal: the measured half is that half and no more: one way leaves all its requests with the server, the other has them
    /// answered.
    #[test]
    fn each_half_is_measured_alone() {
        let mut request = SubmitRequest::new();
        request.prepare();
        assert_eq!(outstanding(&mut request.engine), 0);
        request.run();
        assert_eq!(outstanding(&mut request.engine), BATCH);
        let numbers: HashSet<_> = request.under_way.into_iter().collect();
        assert_eq!(numbers.len(), BATCH_MESSAGES as usize, "each has its own number");
        request.finish();
        assert_eq!(outstanding(&mut request.engine), 0);

        let mut response = SubmitResponse::new();
        response.prepare();
        assert_eq!(outstanding(&mut response.engine), BATCH);
        response.run();
        assert_eq!(outstanding(&mut response.engine), 0);
    }
}
