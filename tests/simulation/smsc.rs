//! A simulated SMSC: accepts binds, answers submits well or badly, sends messages, goes down and comes back.

use crate::event::{Event, LinkId};
use crate::health::ESME_RX_T_APPN;
use crate::ledger::{ReceiptOf, SMSC_ERRORS, SMSC_NACK, ServerAnswer};
use crate::link::Peer;
use crate::pdu::{self, Pdu, command};
use crate::ranges::DESTINATIONS;
use crate::rare;
use crate::scenario::PASSWORD;
use crate::versions::{CONGESTED, SHORT_MESSAGE_OCTETS_MAX, V33, V50};
use crate::world::{Phase, World};
use smppmux_engine::core::time::Moment;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Smsc {
    /// It refuses connections until then.
    pub(crate) down_until: Moment,
    ids_given: u32,
    /// Messages that it took and has yet to report on: the request and its id.
    unreported: Vec<(usize, Vec<u8>)>,
}

/// Statuses of a refused bind; the last two slow the engine's retries.
const BIND_REFUSALS: [u32; 5] = [0x0D, 0x05, 0x08, 0x0F, 0x0E];
const ESME_RINVPASWD: u32 = 0x0E;

impl World {
    pub(crate) fn smsc_acts(&mut self, index: usize) {
        let longest_ms = if self.phase == Phase::Chaos { 120 } else { 1_000 };
        let pause = self.random.milliseconds(5, longest_ms);
        if self.phase <= Phase::Healing {
            self.after(pause, Event::SmscActs(index));
        } else {
            return;
        }
        let faults = self.scenario.faults.clone();
        if self.random.chance(faults.server_restart) {
            return self.smsc_restarts(index);
        }
        if faults.server_call > 0 && self.random.chance(faults.server_call) {
            return self.smsc_calls(index);
        }
        let bound = self.bound_sessions(index);
        if bound.is_empty() {
            return;
        }
        let (id, kind) = *self.random.pick(&bound);
        if self.random.chance(faults.server_unbind) {
            self.unbind(id);
        } else if faults.server_stuck > 0 && self.random.chance(faults.server_stuck) {
            self.smsc_gets_stuck(id);
        } else if self.random.chance(faults.slow_reader) {
            let time = self.random.milliseconds(50, 3_000);
            self.make_deaf(id, time);
        } else if self.random.chance(50) {
            let sequence = self.any_sequence();
            self.peer_writes(id, &Pdu::new(command::ENQUIRE_LINK, 0, sequence));
        } else if crate::esme::receives(kind) {
            if self.random.chance(500) {
                self.smsc_reports(index, id);
            }
            if self.scenario.has_rare_commands && self.version_of(index) != V33 {
                self.smsc_alerts(id);
            }
            for _ in 0..self.random.between(0, 3) {
                if self.random.chance(faults.concatenation) && self.smsc_sends_segment(id) {
                    continue;
                }
                let destination = *self.random.pick(&DESTINATIONS);
                self.smsc_sends(id, destination, false);
            }
        }
    }

    /// The bound sessions of a server that are not leaving, with their kinds.
    pub(crate) fn bound_sessions(&self, index: usize) -> Vec<(LinkId, u32)> {
        let sessions = self.links.iter().enumerate().filter_map(|(id, link)| {
            let (kind, _) = link.session.bound?;
            let goes_on = !link.session.is_leaving && !link.session.has_lost_step;
            let is_usable = link.peer == Peer::Smsc(index) && link.is_open() && goes_on;
            is_usable.then_some((id, kind))
        });
        sessions.collect()
    }

    pub(crate) fn smsc_sends(&mut self, id: LinkId, destination: &'static str, must_succeed: bool) {
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let is_data = self.random.chance(100);
        let kind = if is_data {
            command::DATA_SM
        } else {
            command::DELIVER_SM
        };
        let octets = self.payload_octets();
        let (kind, octets) = match self.links[id].peer {
            Peer::Smsc(index) if self.version_of(index) == V33 => {
                (command::DELIVER_SM, octets.min(SHORT_MESSAGE_OCTETS_MAX))
            }
            _ => (kind, octets),
        };
        let must_succeed = must_succeed && !self.scenario.rules.refuse(destination);
        let number = self.ledger.messages.len();
        let pdu = pdu::message(kind, sequence, number, destination, octets, false);
        self.ledger
            .message_sent(id, pdu.clone(), destination, self.now, must_succeed);
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
    }

