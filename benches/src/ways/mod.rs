//! The table of all ways.

mod between_threads;
mod framing;
mod mailboxes;
mod message_ids;
mod ranges;
mod rounds;
mod segments;
mod submit;

use crate::round_trip::RoundTrip;
use crate::two_cores::TwoCores;
use crate::way::NamedWay;
use between_threads::BetweenThreads;
use framing::{Framing, Reads};
use mailboxes::Mailboxes;
use message_ids::{Queries, Receipts, SubmitsForReceipts};
use ranges::{DeliverToRanges, RangeLookUp};
use rounds::Rounds;
use segments::{Segments, Which};
use smppmux_engine::core::settings::MessageIdMode;
use submit::{SubmitRequest, SubmitResponse};

/// Every way that is measured.
pub const WAYS: &[NamedWay] = &[
    NamedWay {
        name: "framing",
        what: "a PDU found and its header read, twenty in one read",
        start: || Box::new(Framing::new(Reads::Whole)),
        is_counted: true,
    },
    NamedWay {
        name: "framing-split",
        what: "the same where every read ends in the middle of a PDU",
        start: || Box::new(Framing::new(Reads::Split)),
        is_counted: true,
    },
    NamedWay {
        name: "submit",
        what: "a submit_sm to the server and its answer back",
        start: || Box::new(Rounds::of(RoundTrip::new(), RoundTrip::submit)),
        is_counted: true,
    },
    NamedWay {
        name: "submit-sm",
        what: "the submit_sm alone",
        start: || Box::new(SubmitRequest::new()),
        is_counted: true,
    },
    NamedWay {
        name: "submit-sm-resp",
        what: "the answer alone, its id tagged",
        start: || Box::new(SubmitResponse::new()),
        is_counted: true,
    },
    NamedWay {
        name: "submit-for-receipt",
        what: "a submit_sm that asks for a receipt, which is remembered, and its answer",
        start: || Box::new(SubmitsForReceipts::new()),
        is_counted: true,
    },
    NamedWay {
        name: "submit-logged",
        what: "a submit_sm and its answer with the message log on",
        start: || Box::new(Rounds::of(RoundTrip::logged(), rounds::submit_logged)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver",
        what: "a deliver_sm to the client and its answer back",
        start: || Box::new(Rounds::of(RoundTrip::new(), RoundTrip::deliver)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver-logged",
        what: "the same with the message log on",
        start: || Box::new(Rounds::of(RoundTrip::logged(), rounds::deliver_logged)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver-across-cores",
        what: "the same where another engine has the client: C2C by hand",
        start: || Box::new(Rounds::of(TwoCores::new(), TwoCores::deliver)),
        is_counted: true,
    },
    NamedWay {
        name: "lookup-10",
        what: "the owner of a destination found among 10 prefixes",
        start: || Box::new(RangeLookUp::among(10)),
        is_counted: true,
    },
    NamedWay {
        name: "lookup-10000",
        what: "among 10,000",
        start: || Box::new(RangeLookUp::among(10_000)),
        is_counted: true,
    },
    NamedWay {
        name: "lookup-1000000",
        what: "among 1,000,000",
        start: || Box::new(RangeLookUp::among(1_000_000)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver-10-ranges",
        what: "a deliver_sm and its answer where the client claims 10 ranges",
        start: || Box::new(DeliverToRanges::among(10)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver-10000-ranges",
        what: "10,000",
        start: || Box::new(DeliverToRanges::among(10_000)),
        is_counted: true,
    },
    NamedWay {
        name: "deliver-1000000-ranges",
        what: "1,000,000",
        start: || Box::new(DeliverToRanges::among(1_000_000)),
        is_counted: true,
    },
    NamedWay {
        name: "first-segment",
        what: "the first segment of a concatenated message to the server: its pin is made",
        start: || Box::new(Segments::new(Which::First)),
        is_counted: true,
    },
    NamedWay {
        name: "next-segment",
        what: "the next segment to the server: its pin is found",
        start: || Box::new(Segments::new(Which::Next)),
        is_counted: true,
    },
    NamedWay {
        name: "receipt-tagged",
        what: "a receipt to the account that submitted, its id tagged, and its answer back",
        start: || Box::new(Receipts::new(MessageIdMode::Tagged)),
        is_counted: true,
    },
    NamedWay {
        name: "receipt-mapped",
        what: "the same with the short id of the stored mapping",
        start: || Box::new(Receipts::new(MessageIdMode::Mapped)),
        is_counted: true,
    },
    NamedWay {
        name: "query-tagged",
        what: "a query_sm to the server, the tag of its id removed, and its answer back",
        start: || Box::new(Queries::new(MessageIdMode::Tagged)),
        is_counted: true,
    },
    NamedWay {
        name: "query-mapped",
        what: "the same, the server's own id found in the stored mapping",
        start: || Box::new(Queries::new(MessageIdMode::Mapped)),
        is_counted: true,
    },
    NamedWay {
        name: "c2c",
        what: "a request through a mailbox to another core and its answer back, without the engines",
        start: || Box::new(Mailboxes::new()),
        is_counted: true,
    },
    NamedWay {
        name: "c2c-between-threads",
        what: "the same between two threads that sleep when there is nothing",
        start: || Box::new(BetweenThreads::new()),
        is_counted: false,
    },
];

/// The row of that name.
pub fn way_with_name(name: &str) -> Option<&'static NamedWay> {
    WAYS.iter().find(|way| way.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::way::measured_part;

    /// Goal: each way can be taken again and again, and leaves nothing behind that would fill up. The ways check themselves
    /// what comes out; a million ranges are left to the benches.
    #[test]
    fn every_way_can_be_taken_again_and_again() {
        for named in WAYS.iter().filter(|named| !named.name.contains("1000000")) {
            let mut way = (named.start)();
            for _ in 0..50 {
                way.prepare();
                measured_part(&mut *way);
                way.finish();
            }
        }
    }

    /// Goal: a name means one way.
    #[test]
    fn names_are_unique() {
        for (at, named) in WAYS.iter().enumerate() {
            let first = WAYS.iter().position(|other| other.name == named.name);
            assert_eq!(first, Some(at), "{}", named.name);
        }
    }
}
