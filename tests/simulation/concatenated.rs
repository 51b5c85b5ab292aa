//! Concatenated messages: peers send their segments in any order, over any session that may carry them, under references
//! that collide; the model knows which segments belong together and what they were called when they arrived.
//!
//! Three promises: all segments of a message reach one session, as long as it is there; those of one sender in the order in
//! which it sent them; and no two messages that are not over share a reference between the same addresses, whoever sent
//! them.

use crate::event::LinkId;
use crate::link::{Link, Peer};
use crate::pdu::{self, Mark, command};
use crate::ranges::DESTINATIONS;
use crate::restart::Life;
use crate::scenario::CONCAT_TIMEOUT;
use crate::world::World;
use smppmux_engine::core::time::Moment;
use std::collections::BTreeSet;

/// Few of everything, so that messages collide.
const SOURCES: [&str; 2] = ["s0", "s1"];
const DESTINATIONS_USED: usize = 3;
const REFERENCES: usize = 4;
const SEGMENTS_MAX: usize = 5;
const TEXT_OCTETS: usize = 30;

/// Whose message it is: the engine may tell messages of different ones apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Account(String),
    Server(usize),
}

/// One concatenated message.
#[derive(Debug)]
pub(crate) struct Group {
    sender: Sender,
    source: &'static str,
    pub(crate) destination: &'static str,
    mark: Mark,
    total: u8,
    /// Numbers of the segments that are still to be sent, in this order.
    to_send: Vec<u8>,
    pub(crate) began_at: Moment,
    /// Where its last segment arrived.
    reached: Option<LinkId>,
    /// Which segments arrived, and on which session.
    arrivals: Vec<(Place, LinkId)>,
    /// Turns of those that were written to a session, though perhaps in vain.
    written: BTreeSet<usize>,
    /// Its reference as it arrived last.
    arrived_as: Option<u16>,
    /// Segments that were refused and sent again: they keep their old place in the order.
    sent_again: BTreeSet<u8>,
    /// Segments that found no room on their way to another core.
    refused_between_cores: BTreeSet<usize>,
    /// Segments that came back from a session that was lost, and went into the queue behind later ones.
    came_back: BTreeSet<usize>,
    /// Segments that the far peer has answered ESME_ROK.
    accepted: BTreeSet<u8>,
    /// Segments whose ESME_ROK has reached the sender.
    acknowledged: BTreeSet<u8>,
    /// Its segments may pass for the missing ones of an earlier message, some of which a process had that was killed.
    is_mixed_up: bool,
}

/// Which segment a request or message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) group: usize,
    pub(crate) number: u8,
    /// The session that it was sent on.
    pub(crate) link: LinkId,
    /// Its place among all that was sent.
    turn: usize,
}

impl Group {
    /// It has not come back to its core behind later ones.
    fn keeps_turn(&self, turn: usize) -> bool {
        !self.refused_between_cores.contains(&turn) && !self.came_back.contains(&turn)
    }

    /// Nothing but time tells their segments apart.
    fn looks_like(&self, other: &Self) -> bool {
        self.sender == other.sender
            && (self.source, self.destination) == (other.source, other.destination)
            && (self.mark, self.total) == (other.mark, other.total)
    }

    fn has_aged(&self, now: Moment) -> bool {
        now >= self.began_at + CONCAT_TIMEOUT
    }

    /// The far peers have its reference, and it is not over.
    fn is_in_flight(&self, now: Moment) -> bool {
        self.arrived_as.is_some() && !self.is_complete() && !self.has_aged(now)
    }

    /// The far peers have accepted all of it.
    fn is_complete(&self) -> bool {
        self.accepted.len() >= usize::from(self.total)
    }

    /// Its sender must not use its reference again between the same addresses.
    fn is_used(&self, now: Moment) -> bool {
        self.acknowledged.len() < usize::from(self.total) && !self.has_aged(now)
    }
}

impl Group {
    /// The present process has seen all of it. What was queued before the last one was killed leaves under the reference that its message had
    /// then; what came since is of a message that the present one knows nothing of.
    fn is_whole(&self, life: &Life) -> bool {
        let may_be_torn = matches!(self.sender, Sender::Server(_)) && life.is_of_before(self.began_at);
        !self.is_mixed_up && !may_be_torn
    }

