//! The stand on which the malformed frames are tried: smppmux between probing peers and a neighbour that must notice
//! nothing.
//!
//! Servers: `answering` answers by itself; `by_hand` and `transmitter_only` are sessions that the test drives. Accounts:
//! `probe` and `neighbour` use `answering`, `direct` uses `by_hand`.

use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status, patch_sequence_number};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{self, Pdu, deliver_sm, header_only, response_with_id};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};

use crate::expectation::{Line, Reaction};

/// How long an incomplete frame is watched for a reaction that must not come.
const WAIT: Duration = Duration::from_millis(200);

/// The number of the enquire_link behind a line; no line has it.
const MARK: u32 = 0x5E5E_5E5E;

const NEIGHBOUR_ADDRESS: &str = "88000001";
const DIRECT_ADDRESS: &str = "99000001";

pub(crate) struct Stand {
    smppmux: Smppmux,
    answering: AnsweringSmsc,
    by_hand: Peer,
    transmitter_only: Peer,
    neighbour: Esme,
    direct: Esme,
    /// Lines checked so far: makes addresses and texts that differ.
    count: usize,
}

impl Stand {
    pub(crate) fn start(cores: &str) -> Self {
        let answering = AnsweringSmsc::start("answering");
        let (by_hand, transmitter_only) = (Smsc::start(), Smsc::start());
        let configuration = Configuration::with_cores(cores)
            .engine("strict-lengths = true")
            .server("answering", "0A", answering.address(), "")
            .server("by-hand", "0B", by_hand.address(), "connections-total = 1")
            .server(
                "transmitter-only",
                "0C",
                transmitter_only.address(),
                "connections-total = 1\nbind = \"transmitter\"",
            )
            .client("probe", "servers = [\"answering\"]\naddress-ranges = [\"7700\"]")
            .client(
                "neighbour",
                "servers = [\"answering\"]\naddress-ranges = [\"8800\"]",
            )
            .client("direct", "servers = [\"by-hand\"]\naddress-ranges = [\"9900\"]")
            .client("sys", "");
        let mut smppmux = Smppmux::start(env!("CARGO_BIN_EXE_smppmux-under-test"), &configuration);
        let (by_hand, _) = by_hand.accept_bound();
        let (transmitter_only, _) = transmitter_only.accept_bound();
        smppmux.wait_for_log("smppmux ready");
        let address = smppmux.address();
        Self {
            neighbour: Esme::bind_with_range(address, "neighbour", NEIGHBOUR_ADDRESS),
            direct: Esme::bind_with_range(address, "direct", DIRECT_ADDRESS),
            smppmux,
            answering,
            by_hand,
            transmitter_only,
            count: 0,
        }
    }

    /// Sends a line as an ESME.
    pub(crate) fn check_from_esme(&mut self, line: &Line) {
        self.count += 1;
        if line.session_state == "OPEN" {
            let mut stranger = Peer::connect(self.smppmux.address());
            line.judge(&reaction(&mut stranger, line));
        } else if line.session_state == "UNBOUND" {
            self.check_after_unbind(line);
        } else {
            self.check_on_bound(line);
        }
        self.check_neighbour();
    }

    /// Sends a line as a message centre.
    pub(crate) fn check_from_mc(&mut self, line: &Line) {
        self.count += 1;
        if line.session_state == "BOUND_TX" {
            line.judge(&reaction(&mut self.transmitter_only, line));
        } else if line.answers_a_pending_request() {
            self.check_answer_from_mc(line);
        } else {
            line.judge(&reaction(&mut self.by_hand, line));
        }
        self.check_session_by_hand();
        self.check_neighbour();
    }

    fn check_on_bound(&mut self, line: &Line) {
        let own_address = format!("7700{:04}", self.count);
        let command = match line.session_state.as_str() {
            "BOUND_TX" => CommandId::BIND_TRANSMITTER,
            "BOUND_RX" => CommandId::BIND_RECEIVER,
            _ => CommandId::BIND_TRANSCEIVER,
        };
        let request = BindRequest {
            command,
            version: line.version(),
            address_range: &own_address,
            ..BindRequest::of("probe")
        };
        let mut probe = Esme::bind_with(self.smppmux.address(), request);
        if line.answers_a_pending_request() {
            self.check_answer_from_esme(line, &mut probe, &own_address);
        } else {
            line.judge(&reaction(&mut probe, line));
        }
        if line.must_survive() {
            if command != CommandId::BIND_RECEIVER {
                let answer = probe.submit_and_wait("4477", &line.name);
                assert_eq!(answer.status(), Status::ESME_ROK, "{}", line.name);
            }
            self.deliver_to(&mut probe, &own_address, &line.name);
            probe.unbind();
        }
    }

