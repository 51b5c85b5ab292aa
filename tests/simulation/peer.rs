//! What both kinds of peers do alike: check what an engine sends them, and keep their books of the session.

use crate::event::{Event, LinkId};
use crate::link::{InFlight, Peer};
use crate::pdu::{Pdu, command};
use crate::world::World;
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// An engine waits longer than that for an unbind_resp.
const UNBIND_PATIENCE: Duration = Duration::from_secs(1);

/// A number in the space of the engine's own: 1 to 0x7FFFFFFF and round again.
fn around(number: i64) -> u32 {
    1 + (number - 1).rem_euclid(0x7FFF_FFFF) as u32
}

impl World {
    /// A PDU of the engine has reached a peer.
    pub(crate) fn peer_reads(&mut self, id: LinkId, pdu: &Pdu) {
        self.check_suspicion(id, pdu);
        if !pdu.is_response() {
            self.check_engine_request(id, pdu);
        }
        match self.links[id].peer {
            Peer::Esme(index) => self.esme_reads(index, id, pdu),
            Peer::Smsc(index) => self.smsc_reads(index, id, pdu),
        }
    }

    /// The promises that hold for every request of an engine, whoever gets it.
    fn check_engine_request(&mut self, id: LinkId, pdu: &Pdu) {
        let (now, peer) = (self.now, self.links[id].peer);
        let session = &self.links[id].session;
        assert!(
            (1..=0x7FFF_FFFF).contains(&pdu.sequence),
            "link {id}: sequence_number {:#x} out of range",
            pdu.sequence
        );
        assert!(
            session.bound.is_some() || pdu.is_bind(),
            "link {id}: {} before the bind_resp",
            pdu.describe()
        );
        let request = InFlight {
            command: pdu.command,
            arrived_at: now,
            message: pdu.message(),
            taken_at: self.taken_at(peer, pdu),
            is_queued: self.is_queued(peer, pdu),
        };
        let session = &mut self.links[id].session;
        let previous = session.in_flight.insert(pdu.sequence, request);
        assert!(
            previous.is_none(),
            "link {id}: sequence_number {:#x} is still in flight",
            pdu.sequence
        );
        if pdu.command == command::ALERT_NOTIFICATION {
            // Nobody answers it.
            session.in_flight.remove(&pdu.sequence);
        }
        self.check_window(id);
    }

    /// When an engine had taken in what it sends to a peer now: a message of an SMSC not before that wrote it.
    fn taken_at(&self, peer: Peer, pdu: &Pdu) -> Option<Moment> {
        let number = pdu.message()?;
        match peer {
            Peer::Smsc(_) => self.ledger.requests[number].taken_at,
            Peer::Esme(_) => Some(self.ledger.messages[number].sent_at),
        }
    }

    /// A message that the store has had before it came to an ESME comes out of the queue.
    fn is_queued(&self, peer: Peer, pdu: &Pdu) -> bool {
        let number = pdu.message().filter(|_| matches!(peer, Peer::Esme(_)));
        number.is_some_and(|number| !self.ledger.messages[number].stored.is_empty())
    }

    /// A peer has written a PDU; its books follow.
    pub(crate) fn peer_wrote(&mut self, id: LinkId, pdu: &Pdu) {
        let now = self.now;
        if pdu.command == command::ENQUIRE_LINK {
            self.links[id].session.enquiries.push((pdu.sequence, now));
        }
        self.request_written(id, pdu);
        if pdu.is_response() {
            if pdu.command == command::UNBIND | command::RESPONSE {
                let end = self.links[id].written_octets;
                if let Some((_, answer_end)) = &mut self.links[id].session.was_unbound {
                    *answer_end = end;
                }
            }
            self.links[id].handed_out.answered(pdu.sequence);
            let request = self.links[id].session.in_flight.remove(&pdu.sequence);
            let Some(InFlight {
                command: request,
                message,
                ..
            }) = request
            else {
                return;
            };
            if let Some(number) = message {
                self.answer_written(id, request, number, pdu);
            }
            let session = &mut self.links[id].session;
            let is_bind = Pdu::new(request, 0, 0).is_bind();
            if is_bind && pdu.status == 0 && pdu.command == request | command::RESPONSE {
                session.bound = Some((request, now));
            }
        }
    }

    /// The engine has answered an enquire_link of ours.
    pub(crate) fn enquiry_answered(&mut self, id: LinkId, pdu: &Pdu) {
        let enquiries = &mut self.links[id].session.enquiries;
        let place = enquiries.iter().position(|(number, _)| *number == pdu.sequence);
        let place = place.unwrap_or_else(|| panic!("link {id}: an answer to nothing: {}", pdu.describe()));
        enquiries.remove(place);
        assert_eq!(pdu.status, 0, "link {id}: an enquire_link was refused");
    }

    /// Answers what nobody has asked, when a request has come. The number is an absurd one; or in the engine's own space: that of a
    /// request under way but for its highest bit, one before it that has its answer (or never was), or one that falls into the same
    /// slot much later. A number that the engine may take next would be an answer, not a stray one.
    pub(crate) fn peer_strays(&mut self, id: LinkId, request: &Pdu, message_id: &[u8]) {
        let drawn = self.random.next();
        let random = (drawn >> 32) as u32;
        let number = request.sequence;
        let session = &self.links[id].session;
        let sequence = match drawn % 4 {
            0 => 0x8000_0000 | number,
            1 => around(i64::from(number) - 1 - i64::from(random % 70)),
            2 => around(i64::from(number) + (i64::from(1 + random % 7) << 24)),
            _ => 0x8000_0000 | random,
        };
        if !session.in_flight.contains_key(&sequence) {
            self.exercised.stray_answers += 1;
            self.exercised.near_stray_answers += u64::from(drawn % 4 < 3);
            self.peer_writes(
                id,
                &crate::pdu::response(request.command, 0, sequence, message_id),
            );
        }
    }

