//! The message centre's checkers against a fake client: each thing that can go wrong is seen for what it is.
//!
//! Method: the session is driven as the pure state machine that it is, with PDUs of the test's making and a clock of the
//! test's setting.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Bind, Body, Cancel, CommandId, Frame, Header, Message, MessageIdRespView, MessageIdResponse,
    NoBody, Query, QueryRespView, Replace, Status, Version, next_frame, write_pdu,
};

use super::SmscArguments;
use super::centre::Centre;
use super::report::SmscReport;
use super::session::SmscSession;
use crate::simulator::connection::{End, Flow, Session};
use crate::simulator::tests::parsed;
use crate::simulator::token::{Token, TokenMode};

/// One session of a message centre, and the PDUs that it sent.
struct Bench {
    centre: Arc<Centre>,
    session: SmscSession,
    output: BytesMut,
    now_us: u64,
}

impl Bench {
    fn open(flags: &str) -> Self {
        let centre = Arc::new(Centre::new(parsed::<SmscArguments>(flags)).expect("they fit together"));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        Self {
            session: SmscSession::new(Arc::clone(&centre), 0, peer),
            centre,
            output: BytesMut::new(),
            now_us: 1_000,
        }
    }

    fn bound(flags: &str, bind: CommandId) -> Self {
        let mut bench = Self::open(flags);
        let answers = bench.bind(bind);
        assert_eq!(answers[0].0.command_status, Status::ESME_ROK);
        bench
    }

    fn bind(&mut self, bind: CommandId) -> Vec<(Header, Vec<u8>)> {
        let body = Bind {
            system_id: b"esme1",
            password: b"secret",
            system_type: b"",
            version: Version::from_interface_version(0x34),
            addr_ton: 0,
            addr_npi: 0,
            address_range: b"",
        };
        self.request(bind, 1, &body)
    }

    /// Hands a request over and gives what was sent until all of it had left.
    fn request(
        &mut self,
        command_id: CommandId,
        sequence_number: u32,
        body: &impl Body,
    ) -> Vec<(Header, Vec<u8>)> {
        let mut pdu = BytesMut::new();
        write_pdu(&mut pdu, command_id, Status::ESME_ROK, sequence_number, body).expect("it fits");
        self.session.handle_pdu(self.now_us, &pdu, &mut self.output);
        self.flush()
    }

    fn submit(&mut self, sequence_number: u32, text: &[u8]) -> Vec<(Header, Vec<u8>)> {
        let address = |addr| Address { ton: 1, npi: 1, addr };
        let message = Message {
            source: address(b"888765"),
            destination: address(b"4477"),
            short_message: text,
            ..Message::default()
        };
        self.request(CommandId::SUBMIT_SM, sequence_number, &message)
    }

    fn flush(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Frame::Pdu(pdu) = next_frame(&self.output, u32::MAX) {
            let pdu = pdu.to_vec();
            sent.push((Header::read(&pdu).expect("a header"), pdu.clone()));
            let _ = self.output.split_to(pdu.len());
        }
        self.session.handle_flushed();
        sent
    }

    /// What the message centre sends on its own now.
    fn produce(&mut self) -> Vec<(Header, Vec<u8>)> {
        self.session.produce(self.now_us, &mut self.output);
        self.flush()
    }

    fn answer(&mut self, request: Header, sequence_number: u32, status: Status) -> Flow {
        let mut pdu = BytesMut::new();
        let response = request.command_id.response();
        write_pdu(
            &mut pdu,
            response,
            status,
            sequence_number,
            &MessageIdResponse::default(),
        )
        .expect("it fits");
        self.session.handle_pdu(self.now_us, &pdu, &mut self.output)
    }

    fn report(self) -> SmscReport {
        self.session.handle_closed(&End::PeerClosed);
        SmscReport::of(&self.centre)
    }
}

fn marked(number: u32) -> Vec<u8> {
    let mut text = Vec::new();
    let token = Token {
        run: 9,
        stream: 1,
        number,
    };
    token.write(TokenMode::Addresses, b"888765", b"4477", &mut text);
    text
}

