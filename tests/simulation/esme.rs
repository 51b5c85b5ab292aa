//! A simulated ESME: binds, submits, asks, answers, leaves, comes back.

use crate::event::{Event, Input, LinkId};
use crate::ledger::{APPLICATION_ERROR, ESME_ERRORS, KnownId};
use crate::link::{End, Peer};
use crate::pdu::{self, Pdu, command};
use crate::ranges::DESTINATIONS;
use crate::rules::Effect;
use crate::scenario::{EsmePlan, PASSWORD};
use crate::versions::{CONGESTED, V33, is_newer_than_v33};
use crate::world::{Phase, World};
use std::time::Duration;

pub(crate) struct Esme {
    pub(crate) plan: EsmePlan,
    pub(crate) link: Option<LinkId>,
    /// Ids that it was given, each with the server that must know it.
    pub(crate) known_ids: Vec<KnownId>,
}

impl Esme {
    pub(crate) const fn new(plan: EsmePlan) -> Self {
        Self {
            plan,
            link: None,
            known_ids: Vec::new(),
        }
    }
}

pub(crate) const fn transmits(kind: u32) -> bool {
    kind != command::BIND_RECEIVER
}

pub(crate) const fn receives(kind: u32) -> bool {
    kind != command::BIND_TRANSMITTER
}

impl World {
    pub(crate) fn esme_acts(&mut self, index: usize) {
        // Once the faults are over there is nothing more to learn from many requests.
        let longest_ms = match self.phase {
            Phase::Chaos => self.esmes[index].plan.pause_ms,
            _ => 1_000,
        };
        let pause = self.random.milliseconds(1, longest_ms);
        if self.phase < Phase::Draining {
            self.after(pause, Event::EsmeActs(index));
        }
        let Some(id) = self.esmes[index].link else {
            if self.phase <= Phase::Healing {
                self.esme_connects(index);
            }
            return;
        };
        let session = &self.links[id].session;
        let Some((kind, _)) = session.bound.filter(|_| !session.is_leaving) else {
            return;
        };
        let faults = self.scenario.faults.clone();
        if self.phase == Phase::Leaving || self.random.chance(faults.client_unbind) {
            self.unbind(id);
        } else if self.random.chance(faults.client_vanishes) {
            self.exercised.vanished_clients += 1;
            self.peer_closes(id);
        } else if self.random.chance(faults.half_close) {
            self.peer_half_closes(id);
        } else if self.random.chance(faults.slow_reader) {
            let time = self.random.milliseconds(50, 4_000);
            self.make_deaf(id, time);
        } else if self.random.chance(50) {
            let sequence = self.random.next() as u32;
            self.peer_writes(id, &Pdu::new(command::ENQUIRE_LINK, 0, sequence));
        } else if transmits(kind) && self.phase <= Phase::Healing {
            self.esme_submits(index, id);
        }
    }

    fn esme_connects(&mut self, index: usize) {
        let serving: Vec<usize> = (0..self.hosts.len())
            .filter(|core| self.hosts[*core].serves())
            .collect();
        if serving.is_empty() {
            return;
        }
        let core = *self.random.pick(&serving);
        let id = self.new_link(core, Peer::Esme(index));
        self.links[id].peer_end = End::Open;
        self.esmes[index].link = Some(id);
        let delay = self.network_delay();
        self.input_after(delay, core, Input::Accepted(id));
        let plan = self.esmes[index].plan.clone();
        let is_wrong = self.random.chance(self.scenario.faults.wrong_password);
        self.exercised.wrong_passwords += u64::from(is_wrong);
        let sequence = self.random.next() as u32;
        let session = &mut self.links[id].session;
        session.has_wrong_password = is_wrong;
        session.bind_sequence = Some(sequence);
        let password = if is_wrong { "wrong" } else { PASSWORD };
        let bind = pdu::bind(
            plan.kind,
            sequence,
            &plan.system_id,
            password,
            plan.version,
            plan.claim,
        );
        self.peer_writes(id, &bind);
    }

    /// It has just been unbound, and has not answered yet.
    pub(crate) fn esme_has_last_words(&mut self, index: usize, id: LinkId) {
        let bound = self.links[id].session.bound;
        if bound.is_some_and(|(kind, _)| transmits(kind)) && self.phase <= Phase::Healing {
            self.esme_submits(index, id);
        }
    }

