//! How each malformed frame is tried: on which session, and what is checked around it.
//!
//! SMSC A answers by itself, B is driven by hand. The probing ESME and its neighbour are of account `alpha`, which uses
//! A; `direct` is of `beta`, which uses B.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, patch_sequence_number};
use smppmux_tests::pdu::{Pdu, header_only, submit_multi};
use smppmux_tests::peer::Received;

use super::line::{Line, Reaction};
use crate::failure::{Outcome, fail, require, require_of};
use crate::peers::{Arrival, BindAs, Client, OnRequest, PATIENCE};
use crate::sms::Sms;
use crate::stage::{B, Stage};
use crate::want::Want;

/// How long an incomplete frame is watched for a reaction that must not come.
const WAIT: Duration = Duration::from_millis(200);

/// The number of the enquire_link behind a line; no line has it.
const MARK: u32 = 0x5E5E_5E5E;

const NEIGHBOURS_ADDRESS: &str = "880399990001";

pub(super) struct Checks<'a> {
    stage: &'a mut Stage,
    neighbour: Client,
    direct: Client,
    /// Lines checked so far: makes addresses that differ.
    count: usize,
}

impl<'a> Checks<'a> {
    pub(super) fn start(stage: &'a mut Stage) -> Outcome<Self> {
        stage.a().on_request(OnRequest::Accept);
        Ok(Self {
            neighbour: stage.bind(BindAs::transceiver("alpha").range(NEIGHBOURS_ADDRESS))?,
            direct: stage.esme("beta")?,
            stage,
            count: 0,
        })
    }

    /// Sends a line as an ESME.
    pub(super) fn check_from_esme(&mut self, line: &Line) -> Outcome {
        self.count += 1;
        if line.session_state == "OPEN" {
            let mut stranger = self.stage.connect()?;
            line.judge(&reaction(&mut stranger, line)?)?;
        } else if line.session_state == "UNBOUND" {
            self.check_after_unbind(line)?;
        } else {
            self.check_on_bound(line)?;
        }
        self.check_neighbour()
    }

    /// Sends a line as a message centre.
    pub(super) fn check_from_smsc(&mut self, line: &Line) -> Outcome {
        self.count += 1;
        if line.answers_a_pending_request() {
            self.check_answer_from_smsc(line)?;
        } else {
            let sessions = if line.is_for_transmitter() {
                self.stage.b().transmitter_sessions()
            } else {
                self.stage.b().receiving_sessions()
            };
            let Some(session) = sessions.first() else {
                return fail("SMSC B has no session of that kind");
            };
            let reaction = self.reaction_on(*session, line)?;
            line.judge(&reaction)?;
        }
        self.check_session_by_hand()?;
        self.check_neighbour()
    }

    fn check_on_bound(&mut self, line: &Line) -> Outcome {
        let own_address = format!("8803{:04}", self.count);
        let command = match line.session_state.as_str() {
            "BOUND_TX" => CommandId::BIND_TRANSMITTER,
            "BOUND_RX" => CommandId::BIND_RECEIVER,
            _ => CommandId::BIND_TRANSCEIVER,
        };
        let bind = BindAs {
            command,
            ..BindAs::transceiver("alpha")
                .version(line.version())
                .range(&own_address)
        };
        let mut probe = self.stage.bind(bind)?;
        if line.answers_a_pending_request() {
            self.check_answer_from_esme(line, &mut probe, &own_address)?;
        } else {
            line.judge(&reaction(&mut probe, line)?)?;
        }
        if line.must_survive() {
            if command != CommandId::BIND_RECEIVER {
                let number = probe.submit(&own_address, "447700900001", "survived")?;
                probe.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
            }
            if command != CommandId::BIND_TRANSMITTER {
                self.deliver_to(&mut probe, &own_address)?;
            }
            probe.unbind()?;
        }
        Ok(())
    }

