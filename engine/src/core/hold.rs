//! Requests that wait for room: bounded in time and count, served fairly among clients.
//!
//! Each session keeps its own held requests in order; the vserver keeps a ring of sessions that have any, and serves one
//! request of each in turn. Held requests count as unanswered, so a client's window bounds what it can have here.

use super::client_requests::RetryOutcome;
use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::message_log::Reason;
use super::sequence::{Journey, Mark};
use super::session::Session;
use super::settings::{ServerIndex, VserverIndex};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{Header, Status};
use bytes::{Buf, BufMut, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;

/// Held requests of one vserver on one core at most.
const HELD_REQUESTS_MAX: usize = 65_536;
/// Octets of one session's held requests at most; the next one is throttled.
pub(super) const HELD_OCTETS_PER_SESSION_MAX: usize = 256 * 1024;
/// Expiry is looked at no more often than this.
const EXPIRY_STEP: Duration = Duration::from_millis(10);
/// Before each held PDU: when it arrived, how often it was sent again, and what the routing rules said of it.
pub(super) const JOURNEY_OCTETS: usize = 11;
/// Sessions in a row whose first request finds no room (theirs may be a server that has none) before the rest waits.
const TRIES_WITHOUT_LUCK_MAX: usize = 16;

/// The sessions of one vserver that have held requests.
#[derive(Debug)]
pub(super) struct Hold {
    ring: VecDeque<ConnectionId>,
    requests: usize,
    pub(super) armed_at: Moment,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            requests: 0,
            armed_at: Moment::NEVER,
        }
    }
}

impl Hold {
    #[inline]
    pub(super) const fn has_requests(&self) -> bool {
        self.requests > 0
    }

    pub(super) const fn requests(&self) -> usize {
        self.requests
    }
}

/// The requests that a session has in the hold, in order.
pub(super) fn held_requests(mut held: &[u8]) -> impl Iterator<Item = (Header, Journey)> {
    std::iter::from_fn(move || {
        let (journey, rest) = held.split_first_chunk::<JOURNEY_OCTETS>()?;
        let header = Header::read(rest)?;
        held = rest.get(header.command_length as usize..)?;
        Some((header, read_journey(*journey)))
    })
}

fn read_journey([at @ .., resends, high, low]: [u8; JOURNEY_OCTETS]) -> Journey {
    Journey {
        arrived_at: Moment::from_nanoseconds(u64::from_be_bytes(at)),
        mark: Mark::new(resends, u16::from_be_bytes([high, low])),
    }
}

/// Where a request that came at `arrival` belongs among held ones.
fn place_by_arrival(held: &[u8], arrival: Moment) -> usize {
    let mut place = 0;
    while let Some((journey, rest)) = held[place..].split_first_chunk::<JOURNEY_OCTETS>() {
        let came = journey.first_chunk().map_or(0, |came| u64::from_be_bytes(*came));
        if Moment::from_nanoseconds(came) > arrival {
            break;
        }
        let octets = Header::read(rest).map_or(rest.len(), |header| header.command_length as usize);
        place += JOURNEY_OCTETS + octets.min(rest.len());
    }
    place
}

impl PacketEngine {
    /// Puts a request behind those of its session that came before it; answers ESME_RTHROTTLED where there is no room even here.
    pub(super) fn hold_request(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
        journey: Journey,
    ) {
        let Some(client) = self.sessions.get_mut(from).and_then(Session::client_mut) else {
            return;
        };
        let vserver = client.vserver;
        let hold = &mut self.vservers[usize::from(vserver.0)].hold;
        if hold.requests >= HELD_REQUESTS_MAX || client.held.len() + pdu.len() > HELD_OCTETS_PER_SESSION_MAX {
            self.counters.throttled += 1;
            self.know_reason(from, &header, journey.arrived_at, Reason::NoRoom);
            return self.answer_client(now, from, header, Status::ESME_RTHROTTLED);
        }
        if client.held_requests == 0 {
            hold.ring.push_back(from);
            client.held = self.buffers.take();
        }
        // What was sent and came back goes before what has come since; so each has a time of arrival of its own.
        let (arrived_at, later) = if journey.arrived_at < now {
            let place = place_by_arrival(&client.held, journey.arrived_at);
            (journey.arrived_at, client.held.split_off(place))
        } else {
            (self.pins.arrival(now), BytesMut::new())
        };
        client
            .held
            .extend_from_slice(&arrived_at.as_nanoseconds().to_be_bytes());
        client.held.put_u8(journey.mark.resends());
        client.held.put_u16(journey.mark.route());
        client.held.extend_from_slice(pdu);
        client.held.extend_from_slice(&later);
        client.held_requests += 1;
        hold.requests += 1;
        self.held_requests += 1;
        self.counters.held += 1;
        let due = arrived_at + self.settings.vservers[usize::from(vserver.0)].hold_time;
        self.arm_hold(vserver, due);
    }