    fn version_of(&self, index: usize) -> u8 {
        self.scenario.settings.servers[index].interface_version
    }

    /// Sends the receipt of one of its messages; now and then it will send it again.
    fn smsc_reports(&mut self, index: usize, id: LinkId) {
        let unreported = self.smscs[index].unreported.len();
        if unreported == 0 {
            return;
        }
        let place = self.random.below(unreported);
        let (request, message_id) = if self.random.chance(800) {
            self.smscs[index].unreported.swap_remove(place)
        } else {
            self.smscs[index].unreported[place].clone()
        };
        self.smsc_sends_receipt(index, id, request, &message_id);
    }

    fn smsc_sends_receipt(&mut self, index: usize, id: LinkId, request: usize, message_id: &[u8]) {
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let number = self.ledger.messages.len();
        let destination = *self.random.pick(&DESTINATIONS);
        let pdu = pdu::receipt(sequence, number, destination, message_id);
        self.ledger
            .message_sent(id, pdu.clone(), destination, self.now, false);
        self.ledger.messages[number].receipt_of = Some(ReceiptOf {
            request,
            server: index,
            id: message_id.to_vec(),
        });
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
    }

    pub(crate) fn smsc_reads(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        match pdu.command {
            command::ENQUIRE_LINK | command::UNBIND => self.reply_to_common(id, pdu),
            _ if self.links[id].session.is_told_of_lost_step(pdu) => {}
            _ if pdu.is_bind() => self.smsc_gets_bind(index, id, pdu),
            _ if !pdu.is_response() => self.smsc_gets_request(index, id, pdu),
            response if response == command::UNBIND | command::RESPONSE => self.unbind_answered(id, pdu),
            response if response == command::ENQUIRE_LINK | command::RESPONSE => {
                self.enquiry_answered(id, pdu);
            }
            _ => {
                let number = self.links[id].session.outstanding.remove(&pdu.sequence);
                let number =
                    number.unwrap_or_else(|| panic!("link {id}: an answer to nothing: {}", pdu.describe()));
                self.check_heard(Peer::Smsc(index), id, number, pdu.status);
                self.answer_read(id, pdu);
                let segment = self.ledger.messages[number].segment;
                self.segment_acknowledged(segment, pdu.status);
                self.ledger.message_answered(number, pdu);
            }
        }
    }

    fn smsc_gets_bind(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        self.check_bind_of_call(id, pdu);
        self.check_binds(index, id, pdu.command);
        let session = &mut self.links[id].session;
        assert!(session.bound.is_none(), "link {id}: a second bind");
        session.system_id = pdu.string(0).to_vec();
        let is_ours = session.system_id == b"mux";
        assert_eq!(
            is_ours, !self.scenario.is_forward,
            "link {id}: a bind as somebody else"
        );
        let status = if pdu.string(1) != PASSWORD.as_bytes() {
            assert!(!is_ours, "link {id}: our own password is wrong");
            ESME_RINVPASWD
        } else if self.random.chance(self.scenario.faults.refused_bind) {
            *self.random.pick(&BIND_REFUSALS)
        } else {
            0
        };
        let mut answer = Pdu::new(pdu.command | command::RESPONSE, status, pdu.sequence);
        if status == 0 {
            answer = answer.text(format!("smsc{index}").as_bytes());
            let version = self.version_of(index);
            if self.random.chance(500) && version != V33 {
                answer = answer.octets(&[0x02, 0x10, 0, 1, version]);
            }
        } else if self.random.chance(300) {
            answer = answer.text(b"");
        }
        self.exercised.refused_binds += u64::from(status != 0);
        let wait = self.random.microseconds(0, 30_000);
        self.reply_after(wait, id, answer);
        if status != 0 {
            self.after(wait + Duration::from_millis(500), Event::PeerCloses(id));
        }
    }