    /// An unbind waits for the answers of its session's requests; what comes meanwhile comes after the unbind.
    fn check_after_unbind(&mut self, line: &Line) -> Outcome {
        let mut esme = self.stage.esme("beta")?;
        let pending = esme.submit("88040001", "447700900001", "pending")?;
        let mut arrival = self.arrival_at_b()?;
        let unbind = esme.next_number();
        let mut octets = header_only(CommandId::UNBIND, Status::ESME_ROK, unbind);
        octets.extend(line.octets());
        esme.send(&octets)?;
        let replies = vec![esme.next()?];
        line.judge(&Reaction {
            replies,
            is_closed: false,
        })?;
        arrival.accept("pending");
        esme.expect(Want::a(CommandId::SUBMIT_SM_RESP).numbered(pending))?;
        esme.expect(Want::a(CommandId::UNBIND_RESP).numbered(unbind))?;
        esme.expect_closed()
    }

    /// The line answers a deliver_sm, whose SMSC must get one answer.
    fn check_answer_from_esme(&mut self, line: &Line, probe: &mut Client, own_address: &str) -> Outcome {
        let sms = Sms::deliver("447700900001", own_address, "answer me");
        let number = self.stage.a().deliver(self.count, &sms)?;
        let delivery = probe.expect(Want::a(CommandId::DELIVER_SM))?;
        probe.send(&with_number(line, delivery.sequence_number()))?;
        let answer = self.stage.a().response_to(number)?;
        let status = line.header().command_status;
        require_of!(
            &answer,
            Want::a(CommandId::DELIVER_SM_RESP).with(status).is(&answer),
            "deliver_sm_resp {status} was due; {answer:?} came"
        );
        probe.is_quiet()
    }

    /// The line answers a request, whose ESME must get one answer; the true answer follows, and is too much where the
    /// line was taken for one.
    fn check_answer_from_smsc(&mut self, line: &Line) -> Outcome {
        let own_number = self.direct.next_number();
        if line.header().command_id == CommandId::SUBMIT_MULTI_RESP {
            self.direct.send(&submit_multi(
                own_number,
                "88040001",
                &["447700900001"],
                "to many",
            ))?;
        } else {
            let sms = Sms::submit("88040001", "447700900001", "answer me");
            self.direct.send(&sms.octets(own_number))?;
        }
        let mut arrival = self.arrival_at_b()?;
        arrival.answer(&with_number(line, arrival.pdu.sequence_number()));
        let enquiry = header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, MARK);
        arrival.answer(&enquiry);
        self.stage.b().response_to(MARK)?;
        let others = self.stage.b().other_responses();
        require!(others.is_empty(), "an answer was answered with {others:?}");
        arrival.accept("late");