    /// An unbind waits for the answers of its session's requests; what comes meanwhile comes after the unbind.
    fn check_after_unbind(&mut self, line: &Line) {
        let mut esme = Esme::bind(self.smppmux.address(), "direct");
        let pending = esme.submit("4477", "pending");
        let submit = self.by_hand.expect(CommandId::SUBMIT_SM);
        let unbind = esme.next_sequence_number();
        let mut octets = header_only(CommandId::UNBIND, Status::ESME_ROK, unbind);
        octets.extend(line.octets());
        esme.send(&octets);
        let reply = esme.receive();
        line.judge(&Reaction {
            replies: vec![reply],
            is_closed: false,
        });
        answer_submit(&mut self.by_hand, &submit);
        assert_eq!(esme.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), pending);
        assert_eq!(esme.expect(CommandId::UNBIND_RESP).sequence_number(), unbind);
        esme.expect_closed();
    }

    /// The line answers a deliver_sm, whose server must get one answer.
    fn check_answer_from_esme(&mut self, line: &Line, probe: &mut Esme, own_address: &str) {
        let number = self.answering.deliver(self.count, own_address, &line.name);
        let delivery = probe.expect(CommandId::DELIVER_SM);
        probe.send(&with_number(line, delivery.sequence_number()));
        let answer = self.answering.response_to(number);
        assert_eq!(answer.command(), CommandId::DELIVER_SM_RESP, "{}", line.name);
        assert_eq!(answer.status(), line.header().command_status, "{}", line.name);
        assert_eq!(probe.enquire(MARK), [], "{}", line.name);
    }

    /// The line answers a request, whose client must get one answer; the true answer follows, and is too much where the
    /// line was taken for one.
    fn check_answer_from_mc(&mut self, line: &Line) {
        let is_multi = line.header().command_id == CommandId::SUBMIT_MULTI_RESP;
        let own_number = self.direct.next_sequence_number();
        if is_multi {
            self.direct.send(&submit_multi(own_number));
        } else {
            self.direct
                .send(&pdu::submit_sm(own_number, "1000", "4477", &line.name));
        }
        let request = self.by_hand.receive();
        self.by_hand.send(&with_number(line, request.sequence_number()));
        assert_eq!(self.by_hand.enquire(MARK), [], "{}", line.name);
        answer_submit(&mut self.by_hand, &request);

        let answer = self.direct.receive();
        assert_eq!(answer.command(), request.command().response(), "{}", line.name);
        assert_eq!(answer.sequence_number(), own_number, "{}", line.name);
        if line.header().command_id == CommandId::GENERIC_NACK {
            assert_eq!(answer.status(), line.header().command_status, "{}", line.name);
        }
        assert_eq!(self.direct.enquire(MARK), [], "{}: one answer only", line.name);
    }

    fn check_session_by_hand(&mut self) {
        let number = self.direct.submit("4477", "by hand");
        let submit = self.by_hand.expect(CommandId::SUBMIT_SM);
        answer_submit(&mut self.by_hand, &submit);
        let answer = self.direct.expect(CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_ROK)
        );

        let number = u32::try_from(self.count).expect("few lines");
        self.by_hand
            .send(&deliver_sm(number, "2000", NEIGHBOUR_ADDRESS, "by hand"));
        assert_eq!(self.neighbour.take_delivery().text(), "by hand");
        let answer = self.by_hand.expect(CommandId::DELIVER_SM_RESP);
        assert_eq!(
            (answer.sequence_number(), answer.status()),
            (number, Status::ESME_ROK)
        );
    }

    fn check_neighbour(&mut self) {
        let text = format!("neighbour {}", self.count);
        let answer = self.neighbour.submit_and_wait("4477", &text);
        assert_eq!(answer.status(), Status::ESME_ROK);
        let number = self.answering.deliver(self.count, NEIGHBOUR_ADDRESS, &text);
        assert_eq!(self.neighbour.take_delivery().text(), text);
        assert_eq!(self.answering.response_to(number).status(), Status::ESME_ROK);
    }

    fn deliver_to(&self, esme: &mut Esme, own_address: &str, text: &str) {
        let number = self.answering.deliver(self.count, own_address, text);
        assert_eq!(esme.take_delivery().text(), text);
        assert_eq!(self.answering.response_to(number).status(), Status::ESME_ROK);
    }
}

/// Sends a line and an enquire_link behind it; gathers what comes back until that is answered and so is the line, or until
/// the connection ends.
fn reaction(peer: &mut Peer, line: &Line) -> Reaction {
    let mut octets = line.octets();
    if line.must_wait() {
        return reaction_to_incomplete(peer, &octets);
    }
    if !line.must_close() {
        octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, MARK));
    }
    peer.send(&octets);
    let number = line.header().sequence_number;
    let mut replies: Vec<Pdu> = Vec::new();
    let mut is_marked = line.must_close();
    loop {
        let is_answered = replies.iter().any(|reply| reply.sequence_number() == number);
        if !line.must_close() && is_marked && (is_answered || !line.must_be_answered()) {
            return Reaction {
                replies,
                is_closed: false,
            };
        }
        match peer.receive_within(PATIENCE) {
            Received::Pdu(pdu) if pdu.sequence_number() == MARK => is_marked = true,
            Received::Pdu(pdu) => replies.push(pdu),
            Received::Closed => {
                return Reaction {
                    replies,
                    is_closed: true,
                };
            }
            Received::Nothing => panic!("{}: only {replies:?} came", line.name),
        }
    }
}

/// Nothing may come until the stream ends, and then the connection does.
fn reaction_to_incomplete(peer: &mut Peer, octets: &[u8]) -> Reaction {
    peer.send(octets);
    assert_eq!(peer.receive_within(WAIT), Received::Nothing);
    peer.finish_writing();
    Reaction {
        replies: peer.receive_until_closed(),
        is_closed: true,
    }
}

fn with_number(line: &Line, sequence_number: u32) -> Vec<u8> {
    let mut octets = line.octets();
    patch_sequence_number(&mut octets, sequence_number);
    octets
}

fn answer_submit(server: &mut Peer, request: &Pdu) {
    let (command, number) = (request.command().response(), request.sequence_number());
    server.send(&response_with_id(command, number, "late"));
}

fn submit_multi(sequence_number: u32) -> Vec<u8> {
    use smppmux_engine::core::wire::{DestAddress, Message, SubmitMulti};

    let body = SubmitMulti {
        message: Message {
            short_message: b"to many",
            ..Message::default()
        },
        destinations: &[DestAddress::Sme(pdu::address("4477"))],
    };
    pdu::written(CommandId::SUBMIT_MULTI, Status::ESME_ROK, sequence_number, &body)
}