    /// Answers a request of the engine after a while.
    pub(crate) fn reply_after(&mut self, wait: Duration, id: LinkId, pdu: Pdu) {
        self.after(wait, Event::PeerWrites(id, pdu));
    }

    /// Answers enquire_link at once, and unbind at once or after some thought; then an ESME may have something to say until then.
    pub(crate) fn reply_to_common(&mut self, id: LinkId, pdu: &Pdu) {
        let reply = Pdu::new(pdu.command | command::RESPONSE, 0, pdu.sequence);
        if pdu.command != command::UNBIND {
            return self.peer_writes(id, &reply);
        }
        // Until its answer is written there is none.
        let session = &mut self.links[id].session;
        session.was_unbound.get_or_insert((self.now, u64::MAX));
        let was_leaving = std::mem::replace(&mut session.is_leaving, true);
        let closes_in = self.random.milliseconds(1, 50);
        let thought = match self.links[id].peer {
            Peer::Esme(index) if !was_leaving && self.random.chance(500) => {
                self.esme_has_last_words(index, id);
                self.random.milliseconds(0, 400)
            }
            _ => Duration::ZERO,
        };
        if thought.is_zero() {
            self.peer_writes(id, &reply);
        } else {
            self.reply_after(thought, id, reply);
        }
        self.after(thought + closes_in, Event::PeerCloses(id));
    }

    /// The engine has closed the connection in an orderly way: by then every request of the peer must have its answer.
    pub(crate) fn peer_sees_end(&mut self, id: LinkId) {
        self.trace.line(self.now, || {
            format!("link {id} {:?} sees the end", self.links[id].peer)
        });
        self.check_unbind_resp_awaited(id);
        self.check_no_suspicion_left(id);
        if !self.end_is_excused(id) {
            let session = &self.links[id].session;
            assert!(
                session.outstanding.is_empty(),
                "link {id}: closed with requests unanswered: {:?}",
                session.outstanding
            );
        }
        self.links[id].to_engine.is_finished = true;
        self.schedule_readable(id);
        self.peer_is_gone(id);
    }

    /// An engine that has unbound a client waits for its unbind_resp: requests may be on their way until then.
    fn check_unbind_resp_awaited(&self, id: LinkId) {
        let link = &self.links[id];
        let (Peer::Esme(index), Some((unbound_at, answer_end))) = (link.peer, link.session.was_unbound)
        else {
            return;
        };
        let host = &self.hosts[link.engine];
        let system_id = &self.esmes[index].plan.system_id;
        let is_since = |at: &Moment| *at >= link.session.began_at;
        // The engine has heard something else that ends a session, or its patience began long before the unbind came.
        let is_other_end = link.session.unbind_sequence.is_some()
            || link.session.is_excused
            || link.session.was_deaf
            || link.was_slow
            || link.to_engine.is_finished
            || host.is_gone
            || host.has_stalled
            || host.gave_up.get(system_id).is_some_and(is_since);
        let is_heard = link.consumed_octets >= answer_end;
        assert!(
            is_heard || is_other_end || self.now.since(unbound_at) > UNBIND_PATIENCE,
            "link {id}: unbound, and closed before the unbind_resp"
        );
    }

    /// Whether the engine had a good reason to close without another word.
    fn end_is_excused(&self, id: LinkId) -> bool {
        let link = &self.links[id];
        let host = &self.hosts[link.engine];
        let (gave_up_at, unbound_at) = match link.peer {
            Peer::Esme(index) => {
                let system_id = &self.esmes[index].plan.system_id;
                (host.gave_up.get(system_id), host.unbound.get(system_id))
            }
            Peer::Smsc(index) => (host.gave_up.get(&format!("smsc{index}")), None),
        };
        let is_since = |at: &Moment| *at >= link.session.began_at;
        link.session.is_excused
            || link.session.was_deaf
            || host.is_gone
            || gave_up_at.is_some_and(is_since)
            || unbound_at.is_some_and(is_since)
    }

    pub(crate) fn make_deaf(&mut self, id: LinkId, time: Duration) {
        self.exercised.deaf_peers += 1;
        self.trace.line(self.now, || {
            format!("link {id} {:?} reads nothing for {time:?}", self.links[id].peer)
        });
        let session = &mut self.links[id].session;
        session.deaf_until = session.deaf_until.max(self.now + time);
        session.was_deaf = true;
    }

    pub(crate) fn unbind(&mut self, id: LinkId) {
        self.exercised.unbinds += 1;
        let wished = self.random.next() as u32;
        let session = &mut self.links[id].session;
        let sequence = session.free_sequence(wished);
        session.unbind_sequence = Some(sequence);
        session.is_leaving = true;
        self.peer_writes(id, &Pdu::new(command::UNBIND, 0, sequence));
    }

    /// Our unbind is answered: from here on nothing may be missing.
    pub(crate) fn unbind_answered(&mut self, id: LinkId, pdu: &Pdu) {
        let is_excused = self.end_is_excused(id);
        let session = &self.links[id].session;
        assert_eq!(
            Some(pdu.sequence),
            session.unbind_sequence,
            "link {id}: an unbind_resp for another unbind"
        );
        assert!(
            session.outstanding.is_empty() || is_excused,
            "link {id}: unbind_resp before the answers to {:?}",
            session.outstanding
        );
        let wait = self.random.milliseconds(0, 50);
        self.after(wait, Event::PeerCloses(id));
    }
}