        let answer = self.direct.next()?;
        require_of!(
            &answer,
            Want::a(arrival.pdu.command().response())
                .numbered(own_number)
                .is(&answer),
            "the answer to request {own_number:#x} was due; {answer:?} came"
        );
        if line.header().command_id == CommandId::GENERIC_NACK {
            let status = line.header().command_status;
            require_of!(
                &answer,
                answer.status() == status,
                "{status} was due; {answer:?} came"
            );
        }
        self.direct.is_quiet()
    }

    fn check_session_by_hand(&mut self) -> Outcome {
        let number = self.direct.submit("88040001", "447700900001", "by hand")?;
        self.arrival_at_b()?.accept("by hand");
        self.direct
            .expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
        let sms = Sms::deliver("447700900001", NEIGHBOURS_ADDRESS, "by hand");
        let number = self.stage.b().deliver(0, &sms)?;
        sms.is_relayed_as(&self.neighbour.take_delivery()?)?;
        let answer = self.stage.b().response_to(number)?;
        require_of!(
            &answer,
            answer.status().is_ok(),
            "ESME_ROK was due; {answer:?} came"
        );
        Ok(())
    }

    fn check_neighbour(&mut self) -> Outcome {
        let number = self
            .neighbour
            .submit(NEIGHBOURS_ADDRESS, "447700900001", "neighbour")?;
        self.neighbour
            .expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
        let sms = Sms::deliver("447700900001", NEIGHBOURS_ADDRESS, "neighbour");
        let number = self.stage.a().deliver(self.count, &sms)?;
        sms.is_relayed_as(&self.neighbour.take_delivery()?)?;
        let answer = self.stage.a().response_to(number)?;
        require_of!(
            &answer,
            answer.status().is_ok(),
            "ESME_ROK was due; {answer:?} came"
        );
        Ok(())
    }

    fn deliver_to(&mut self, probe: &mut Client, own_address: &str) -> Outcome {
        let sms = Sms::deliver("447700900001", own_address, "survived");
        let number = self.stage.a().deliver(self.count, &sms)?;
        sms.is_relayed_as(&probe.take_delivery()?)?;
        let answer = self.stage.a().response_to(number)?;
        require_of!(
            &answer,
            answer.status().is_ok(),
            "ESME_ROK was due; {answer:?} came"
        );
        Ok(())
    }

    /// The next request at B; those at A are answered already.
    fn arrival_at_b(&self) -> Outcome<Arrival> {
        loop {
            let arrival = self.stage.request()?;
            if arrival.centre == B {
                return Ok(arrival);
            }
        }
    }

    /// The same as [`reaction`], on a session of SMSC B.
    fn reaction_on(&mut self, session: u32, line: &Line) -> Outcome<Reaction> {
        let mut octets = line.octets();
        octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, MARK));
        let centre = self.stage.b();
        centre.send_on(session, &octets)?;
        let deadline = Instant::now() + PATIENCE;
        let mut progress = Progress::of(line);
        while !progress.is_complete() {
            if let Some(pdu) = centre.next_response(session, Duration::from_millis(20)) {
                progress.take(pdu);
            } else if !centre.sessions().contains(&session) {
                return Ok(progress.reaction(true));
            }
            require!(Instant::now() < deadline, "only {:?} came", progress.replies);
        }
        Ok(progress.reaction(false))
    }
}

/// What came so far in reaction to a line.
struct Progress<'a> {
    line: &'a Line,
    replies: Vec<Pdu>,
    is_marked: bool,
}

impl<'a> Progress<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            line,
            replies: Vec::new(),
            is_marked: line.must_close(),
        }
    }

    fn take(&mut self, pdu: Pdu) {
        if pdu.sequence_number() == MARK {
            self.is_marked = true;
        } else {
            self.replies.push(pdu);
        }
    }

    fn is_complete(&self) -> bool {
        let number = self.line.header().sequence_number;
        let is_answered = self.replies.iter().any(|reply| reply.sequence_number() == number);
        !self.line.must_close() && self.is_marked && (is_answered || !self.line.must_be_answered())
    }

    fn reaction(self, is_closed: bool) -> Reaction {
        Reaction {
            replies: self.replies,
            is_closed,
        }
    }
}

/// Sends a line and an enquire_link behind it; gathers what comes back until that is answered and so is the line, or until
/// the connection ends.
fn reaction(client: &mut Client, line: &Line) -> Outcome<Reaction> {
    let mut octets = line.octets();
    if line.must_wait() {
        return reaction_to_incomplete(client, &octets);
    }
    if !line.must_close() {
        octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, MARK));
    }
    client.send(&octets)?;
    let mut progress = Progress::of(line);
    while !progress.is_complete() {
        match client.peer().receive_within(PATIENCE) {
            Received::Pdu(pdu) => progress.take(pdu),
            Received::Closed => return Ok(progress.reaction(true)),
            Received::Nothing => return fail(format!("only {:?} came", progress.replies)),
        }
    }
    Ok(progress.reaction(false))
}

/// Nothing may come until the stream ends, and then the connection does.
fn reaction_to_incomplete(client: &mut Client, octets: &[u8]) -> Outcome<Reaction> {
    client.send(octets)?;
    let early = client.peer().receive_within(WAIT);
    require!(early == Received::Nothing, "nothing was due yet; {early:?} came");
    client.peer().finish_writing();
    Ok(Reaction {
        replies: client.until_closed()?,
        is_closed: true,
    })
}

fn with_number(line: &Line, sequence_number: u32) -> Vec<u8> {
    let mut octets = line.octets();
    patch_sequence_number(&mut octets, sequence_number);
    octets
}
