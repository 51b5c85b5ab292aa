//! The ESME's checkers against a fake message centre: each thing that can go wrong is seen for what it is.
//!
//! Method: the session is driven as the pure state machine that it is, with PDUs of the test's making and a clock of the
//! test's setting.

use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    Address, Body, CommandId, Frame, Header, Message, MessageIdResponse, PduWriter, Status, Tag, next_frame,
    write_header_only, write_pdu,
};

use super::EsmeArguments;
use super::plan::Plan;
use super::report::EsmeReport;
use super::session::EsmeSession;
use crate::simulator::connection::{End, Flow, Session};
use crate::simulator::control::Shared;
use crate::simulator::tests::parsed;
use crate::simulator::token::{Token, TokenMode};

/// One session that is bound, and what it sent last.
struct Bench {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    session: EsmeSession,
    output: BytesMut,
    now_us: u64,
}

impl Bench {
    fn bound(flags: &str) -> Self {
        let plan = Arc::new(Plan::new(parsed::<EsmeArguments>(flags)).expect("they fit together"));
        let shared = Arc::new(Shared::new(1));
        let identity = plan.identity(0).expect("a range");
        let mut session = EsmeSession::new(Arc::clone(&plan), Arc::clone(&shared), identity, 0);
        session.handle_connected(0);
        let mut bench = Self {
            plan,
            shared,
            session,
            output: BytesMut::new(),
            now_us: 1_000,
        };
        bench.produce();
        let bind = bench.sent();
        bench.answer(bind[0], Status::ESME_ROK, b"smsc");
        bench
    }

    fn produce(&mut self) -> Flow {
        self.session.produce(self.now_us, &mut self.output)
    }

    /// The headers of what was written since the last call.
    fn sent(&mut self) -> Vec<Header> {
        let mut headers = Vec::new();
        while let Frame::Pdu(pdu) = next_frame(&self.output, u32::MAX) {
            headers.extend(Header::read(pdu));
            let octets = pdu.len();
            let _ = self.output.split_to(octets);
        }
        assert!(self.output.is_empty(), "whole PDUs only");
        headers
    }

    fn receive(&mut self, pdu: &[u8]) -> Flow {
        self.session.handle_pdu(self.now_us, pdu, &mut self.output)
    }

    fn answer(&mut self, request: Header, status: Status, message_id: &[u8]) -> Flow {
        let mut pdu = BytesMut::new();
        let body = MessageIdResponse { message_id };
        let response = request.command_id.response();
        write_pdu(&mut pdu, response, status, request.sequence_number, &body).expect("it fits");
        self.receive(&pdu)
    }

    /// Sends what the window allows.
    fn submits(&mut self) -> Vec<Header> {
        self.produce();
        let mut sent = self.sent();
        sent.retain(|header| header.command_id == CommandId::SUBMIT_SM);
        sent
    }

    fn deliver(
        &mut self,
        destination: &[u8],
        text: &[u8],
        esm_class: u8,
        receipted: Option<&[u8]>,
    ) -> Vec<Header> {
        let mut pdu = BytesMut::new();
        let mut writer = PduWriter::begin(&mut pdu, CommandId::DELIVER_SM, Status::ESME_ROK, 77);
        let address = |addr| Address { ton: 1, npi: 1, addr };
        let message = Message {
            source: address(b"4477"),
            destination: address(destination),
            esm_class,
            short_message: text,
            ..Message::default()
        };
        message.write_to(&mut writer);
        if let Some(id) = receipted {
            writer.text_tlv(Tag::RECEIPTED_MESSAGE_ID, id);
        }
        writer.finish().expect("it fits");
        self.receive(&pdu);
        self.sent()
    }

    fn report(mut self) -> EsmeReport {
        self.session.handle_closed(&End::PeerClosed);
        EsmeReport::of(&self.plan, &self.shared, vec![self.session], self.now_us)
    }
}

fn marked(number: u32, destination: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let token = Token {
        run: 9,
        stream: 1,
        number,
    };
    token.write(TokenMode::Addresses, b"4477", destination, &mut text);
    text
}

const LOAD: &str = "--count 4 --window 2 --address-range 888765";

/// Goal: a run in which all is well passes, and the window is kept.
#[test]
fn a_clean_run_passes() {
    let mut bench = Bench::bound(LOAD);
    for _ in 0..2 {
        let sent = bench.submits();
        assert_eq!(sent.len(), 2);
        assert!(bench.submits().is_empty(), "the window is full");
        for request in sent {
            bench.answer(request, Status::ESME_ROK, b"1");
        }
    }
    let answer = bench.deliver(b"888765001", &marked(1, b"888765001"), 0, None);
    assert_eq!(
        (answer[0].command_id, answer[0].sequence_number),
        (CommandId::DELIVER_SM_RESP, 77)
    );
    bench.now_us += 200_000;
    bench.produce();
    let unbind = bench.sent();
    assert_eq!(unbind[0].command_id, CommandId::UNBIND);
    assert_eq!(bench.answer(unbind[0], Status::ESME_ROK, b""), Flow::Close);
    let report = bench.report();
    assert!(report.passed, "{report}");
    assert_eq!(
        (
            report.answers.sent,
            report.answers.accepted,
            report.connection.unbound
        ),
        (4, 4, 1)
    );
}

/// Goal: a second answer is a duplicate.
#[test]
fn a_duplicate_answer_is_detected() {
    let mut bench = Bench::bound(LOAD);
    let sent = bench.submits();
    bench.answer(sent[0], Status::ESME_ROK, b"1");
    bench.answer(sent[0], Status::ESME_ROK, b"1");
    assert_eq!(bench.session.answers.counts.duplicate, 1);
    assert!(!bench.report().is_exact());
}