fn message_id(answer: &(Header, Vec<u8>)) -> Vec<u8> {
    MessageIdRespView::parse(&answer.1)
        .expect("an answer")
        .message_id()
        .to_vec()
}

const MO: &str = "--mo 888765=max:3 --mo-after 0s";

/// Goal: MO that is answered once each passes; a second, an invented and a missing answer do not.
#[test]
fn mo_answers_are_checked() {
    let mut bench = Bench::bound(MO, CommandId::BIND_RECEIVER);
    let sent: Vec<Header> = bench.produce().iter().map(|(header, _)| *header).collect();
    assert_eq!(sent.len(), 3, "the count of the stream");
    assert!(
        sent.iter()
            .all(|header| header.command_id == CommandId::DELIVER_SM)
    );
    for header in &sent[..2] {
        bench.answer(*header, header.sequence_number, Status::ESME_ROK);
    }
    let (centre_counts, third) = (bench.session.answers.counts, sent[2]);
    assert_eq!((centre_counts.answered, centre_counts.duplicate), (2, 0));
    bench.answer(sent[0], sent[0].sequence_number, Status::ESME_ROK);
    bench.answer(third, third.sequence_number + 1000, Status::ESME_ROK);
    bench.now_us += 16_000_000;
    bench.produce();
    let counts = bench.session.answers.counts;
    assert_eq!((counts.duplicate, counts.unknown, counts.expired), (1, 1, 1));
    let report = bench.report();
    assert!(!report.is_exact());
    assert_eq!((report.sent[0].sent, report.sent[0].accepted.count()), (3, 2));
}

/// Goal: a transmitter is never sent MO.
#[test]
fn a_transmitter_gets_no_mo() {
    let mut bench = Bench::bound(MO, CommandId::BIND_TRANSMITTER);
    bench.now_us += 1_000_000;
    assert!(bench.produce().is_empty());
}

/// Goal: a message that comes twice, a damaged one, and a sequence number in use are detected.
#[test]
fn clients_are_checked() {
    let mut bench = Bench::bound("--delay 1s --window-max 2", CommandId::BIND_TRANSCEIVER);
    bench.submit(2, &marked(0));
    bench.submit(3, &marked(0));
    assert_eq!(bench.session.messages.duplicate, 1);
    let mut damaged = marked(1);
    damaged[7] ^= 1;
    bench.submit(3, &damaged);
    assert_eq!(bench.session.messages.damaged, 1);
    assert_eq!(bench.session.sequence_numbers.in_use, 1);
    assert!(
        bench.session.counts.window_violations > 0,
        "three unanswered requests"
    );
    bench.submit(0x8000_0000, &marked(2));
    assert_eq!(bench.session.sequence_numbers.out_of_range, 1);
    bench.now_us += 1_000_000;
    assert_eq!(bench.produce().len(), 4, "each got its answer");
    let report = bench.report();
    assert_eq!((report.distinct_messages, report.total.submit_sm), (2, 4));
    assert!(!report.is_exact());
}