    /// Room has come up: sends held requests, one of each session in turn, until there is no more.
    #[inline]
    pub(super) fn serve_hold(&mut self, now: Moment, vserver: VserverIndex) {
        if self.vservers[usize::from(vserver.0)].hold.has_requests() {
            self.serve_held_requests(now, vserver);
        }
    }

    #[cold]
    fn serve_held_requests(&mut self, now: Moment, vserver: VserverIndex) {
        // What was read some time ago is nothing to follow.
        self.batch = None;
        let mut without_luck = 0;
        // The ring goes round, so those who are not tried now are the first to be tried next time.
        while without_luck
            < self.vservers[usize::from(vserver.0)]
                .hold
                .ring
                .len()
                .min(TRIES_WITHOUT_LUCK_MAX)
            && self.has_room_somewhere(now, vserver)
        {
            let Some(from) = self.vservers[usize::from(vserver.0)].hold.ring.front().copied() else {
                return;
            };
            let Some((pdu, journey)) = self.first_held(from) else {
                self.rotate_hold(vserver, from);
                continue;
            };
            let outcome = self.retry_client_request(now, from, &pdu, journey);
            if matches!(outcome, RetryOutcome::NoWay(_)) {
                without_luck += 1;
            } else {
                without_luck = 0;
                self.drop_first_held(vserver, from);
            }
            // With its last answer a session that is leaving ends: the request must not be found held then.
            if let (RetryOutcome::Rejected(status), Some(header)) = (outcome, Header::read(&pdu)) {
                self.answer_rejected(now, from, header, journey, status);
            }
            self.buffers.give(pdu);
            self.rotate_hold(vserver, from);
        }
    }

    /// Answers what has waited too long.
    pub(super) fn expire_held(&mut self, now: Moment, vserver: VserverIndex) {
        let hold_time = self.settings.vservers[usize::from(vserver.0)].hold_time;
        let mut next_due = Moment::NEVER;
        for _ in 0..self.vservers[usize::from(vserver.0)].hold.ring.len() {
            let Some(from) = self.vservers[usize::from(vserver.0)].hold.ring.front().copied() else {
                break;
            };
            while let Some((pdu, journey)) = self.first_held(from) {
                if journey.arrived_at + hold_time > now {
                    next_due = next_due.min(journey.arrived_at + hold_time);
                    self.buffers.give(pdu);
                    break;
                }
                self.drop_first_held(vserver, from);
                if let Some(header) = Header::read(&pdu) {
                    self.know_reason(from, &header, journey.arrived_at, Reason::NoRoom);
                    let status = self.status_of_expired(vserver);
                    self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
                    self.answer_client(now, from, header, status);
                }
                self.buffers.give(pdu);
            }
            self.rotate_hold(vserver, from);
        }
        if next_due < Moment::NEVER {
            self.arm_hold(vserver, next_due.max(now + EXPIRY_STEP));
        }
        self.serve_hold(now, vserver);
    }

    /// Answers all that a session has here: it is leaving.
    pub(super) fn answer_held(&mut self, now: Moment, from: ConnectionId) {
        let Some(vserver) = self
            .sessions
            .get(from)
            .and_then(Session::client)
            .map(|client| client.vserver)
        else {
            return;
        };
        while let Some((pdu, journey)) = self.first_held(from) {
            self.drop_first_held(vserver, from);
            if let Some(header) = Header::read(&pdu) {
                self.know_reason(from, &header, journey.arrived_at, Reason::NoRoom);
                let status = self.status_of_expired(vserver);
                self.counters.throttled += u64::from(status == Status::ESME_RTHROTTLED);
                self.answer_client(now, from, header, status);
            }
            self.buffers.give(pdu);
        }
        self.vservers[usize::from(vserver.0)]
            .hold
            .ring
            .retain(|other| *other != from);
    }