    /// The engines that knew where it goes, and under which reference, are no more.
    pub(crate) fn is_forgotten(&mut self) {
        self.reached = None;
        self.arrived_as = None;
        self.arrivals.clear();
    }
}

impl World {
    /// The next segment of some message of `sender`, and which it is. `None`: all references that it might use are in use.
    pub(crate) fn next_segment(
        &mut self,
        sender: &Sender,
        kind: u32,
        sequence: u32,
        number: usize,
        link: LinkId,
        wants_receipt: bool,
    ) -> Option<(pdu::Pdu, Place)> {
        let is_open = |group: &Group| group.sender == *sender && !group.to_send.is_empty();
        let open: Vec<usize> = (0..self.groups.len())
            .filter(|index| is_open(&self.groups[*index]) && !self.groups[*index].has_aged(self.now))
            .collect();
        let group = if open.is_empty() || self.random.chance(300) {
            self.new_group(sender)?
        } else {
            *self.random.pick(&open)
        };
        let message = &mut self.groups[group];
        let place = Place {
            group,
            number: message.to_send.remove(0),
            link,
            turn: number,
        };
        // By an equal text the engine knows a segment that is sent again, also one that a client refused out of the queue: no two
        // groups may have it in common, however many there are.
        let unit = format!("{group}/{} ", place.number);
        let text: Vec<u8> = unit.bytes().cycle().take(TEXT_OCTETS).collect();
        let pdu = pdu::segment(
            kind,
            sequence,
            number,
            [message.source, message.destination],
            message.mark,
            [message.total, place.number],
            &text,
            wants_receipt,
        );
        Some((pdu, place))
    }

    fn new_group(&mut self, sender: &Sender) -> Option<usize> {
        let total = self.random.between(2, SEGMENTS_MAX) as u8;
        let mut to_send: Vec<u8> = (1..=total).collect();
        if self.random.chance(500) {
            for place in (1..to_send.len()).rev() {
                to_send.swap(place, self.random.below(place + 1));
            }
        }
        let reference = self.random.below(REFERENCES) as u16;
        let source = *self.random.pick(&SOURCES);
        let destination = *self.random.pick(&DESTINATIONS[..DESTINATIONS_USED]);
        let group = Group {
            sender: sender.clone(),
            source,
            destination,
            mark: *self.random.pick(&[
                Mark::Udh8(reference as u8),
                Mark::Udh16(reference),
                Mark::Sar(reference),
            ]),
            total,
            to_send,
            began_at: self.now,
            reached: None,
            arrivals: Vec::new(),
            written: BTreeSet::new(),
            arrived_as: None,
            sent_again: BTreeSet::new(),
            refused_between_cores: BTreeSet::new(),
            came_back: BTreeSet::new(),
            accepted: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            is_mixed_up: false,
        };
        let mut others = self.groups.iter();
        let is_taken = others.any(|other| other.looks_like(&group) && other.is_used(self.now));
        if is_taken {
            return None;
        }
        self.groups.push(group);
        Some(self.groups.len() - 1)
    }

    /// The process that was killed had segments of a message, and the present one has had the others: it waits for those that it has
    /// never seen, and takes the next message under the same reference for them, and what is left of that for the one behind it.
    pub(crate) fn is_mixed_up(&self, index: usize) -> bool {
        let group = &self.groups[index];
        let mut groups = self.groups.iter().enumerate();
        let is_taken_for_the_rest = groups.any(|(other, rival)| {
            let is_torn = self.life.is_of_before(rival.began_at) && !rival.arrivals.is_empty();
            other != index
                && (is_torn || rival.is_mixed_up)
                && rival.looks_like(group)
                && !rival.has_aged(group.began_at)
        });
        group.is_mixed_up || is_taken_for_the_rest
    }