    fn smsc_gets_request(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        if self.scenario.is_forward {
            let number = pdu.message().expect("every request is numbered");
            let esme = self.ledger.requests[number].esme;
            assert_eq!(
                self.links[id].session.system_id,
                self.esmes[esme].plan.system_id.as_bytes(),
                "link {id}: the traffic of another identity"
            );
        }
        self.note_core_trouble();
        self.check_hold_time(pdu.message().expect("every request is numbered"), id, None);
        let number = self.ledger.request_reached(index, id, pdu);
        self.check_arrivals(number);
        self.note_rare(pdu);
        self.note_passed(index, number);
        self.check_client_window(number);
        self.check_request_of_this_life(number, id);
        self.check_not_left_out(index, number);
        self.check_no_stray_segment(id, self.ledger.requests[number].sent_at);
        let segment = self.ledger.requests[number].segment;
        if let Some(place) = segment {
            self.segment_reached(place, id, pdu);
        }
        let faults = self.scenario.faults.clone();
        if self.random.chance(faults.stray_answer) {
            self.peer_strays(id, pdu, b"stray");
        }
        // Ill ones are of two kinds: those that say so, and those that say nothing.
        if self.random.chance(faults.lost_answer) || (index.is_multiple_of(2) && self.is_ill(index)) {
            self.exercised.lost_answers += 1;
            return;
        }
        let answer = self.smsc_answer(index, number, pdu);
        self.segment_answered(segment, answer.status);
        let wait = self.answer_delay();
        if self.random.chance(faults.repeated_answer) {
            self.exercised.repeated_answers += 1;
            self.reply_after(wait + Duration::from_millis(1), id, answer.clone());
        }
        let is_receiving = self.links[id]
            .session
            .bound
            .is_some_and(|(kind, _)| crate::esme::receives(kind));
        if answer.status == 0 && self.ledger.requests[number].wants_receipt {
            let message_id = answer.string(0).to_vec();
            // The receipt before the answer; nothing is asked behind an unbind.
            if is_receiving && self.random.chance(150) && !self.links[id].session.is_leaving {
                self.smsc_sends_receipt(index, id, number, &message_id);
            }
            self.smscs[index].unreported.push((number, message_id));
        }
        self.reply_after(wait, id, answer);
    }

    fn smsc_answer(&mut self, index: usize, number: usize, pdu: &Pdu) -> Pdu {
        let faults = &self.scenario.faults;
        let (error, nack) = (faults.error_answer, faults.nack_answer);
        let mut behind = Vec::new();
        let (answer, id) = if self.is_ill(index) {
            (
                Pdu::new(pdu.command | command::RESPONSE, ESME_RX_T_APPN, pdu.sequence),
                Vec::new(),
            )
        } else if self.random.chance(nack) {
            (
                Pdu::new(command::GENERIC_NACK, SMSC_NACK, pdu.sequence),
                Vec::new(),
            )
        } else if self.random.chance(error) {
            let status = *self.random.pick(&SMSC_ERRORS);
            (
                Pdu::new(pdu.command | command::RESPONSE, status, pdu.sequence),
                Vec::new(),
            )
        } else {
            let id = match pdu.command {
                command::QUERY_SM => pdu.string(0).to_vec(),
                _ => {
                    self.smscs[index].ids_given += 1;
                    // All servers give the same ids.
                    format!("{:X}", self.smscs[index].ids_given).into_bytes()
                }
            };
            behind = rare::unsuccessful(pdu);
            (
                pdu::response(pdu.command, 0, pdu.sequence, &id).octets(&behind),
                id,
            )
        };
        self.note_answer(answer.command, answer.status);
        self.ledger.requests[number].answers.push(ServerAnswer {
            server: index,
            status: answer.status,
            id,
            behind,
        });
        let is_congested = self.version_of(index) == V50
            && answer.status == 0
            && self.phase == Phase::Chaos
            && self.random.chance(error);
        if is_congested {
            answer.octets(&CONGESTED)
        } else {
            answer
        }
    }

    /// All its connections break, and for a while it accepts none.
    fn smsc_restarts(&mut self, index: usize) {
        self.exercised.server_restarts += 1;
        let down = self.random.milliseconds(0, 1_500);
        self.trace
            .line(self.now, || format!("smsc {index} restarts, {down:?}"));
        self.smscs[index].down_until = self.now + down;
        for id in 0..self.links.len() {
            if self.links[id].peer == Peer::Smsc(index) && self.links[id].is_open() {
                self.reset(id);
            }
        }
    }

    pub(crate) fn smsc_lost(&mut self, index: usize, id: LinkId) {
        self.trace
            .line(self.now, || format!("smsc {index} has lost link {id}"));
    }
}