    /// Some server of a vserver could take a request now, here or by way of another core.
    fn has_room_somewhere(&self, now: Moment, vserver: VserverIndex) -> bool {
        let usable = |core: super::contract::CoreIndex| self.links[core.as_usize()].is_usable(now);
        // The sessions of identities are not counted with their servers: there it takes a try to know.
        let settings = &self.settings.vservers[usize::from(vserver.0)];
        settings.auth == super::settings::Auth::Forward
            || settings.servers.iter().any(|index| {
                let server = &self.servers[usize::from(index.0)];
                server.has_local_room() || server.remote_with_room(now, usable).is_some()
            })
    }

    /// A session is gone: what it had here goes with it.
    pub(super) fn forget_held(&mut self, vserver: VserverIndex, session: ConnectionId, held_requests: u32) {
        if held_requests > 0 {
            let hold = &mut self.vservers[usize::from(vserver.0)].hold;
            hold.ring.retain(|other| *other != session);
            hold.requests -= held_requests as usize;
            self.held_requests -= held_requests as usize;
        }
    }

    fn status_of_expired(&self, vserver: VserverIndex) -> Status {
        let servers = &self.settings.vservers[usize::from(vserver.0)].servers;
        let is_up = servers
            .iter()
            .any(|server| self.servers[usize::from(server.0)].is_bound_somewhere());
        if is_up {
            Status::ESME_RTHROTTLED
        } else {
            Status::ESME_RSYSERR
        }
    }

    /// A copy of a session's first held request, and what it has been through.
    fn first_held(&mut self, from: ConnectionId) -> Option<(BytesMut, Journey)> {
        let client = self.sessions.get(from)?.client()?;
        if client.held_requests == 0 {
            return None;
        }
        let (journey, rest) = client.held.split_first_chunk::<JOURNEY_OCTETS>()?;
        let journey = read_journey(*journey);
        let octets = Header::read(rest)?.command_length as usize;
        let mut pdu = self.buffers.take();
        pdu.extend_from_slice(rest.get(..octets)?);
        Some((pdu, journey))
    }

    fn drop_first_held(&mut self, vserver: VserverIndex, from: ConnectionId) {
        let Some(client) = self.sessions.get_mut(from).and_then(Session::client_mut) else {
            return;
        };
        let octets =
            Header::read(&client.held[JOURNEY_OCTETS..]).map_or(0, |header| header.command_length as usize);
        client.held.advance(JOURNEY_OCTETS + octets);
        client.held_requests -= 1;
        if client.held_requests == 0 {
            self.buffers.give_consumed(std::mem::take(&mut client.held));
        }
        self.vservers[usize::from(vserver.0)].hold.requests -= 1;
        self.held_requests -= 1;
    }

    /// Moves the ring on; a session that has nothing left leaves it.
    fn rotate_hold(&mut self, vserver: VserverIndex, front: ConnectionId) {
        let hold = &mut self.vservers[usize::from(vserver.0)].hold;
        if hold.ring.front() != Some(&front) {
            return;
        }
        hold.ring.pop_front();
        let has_more = self
            .sessions
            .get(front)
            .and_then(Session::client)
            .is_some_and(|client| client.held_requests > 0);
        if has_more {
            hold.ring.push_back(front);
        }
    }

    /// What waits is looked at once the present event is dealt with: the servers that it may go to are others now.
    pub(super) fn look_at_holds_of(&mut self, now: Moment, server: ServerIndex) {
        if self.held_requests == 0 {
            return;
        }
        for place in 0..self.servers[usize::from(server.0)].vservers.len() {
            let vserver = self.servers[usize::from(server.0)].vservers[place];
            self.arm_hold(vserver, now);
        }
    }

    /// The same for all: a session of a server is gone, or what was let go has nothing left to write; its server may stand behind none
    /// by now.
    pub(super) fn look_at_all_holds(&mut self, now: Moment) {
        if self.held_requests == 0 {
            return;
        }
        for vserver in 0..self.vservers.len() {
            // Bounded by the index that settings use.
            self.arm_hold(VserverIndex(u16::try_from(vserver).unwrap_or(u16::MAX)), now);
        }
    }

    fn arm_hold(&mut self, vserver: VserverIndex, due: Moment) {
        let hold = &mut self.vservers[usize::from(vserver.0)].hold;
        self.timers.arm(&mut hold.armed_at, due, TimerKey::Hold(vserver));
    }
}