    /// A segment has arrived at a peer, with this reference.
    pub(crate) fn segment_reached(&mut self, place: Place, id: LinkId, pdu: &pdu::Pdu) {
        let reference = pdu.mark().expect("a segment has one").reference();
        let now = self.now;
        // A core that leaves takes what it knew along, and identities keep to their own core.
        let is_promised = self.hosts.iter().all(|host| host.serves()) && !self.scenario.is_forward;
        let index = place.group;
        self.groups[index].is_mixed_up = self.is_mixed_up(index);
        let is_promised = is_promised && self.groups[index].is_whole(&self.life);
        // Where a message is sent again, from the queue or after a loss, its first time counts.
        let comes_again = !self.groups[index].written.insert(place.turn);
        let group = &self.groups[index];
        let is_there = |id: LinkId| {
            let link = &self.links[id];
            // Who reads nothing may not know yet that it was unbound.
            link.is_open()
                && !link.is_broken
                && link.let_go_at.is_none()
                && !link.session.is_leaving
                && !link.session.was_deaf
        };
        // What comes late to a session that is leaving was sent before the others moved.
        if !is_there(id) {
            return;
        }
        if let Some(before) = group.reached.filter(|before| *before != id && is_promised) {
            // What is repeated after all have accepted it is a message of its own.
            // Where octets are on their way there an unbind may be among them: nothing may be sent behind that.
            let is_moved = !is_there(before)
                || self.links[before].has_octets_under_way()
                || group.has_aged(now)
                || group.is_complete();
            if !is_moved {
                let broken = format!(
                    "segment {} of group {index} went to link {id}, others to link {before}, which is still there",
                    place.number
                );
                // An engine that has ended a session still writes what it has for it, and the others have moved by then.
                let link = &mut self.links[id];
                let has_more = link.has_octets_under_way() || !link.session.input.is_empty();
                assert!(has_more, "{broken}");
                link.session.stray_segment.get_or_insert((now, broken));
                return;
            }
        }
        let shared = self.groups.iter().enumerate().find(|(other, rival)| {
            // MT and MO never meet: one is for servers, the other for clients.
            *other != index
                && matches!(rival.sender, Sender::Server(_)) == matches!(group.sender, Sender::Server(_))
                && (rival.source, rival.destination) == (group.source, group.destination)
                && rival.arrived_as == Some(reference)
                && rival.is_in_flight(now)
                && rival.is_whole(&self.life)
        });
        assert!(
            shared.is_none() || !is_promised || group.has_aged(now),
            "group {index} came with reference {reference} of group {:?}, which is in flight",
            shared.map(|(other, _)| other)
        );
        // What a core that stalls did not get to is tried once more from the start.
        let is_ordered = is_promised
            && group.keeps_turn(place.turn)
            && !self.hosts.iter().any(|host| host.has_stalled)
            && (!self.life.had_stalls || self.is_of_this_life(place.link));
        let overtaken = group.arrivals.iter().find(|(other, at)| {
            (other.link, *at) == (place.link, id)
                && other.turn > place.turn
                && !group.sent_again.contains(&place.number)
                && !group.sent_again.contains(&other.number)
        });
        assert!(
            overtaken.is_none() || !is_ordered || comes_again,
            "segment {} of group {index} came behind segment {:?}, which was sent later",
            place.number,
            overtaken.map(|(other, _)| other.number)
        );
        let group = &mut self.groups[index];
        group.arrivals.push((place, id));
        group.reached = Some(id);
        group.arrived_as = Some(reference);
    }

    /// A message or request has arrived that was sent at `sent_at`: its session had not ended then.
    pub(crate) fn check_no_stray_segment(&self, id: LinkId, sent_at: Moment) {
        if let Some((at, broken)) = &self.links[id].session.stray_segment {
            assert!(sent_at <= *at, "{broken}");
        }
    }

    /// A session breaks off or ends: of what was written to it and not read some may be gone. The engine has sent it all the same.
    pub(crate) fn segments_cut_off(&mut self, id: LinkId) {
        let link = &self.links[id];
        let mut octets: Vec<u8> = link.session.input.clone();
        octets.extend(&link.to_peer.octets);
        while let Some(pdu) = pdu::Pdu::take_first(&mut octets) {
            let Some(number) = pdu.message().filter(|_| pdu.command & command::RESPONSE == 0) else {
                continue;
            };
            let place = match self.links[id].peer {
                Peer::Smsc(_) => self.ledger.requests.get(number).and_then(|sent| sent.segment),
                Peer::Esme(_) => self.ledger.messages.get(number).and_then(|sent| sent.segment),
            };
            if let Some(place) = place {
                self.groups[place.group].written.insert(place.turn);
            }
        }
    }