    fn esme_submits(&mut self, index: usize, id: LinkId) {
        let window = self.esmes[index].plan.window as usize;
        let is_over = self.random.chance(self.scenario.faults.over_window);
        let room = if is_over {
            window + 3
        } else {
            window.saturating_sub(self.links[id].session.outstanding.len())
        };
        for _ in 0..self.random.between(0, room.min(8)) {
            if self.random.chance(self.scenario.faults.operation) {
                self.esme_operates(index, id);
            } else if self.scenario.has_rare_commands && self.random.chance(200) {
                self.esme_submits_rarely(index, id);
            } else if !self.random.chance(self.scenario.faults.concatenation)
                || !self.esme_submits_segment(index, id)
            {
                self.esme_submits_one(index, id, false);
            }
        }
    }

    pub(crate) fn esme_submits_one(&mut self, index: usize, id: LinkId, must_succeed: bool) {
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let is_data = self.random.chance(100);
        let kind = if is_data {
            command::DATA_SM
        } else {
            command::SUBMIT_SM
        };
        let destination = *self.random.pick(&DESTINATIONS);
        let octets = if self.esmes[index].plan.is_heavy && self.phase == Phase::Chaos {
            self.random.between(4_000, 9_000)
        } else {
            self.payload_octets()
        };
        let number = self.ledger.requests.len();
        let wants_receipt = !self.scenario.is_forward && self.random.chance(500);
        let pdu = pdu::message(kind, sequence, number, destination, octets, wants_receipt);
        let must_succeed = must_succeed && self.passes_unhindered(&pdu);
        self.ledger
            .request_sent(index, pdu.clone(), self.now, None, must_succeed);
        self.ledger.requests[number].wants_receipt = wants_receipt;
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
    }

    /// No rule stands in a request's way, and every server can carry it.
    fn passes_unhindered(&self, pdu: &Pdu) -> bool {
        let mut servers = self.scenario.settings.servers.iter();
        let is_carried = !is_newer_than_v33(pdu) || servers.all(|server| server.interface_version != V33);
        let effect = self.scenario.rules.effect(pdu.destination());
        is_carried && matches!(effect, None | Some(Effect::Renamed(_)))
    }

    /// query_sm, cancel_sm or replace_sm for a message that it knows, or that nobody does.
    fn esme_operates(&mut self, index: usize, id: LinkId) {
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let kind = *self
            .random
            .pick(&[command::QUERY_SM, command::CANCEL_SM, command::REPLACE_SM]);
        let (about, is_foreign) = self.message_to_touch(index);
        let id_text = about.as_ref().map_or(&b"nobody#mx-ZZ"[..], |known| &known.given);
        let number = self.ledger.requests.len();
        let pdu = pdu::operation(kind, sequence, number, id_text);
        self.ledger
            .request_sent(index, pdu.clone(), self.now, about, false);
        self.ledger.requests[number].is_foreign = is_foreign;
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
    }

    /// A message that an operation may be about: one of its own, nobody's, or another account's, which the answer says.
    fn message_to_touch(&mut self, index: usize) -> (Option<KnownId>, bool) {
        // With `auth = "forward"` every identity is guarded by the server itself.
        let is_foreign = !self.scenario.is_forward && self.random.chance(200);
        if self.random.chance(100) {
            return (None, false);
        }
        let known: Vec<&KnownId> = if is_foreign {
            let system_id = &self.esmes[index].plan.system_id;
            let others = self.esmes.iter().filter(|esme| esme.plan.system_id != *system_id);
            others.flat_map(|esme| &esme.known_ids).collect()
        } else if self.random.chance(300) {
            // At once, by whichever session of the account comes first: what belongs to the id may still be on its way.
            let system_id = &self.esmes[index].plan.system_id;
            let of_account = self.esmes.iter().filter(|esme| esme.plan.system_id == *system_id);
            of_account.filter_map(|esme| esme.known_ids.last()).collect()
        } else {
            self.esmes[index].known_ids.iter().collect()
        };
        if known.is_empty() {
            return (None, false);
        }
        (Some((*self.random.pick(&known)).clone()), is_foreign)
    }

    pub(crate) fn esme_reads(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        match pdu.command {
            command::ENQUIRE_LINK | command::UNBIND => self.reply_to_common(id, pdu),
            command::DELIVER_SM | command::DATA_SM => self.esme_gets_message(index, id, pdu),
            command::ALERT_NOTIFICATION => self.esme_gets_alert(index, id, pdu),
            response if response == command::UNBIND | command::RESPONSE => self.unbind_answered(id, pdu),
            response if response == command::ENQUIRE_LINK | command::RESPONSE => {
                self.enquiry_answered(id, pdu);
            }
            response if response == self.esmes[index].plan.kind | command::RESPONSE => {
                self.esme_bind_answered(index, id, pdu);
            }
            _ => {
                assert!(
                    !pdu.body.ends_with(&CONGESTED),
                    "link {id}: a server's congestion_state came through"
                );
                let number = self.links[id].session.outstanding.remove(&pdu.sequence);
                let number =
                    number.unwrap_or_else(|| panic!("link {id}: an answer to nothing: {}", pdu.describe()));
                self.check_heard(Peer::Esme(index), id, number, pdu.status);
                self.check_hold_time(number, id, Some(pdu.status));
                self.answer_read(id, pdu);
                self.note_core_trouble();
                self.note_refusal(number, pdu.status);
                let segment = self.ledger.requests[number].segment;
                self.segment_acknowledged(segment, pdu.status);
                if let Some(known) = self.ledger.request_answered(number, pdu, self.now) {
                    self.esmes[index].known_ids.push(known);
                }
            }
        }
    }

