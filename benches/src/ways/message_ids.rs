//! Message ids between the server's form and the clients': receipts on their way to the account that submitted, and
//! operations on their way to the server.
//!
//! But for the first way, a thousand messages have been submitted and answered before, with a receipt asked for; they are
//! taken in turn.

use crate::configuration::settings_with_ids;
use crate::pdus::{
    RECEIPT_NUMBER, REQUEST_NUMBER, answer, id_text, message_for_receipt, message_id_of, number_of, query,
    query_answer, receipt, set_number,
};
use crate::round_trip::RoundTrip;
use crate::way::{BATCH_MESSAGES, Way};
use bytes::BytesMut;
use smppmux_engine::core::settings::MessageIdMode;
use smppmux_engine::core::wire::CommandId;
use std::sync::Arc;

const MESSAGES: u64 = 1_000;

/// An engine, and the id that the client got for each message.
fn submitted(mode: MessageIdMode) -> (RoundTrip, Vec<Vec<u8>>) {
    let mut engine = RoundTrip::with_settings(Arc::new(settings_with_ids(mode)), b"888765");
    let ids = (0..MESSAGES)
        .map(|number| engine.submit_for_receipt_with(number, message_id_of))
        .collect();
    (engine, ids)
}

/// submit_sm and its answer, with an id of its own, for which an entry is made. The oldest entry goes when there are a million.
pub(super) struct SubmitsForReceipts {
    engine: RoundTrip,
    submit: BytesMut,
    answers: Vec<BytesMut>,
    next_id: u64,
}

impl SubmitsForReceipts {
    pub(super) fn new() -> Self {
        Self {
            engine: RoundTrip::new(),
            submit: message_for_receipt(),
            answers: Vec::new(),
            next_id: 0,
        }
    }
}

impl Way for SubmitsForReceipts {
    fn prepare(&mut self) {
        let ids = self.next_id..self.next_id + u64::from(BATCH_MESSAGES);
        self.next_id = ids.end;
        self.answers.clear();
        self.answers
            .extend(ids.map(|id| answer(CommandId::SUBMIT_SM_RESP, id_text(id).as_bytes())));
    }

    fn run(&mut self) {
        for answer in &mut self.answers {
            set_number(answer, self.engine.client_sends(&self.submit, number_of));
            let back = self.engine.server_sends(answer, number_of);
            assert_eq!(u32::from_be_bytes(back), REQUEST_NUMBER);
        }
    }
}

/// A receipt to the client and its answer. A final receipt leaves its entry for repeats, so it can come again.
pub(super) struct Receipts {
    engine: RoundTrip,
    receipts: Vec<BytesMut>,
    next: usize,
}

impl Receipts {
    pub(super) fn new(mode: MessageIdMode) -> Self {
        Self {
            engine: submitted(mode).0,
            receipts: (0..MESSAGES).map(|number| receipt(&id_text(number))).collect(),
            next: 0,
        }
    }
}

impl Way for Receipts {
    fn run(&mut self) {
        for _ in 0..BATCH_MESSAGES {
            let number = self.engine.server_sends(&self.receipts[self.next], number_of);
            assert_eq!(self.engine.deliver_response(number), RECEIPT_NUMBER);
            self.next = (self.next + 1) % self.receipts.len();
        }
    }
}

/// query_sm by the id that the client knows, and its answer.
pub(super) struct Queries {
    engine: RoundTrip,
    queries: Vec<BytesMut>,
    answers: Vec<BytesMut>,
    next: usize,
}

impl Queries {
    pub(super) fn new(mode: MessageIdMode) -> Self {
        let (engine, ids) = submitted(mode);
        let answers = (0..MESSAGES).map(|number| query_answer(id_text(number).as_bytes()));
        Self {
            engine,
            queries: ids.iter().map(|id| query(id)).collect(),
            answers: answers.collect(),
            next: 0,
        }
    }
}

impl Way for Queries {
    fn run(&mut self) {
        for _ in 0..BATCH_MESSAGES {
            let answer = &mut self.answers[self.next];
            set_number(
                answer,
                self.engine.client_sends(&self.queries[self.next], number_of),
            );
            let back = self.engine.server_sends(answer, number_of);
            assert_eq!(u32::from_be_bytes(back), REQUEST_NUMBER);
            self.next = (self.next + 1) % self.queries.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [MessageIdMode; 2] = [MessageIdMode::Tagged, MessageIdMode::Mapped];

    fn contains(pdu: &[u8], text: &[u8]) -> bool {
        pdu.windows(text.len()).any(|window| window == text)
    }

    /// Goal: every submit is remembered, each by its own id.
    #[test]
    fn every_submit_is_remembered() {
        let mut way = SubmitsForReceipts::new();
        for _ in 0..3 {
            way.prepare();
            way.run();
        }
        let remembered = way.engine.engine().report().receipts.entries;
        assert_eq!(remembered, 3 * u64::from(BATCH_MESSAGES));
        assert!(way.engine.knows_receipt(0) && way.engine.knows_receipt(59));
        assert!(!way.engine.knows_receipt(60));
    }

    /// Goal: the receipt that the client gets bears the id that its submit's answer bore, in either form, and not the server's.
    #[test]
    fn receipts_bear_the_id_that_the_client_knows() {
        for mode in MODES {
            // The same in every engine with these settings.
            let (_, ids) = submitted(mode);
            let mut way = Receipts::new(mode);
            for place in [0, 1, 999] {
                let (given, own) = (&ids[place], id_text(place as u64));
                let is_tagged = *given == format!("{own}#mx-0A").as_bytes();
                assert_eq!(is_tagged, mode == MessageIdMode::Tagged, "{mode:?}");
                let in_text = [b"id:", &given[..], b" sub:"].concat();
                let number = way.engine.server_sends(&way.receipts[place], |receipt| {
                    assert!(contains(receipt, &in_text), "{mode:?}");
                    number_of(receipt)
                });
                assert_eq!(way.engine.deliver_response(number), RECEIPT_NUMBER);
            }
            assert_eq!(way.engine.engine().report().receipts.matched, 3, "{mode:?}");
        }
    }

    /// Goal: the server gets its own id, and the client's query is answered with the one that it knows.
    #[test]
    fn queries_reach_the_server_with_its_own_id() {
        for mode in MODES {
            let mut way = Queries::new(mode);
            let known = message_id_of(&way.queries[5]);
            let number = way.engine.client_sends(&way.queries[5], |query| {
                assert_eq!(message_id_of(query), id_text(5).as_bytes(), "{mode:?}");
                number_of(query)
            });
            set_number(&mut way.answers[5], number);
            let answered = way.engine.server_sends(&way.answers[5], message_id_of);
            assert_eq!(answered, known, "{mode:?}");
        }
    }
}