    /// A segment found no room between cores. `by_mailbox`: at once, when those behind it may have left already. Else its core
    /// had none: a message for a client may be queued then, behind what found no room before that was known.
    pub(crate) fn segment_refused_between_cores(&mut self, octets: &[u8], by_mailbox: bool) {
        let Some(pdu) = pdu::Pdu::take_first(&mut octets.to_vec()) else {
            return;
        };
        let Some(number) = pdu.message() else { return };
        let is_message = pdu.command != command::SUBMIT_SM;
        let message = self.ledger.messages.get(number).filter(|_| is_message);
        let is_request = pdu.command != command::DELIVER_SM && by_mailbox;
        let request = self.ledger.requests.get(number).filter(|_| is_request);
        let places = [
            message.and_then(|message| message.segment),
            request.and_then(|request| request.segment),
        ];
        for place in places.into_iter().flatten() {
            self.groups[place.group].refused_between_cores.insert(place.turn);
        }
    }

    /// A segment goes into the queue. Later ones of its message may stand there only if it was on its way to a session that was lost
    /// before it was written.
    pub(crate) fn segment_stored(&mut self, number: usize) {
        let message = &self.ledger.messages[number];
        let Some(place) = message.segment else { return };
        let is_later =
            |other: &Place| (other.group, other.link) == (place.group, place.link) && other.turn > place.turn;
        let mut others = self.ledger.messages.iter();
        let is_behind =
            others.any(|other| !other.stored.is_empty() && other.segment.as_ref().is_some_and(is_later));
        let has_lost = |link: &Link| {
            matches!(link.peer, Peer::Esme(_)) && link.lost_at.is_some_and(|at| at >= message.sent_at)
        };
        if is_behind && self.links.iter().any(has_lost) {
            self.groups[place.group].came_back.insert(place.turn);
        }
    }

    /// The far peer has given its answer to a segment.
    pub(crate) fn segment_answered(&mut self, place: Option<Place>, status: u32) {
        if let Some(place) = place.filter(|_| status == 0) {
            self.groups[place.group].accepted.insert(place.number);
        }
    }

    /// The sender of a segment has its answer. Who is refused often tries again.
    pub(crate) fn segment_acknowledged(&mut self, place: Option<Place>, status: u32) {
        let Some(place) = place else { return };
        if status == 0 {
            self.groups[place.group].acknowledged.insert(place.number);
        } else if self.random.chance(700) {
            let group = &mut self.groups[place.group];
            group.to_send.push(place.number);
            group.sent_again.insert(place.number);
        }
    }

    /// An ESME sends a segment; `false` when it has none to send.
    pub(crate) fn esme_submits_segment(&mut self, index: usize, id: LinkId) -> bool {
        // What numbers a segment here is a TLV, which a server of v3.3 does not get.
        if self.ledger.servers_of_v33.contains(&true) {
            return false;
        }
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let kind = if self.random.chance(100) {
            command::DATA_SM
        } else {
            command::SUBMIT_SM
        };
        let sender = Sender::Account(self.esmes[index].plan.system_id.clone());
        let number = self.ledger.requests.len();
        let wants_receipt = !self.scenario.is_forward && self.random.chance(500);
        let Some((pdu, place)) = self.next_segment(&sender, kind, sequence, number, id, wants_receipt) else {
            return false;
        };
        self.ledger
            .request_sent(index, pdu.clone(), self.now, None, false);
        self.ledger.requests[number].segment = Some(place);
        self.ledger.requests[number].wants_receipt = wants_receipt;
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
        true
    }

    /// An SMSC sends a segment; `false` when it has none to send.
    pub(crate) fn smsc_sends_segment(&mut self, id: LinkId) -> bool {
        let Peer::Smsc(index) = self.links[id].peer else {
            return false;
        };
        if self.ledger.servers_of_v33[index] {
            return false;
        }
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let kind = if self.random.chance(100) {
            command::DATA_SM
        } else {
            command::DELIVER_SM
        };
        let number = self.ledger.messages.len();
        let Some((pdu, place)) = self.next_segment(&Sender::Server(index), kind, sequence, number, id, false)
        else {
            return false;
        };
        let group = &self.groups[place.group];
        // Where the first one went decides for all, so claims count as they were then.
        let (destination, began_at) = (group.destination, group.began_at);
        self.ledger
            .message_sent(id, pdu.clone(), destination, began_at, false);
        self.ledger.messages[number].segment = Some(place);
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
        true
    }
}