/// Goal: query_sm, cancel_sm and replace_sm work on accepted ids of their source, and on no others.
#[test]
fn accepted_messages_can_be_asked_for() {
    for format in ["token", "decimal", "hex", "uuid"] {
        let flags = format!("--message-id {format} --receipt-delay 10s");
        let mut bench = Bench::bound(&flags, CommandId::BIND_TRANSCEIVER);
        let id = message_id(&bench.submit(2, &marked(0))[0]);
        let other = message_id(&bench.submit(3, &marked(1))[0]);
        assert_ne!(id, other);
        let source = |addr| Address { ton: 1, npi: 1, addr };
        let ask = |bench: &mut Bench, command_id, id: &[u8], addr| {
            let source = source(addr);
            let (message_id, short_message) = (id, b"new".as_slice());
            let answers = match command_id {
                CommandId::QUERY_SM => bench.request(command_id, 9, &Query { message_id, source }),
                CommandId::CANCEL_SM => {
                    let body = Cancel {
                        message_id,
                        source,
                        ..Cancel::default()
                    };
                    bench.request(command_id, 9, &body)
                }
                _ => {
                    let body = Replace {
                        message_id,
                        source,
                        short_message,
                        ..Replace::default()
                    };
                    bench.request(command_id, 9, &body)
                }
            };
            answers.into_iter().next().expect("one answer")
        };
        let state = |answer: &(Header, Vec<u8>)| {
            QueryRespView::parse(&answer.1)
                .expect("an answer")
                .message_state()
        };
        assert_eq!(
            state(&ask(&mut bench, CommandId::QUERY_SM, &id, b"888765")),
            Some(1),
            "{format}"
        );
        let refused = ask(&mut bench, CommandId::QUERY_SM, &id, b"999");
        assert_eq!(refused.0.command_status, Status::ESME_RQUERYFAIL);
        let replaced = ask(&mut bench, CommandId::REPLACE_SM, &id, b"888765");
        assert_eq!(replaced.0.command_status, Status::ESME_ROK);
        assert_eq!(
            ask(&mut bench, CommandId::CANCEL_SM, &id, b"888765")
                .0
                .command_status,
            Status::ESME_ROK
        );
        assert_eq!(
            state(&ask(&mut bench, CommandId::QUERY_SM, &id, b"888765")),
            Some(4),
            "{format}"
        );
        let again = ask(&mut bench, CommandId::CANCEL_SM, &id, b"888765");
        assert_eq!(again.0.command_status, Status::ESME_RCANCELFAIL);
        bench.now_us += 11_000_000;
        assert_eq!(
            state(&ask(&mut bench, CommandId::QUERY_SM, &other, b"888765")),
            Some(2),
            "{format}"
        );
        let unknown = ask(&mut bench, CommandId::QUERY_SM, b"nothing", b"888765");
        assert_eq!(unknown.0.command_status, Status::ESME_RQUERYFAIL);
    }
}

/// Goal: what a state does not allow is answered, by its own response or a generic_nack, and the session lives.
#[test]
fn requests_out_of_state_are_answered() {
    let mut bench = Bench::open("--account esme1:secret");
    assert_eq!(
        bench.submit(1, b"early")[0].0.command_status,
        Status::ESME_RINVBNDSTS
    );
    assert_eq!(
        bench.bind(CommandId::BIND_RECEIVER)[0].0.command_status,
        Status::ESME_ROK
    );
    assert_eq!(
        bench.bind(CommandId::BIND_RECEIVER)[0].0.command_status,
        Status::ESME_RALYBND
    );
    assert_eq!(
        bench.submit(2, b"receiver")[0].0.command_status,
        Status::ESME_RINVBNDSTS
    );
    let nack = bench.request(CommandId(0x0000_0055), 7, &NoBody)[0].0;
    assert_eq!(
        (nack.command_id, nack.command_status, nack.sequence_number),
        (CommandId::GENERIC_NACK, Status::ESME_RINVCMDID, 7)
    );
    let alive = bench.request(CommandId::ENQUIRE_LINK, 8, &NoBody)[0].0;
    assert_eq!(
        (alive.command_id, alive.sequence_number),
        (CommandId::ENQUIRE_LINK_RESP, 8)
    );
    let unbound = bench.request(CommandId::UNBIND, 9, &NoBody)[0].0;
    assert_eq!(unbound.command_id, CommandId::UNBIND_RESP);
    assert_eq!(bench.report().total.unbound_by_client, 1);
}

/// Goal: a wrong account and a wrong password are refused by their own statuses.
#[test]
fn strangers_are_refused() {
    for (account, status) in [
        ("esme2:secret", Status::ESME_RINVSYSID),
        ("esme1:other", Status::ESME_RINVPASWD),
    ] {
        let mut bench = Bench::open(&format!("--account {account}"));
        assert_eq!(
            bench.bind(CommandId::BIND_TRANSCEIVER)[0].0.command_status,
            status
        );
        assert_eq!(bench.report().total.binds_refused, 1);
    }
}