    fn esme_bind_answered(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        let plan = &self.esmes[index].plan;
        let session = &mut self.links[id].session;
        assert_eq!(
            session.bind_sequence.take(),
            Some(pdu.sequence),
            "link {id}: a second bind_resp, or for no bind"
        );
        if pdu.status == 0 {
            assert!(
                !session.has_wrong_password,
                "link {id}: bound with a wrong password"
            );
            assert!(
                !plan.overreaches || self.scenario.is_forward || plan.kind == command::BIND_TRANSMITTER,
                "link {id}: bound outside its account's ranges"
            );
            session.bound = Some((plan.kind, self.now));
            self.check_max_binds(index, id);
        } else {
            self.note_refused_bind(index, pdu.status);
            let wait = self.random.milliseconds(0, 300);
            self.after(wait, Event::PeerCloses(id));
        }
    }

    fn esme_gets_message(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        let (kind, since) = self.links[id].session.bound.expect("checked for every request");
        assert!(receives(kind), "link {id}: a message to a transmitter");
        let now = self.now;
        let is_early = now <= since + self.bind_resp_company();
        self.links[id].session.began_early.get_or_insert(is_early);
        self.note_core_trouble();
        if !self.is_receipt_of(index, pdu) {
            self.check_route(index, id, pdu);
        }
        let number = pdu.message().expect("every message is numbered");
        if self.ledger.messages[number].reached.is_none() {
            self.check_queue_order(number, id);
        }
        self.check_message_of_this_life(number, id);
        self.ledger.message_reached(index, id, pdu);
        self.check_no_stray_segment(id, self.ledger.messages[number].sent_at);
        let segment = self.ledger.messages[number].segment;
        if let Some(place) = segment {
            self.segment_reached(place, id, pdu);
        }
        let faults = self.scenario.faults.clone();
        if faults.stray_answer > 0 && self.random.chance(faults.stray_answer) {
            self.peer_strays(id, pdu, b"");
        }
        if self.random.chance(faults.lost_answer) {
            self.exercised.lost_answers += 1;
            self.ledger.messages[number].was_kept_waiting = true;
            return;
        }
        let status = if self.random.chance(faults.error_answer) {
            *self.random.pick(&ESME_ERRORS)
        } else {
            0
        };
        let answer = if self.random.chance(faults.nack_answer) {
            Pdu::new(command::GENERIC_NACK, APPLICATION_ERROR, pdu.sequence)
        } else {
            pdu::response(pdu.command, status, pdu.sequence, b"")
        };
        self.note_answer(answer.command, answer.status);
        self.segment_answered(segment, answer.status);
        let wait = self.answer_delay();
        let message = &mut self.ledger.messages[number];
        message.answers.push(answer.status);
        message.was_kept_waiting |= wait * 2 > self.scenario.response_timeout;
        if self.random.chance(faults.repeated_answer) {
            self.exercised.repeated_answers += 1;
            self.reply_after(wait + Duration::from_millis(1), id, answer.clone());
        }
        self.reply_after(wait, id, answer);
    }

    pub(crate) fn esme_lost(&mut self, index: usize, id: LinkId) {
        if self.esmes[index].link == Some(id) {
            self.esmes[index].link = None;
        }
    }

    /// Any 32-bit value may come from a peer; the edges most of all.
    pub(crate) fn any_sequence(&mut self) -> u32 {
        let random = self.random.next() as u32;
        *self
            .random
            .pick(&[0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX, random, random, random])
    }

    pub(crate) fn payload_octets(&mut self) -> usize {
        if self.random.chance(self.scenario.faults.large_payload) {
            self.random.between(255, 9_000)
        } else {
            self.random.between(0, 160)
        }
    }

    /// How long a peer thinks about an answer; with a fault, longer than anyone waits.
    pub(crate) fn answer_delay(&mut self) -> Duration {
        if self.random.chance(self.scenario.faults.late_answer) {
            let timeout = self.scenario.response_timeout;
            timeout + self.random.milliseconds(0, 2_500) - Duration::from_millis(500)
        } else {
            self.random.microseconds(0, 20_000)
        }
    }
}