/// Goal: a sequence number that no request has, and an answer of another command, are mismatches.
#[test]
fn a_wrong_answer_is_detected() {
    let mut bench = Bench::bound(LOAD);
    let sent = bench.submits();
    let invented = Header {
        sequence_number: sent[1].sequence_number + 1,
        ..sent[0]
    };
    bench.answer(invented, Status::ESME_ROK, b"1");
    let other_command = Header {
        command_id: CommandId::DATA_SM,
        ..sent[0]
    };
    bench.answer(other_command, Status::ESME_ROK, b"1");
    let counts = bench.session.answers.counts;
    assert_eq!((counts.unknown, counts.wrong_command, counts.answered), (1, 1, 0));
    assert!(!bench.report().is_exact());
}

/// Goal: an answer whose message id names another message of a simulator is a swap; its own id is none.
#[test]
fn a_swapped_answer_is_detected() {
    let mut bench = Bench::bound(LOAD);
    let sent = bench.submits();
    let id_of = |run: u16, number: u32| {
        let mut id = b"t".to_vec();
        let token = Token {
            run,
            stream: 0,
            number,
        };
        token.write_id(&mut id);
        id.extend_from_slice(b".00000001#mx-0A");
        id
    };
    let run = bench.shared.run;
    bench.answer(sent[1], Status::ESME_ROK, &id_of(run, 1));
    assert_eq!(bench.session.answers.counts.swapped, 0);
    bench.answer(sent[0], Status::ESME_ROK, &id_of(run, 1));
    assert_eq!(bench.session.answers.counts.swapped, 1);
    assert!(!bench.report().is_exact());
}

/// Goal: an answer that never comes is lost, by timeout or by the end of the connection; one that comes later is late.
#[test]
fn a_lost_answer_is_detected() {
    let mut bench = Bench::bound(LOAD);
    let sent = bench.submits();
    bench.now_us += 16_000_000;
    bench.produce();
    assert_eq!(bench.session.answers.counts.expired, 2);
    bench.answer(sent[0], Status::ESME_ROK, b"1");
    assert_eq!(bench.session.answers.counts.late, 1);
    assert_eq!(bench.submits().len(), 2, "timed-out requests leave the window");
    let report = bench.report();
    assert_eq!(
        (report.answers.unanswered_at_close, report.answers.lost()),
        (2, 4)
    );
    assert!(!report.is_exact());
}

/// Goal: MO outside of the bound range, twice, or with another message's text is detected.
#[test]
fn wrong_mo_is_detected() {
    let mut bench = Bench::bound(LOAD);
    bench.deliver(b"244570001", &marked(1, b"244570001"), 0, None);
    assert_eq!(bench.session.messages.outside_range, 1);
    bench.deliver(b"888765001", &marked(2, b"888765001"), 0, None);
    assert_eq!(bench.session.messages.duplicate, 0);
    bench.deliver(b"888765001", &marked(2, b"888765001"), 0, None);
    assert_eq!(bench.session.messages.duplicate, 1);
    bench.deliver(b"888765001", &marked(3, b"888765002"), 0, None);
    assert_eq!(bench.session.messages.damaged, 1);
    bench.deliver(b"888765001", b"hello", 0, None);
    assert_eq!(bench.session.messages.foreign, 1);
    assert!(!bench.report().is_exact());
}

/// Goal: a receipt for another simulator's message is misdirected, by TLV and by text; a second one is a duplicate.
#[test]
fn wrong_receipts_are_detected() {
    let mut bench = Bench::bound(LOAD);
    let id_of = |run: u16| {
        let mut id = b"t".to_vec();
        let token = Token {
            run,
            stream: 0,
            number: 0,
        };
        token.write_id(&mut id);
        id.extend_from_slice(b".00000001#mx-01");
        id
    };
    let run = bench.shared.run;
    bench.deliver(b"888765", b"", 4, Some(&id_of(run)));
    assert_eq!(
        (
            bench.session.messages.receipts,
            bench.session.messages.misdirected_receipts
        ),
        (1, 0)
    );
    let text = [b"id:".as_slice(), &id_of(run.wrapping_add(1)), b" sub:001"].concat();
    bench.deliver(b"888765", &text, 4, None);
    assert_eq!(bench.session.messages.misdirected_receipts, 1);
    bench.deliver(b"888765", b"", 4, Some(&id_of(run)));
    assert_eq!(bench.session.messages.duplicate, 1);
}

/// Goal: errors fail a run unless they are allowed; a generic_nack is an answer.
#[test]
fn errors_are_judged_as_asked() {
    for (flags, passes) in [("--count 1", false), ("--count 1 --allow-errors", true)] {
        let mut bench = Bench::bound(flags);
        let sent = bench.submits();
        let mut nack = BytesMut::new();
        write_header_only(
            &mut nack,
            CommandId::GENERIC_NACK,
            Status::ESME_RTHROTTLED,
            sent[0].sequence_number,
        );
        bench.receive(&nack);
        let report = bench.report();
        assert_eq!((report.answers.nacked, report.refused()), (1, 1));
        assert_eq!(report.passed, passes, "{flags}");
        assert_eq!(report.statuses.0.get("ESME_RTHROTTLED"), Some(&1));
    }
}

/// Goal: arguments that do not fit together are refused with a sentence before anything is opened.
#[test]
fn arguments_must_fit_together() {
    for flags in [
        "--command deliver_sm",
        "--interface-version 3.3",
        "--interface-version 3.3 --bind transmitter --message-payload",
        "--size 300",
        "--destination 123456789012345678901",
        "--address-range [",
    ] {
        assert!(Plan::new(parsed(flags)).is_err(), "{flags}");
    }
}
