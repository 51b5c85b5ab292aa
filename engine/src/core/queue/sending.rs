//! A queued message on its way: to the session that those before it went to, to the one of its message where it is a segment, or
//! to any that has room, here or on another core.
//!
//! All messages of a line that are in flight go to one session. Towards another core they carry the number of their run and their
//! step in it: when one finds no room there, the rest of the run is refused too, so no message overtakes another. The segments
//! of a message stay together, so a line waits where they went elsewhere than what it has under way.

use super::super::concatenation::{PinId, QueuedPlace, RelayedPin};
use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_message::{CoreRequest, CoreTarget, PoolHandle, QueuedLine};
use super::super::engine::PacketEngine;
use super::super::pool::{PoolIndex, PoolTurn, TriedPlaces};
use super::super::sequence::{Origin, Pending, Via};
use super::super::server_requests::CheckedMessage;
use super::super::session::{Session, SessionState};
use super::super::time::Moment;
use super::super::versions::Readers;
use super::lines::Way;
use super::rings::RingKey;
use super::{LineAt, Run};

/// Runs of other cores' lines that are remembered, and the next step of one that has ended.
const RUNS_MAX: usize = 16_384;
const BROKEN: u32 = u32::MAX;

impl PacketEngine {
    /// Sends a message the way that those before it went, or, when none is under way, any way that has room.
    pub(super) fn send_queued(
        &mut self,
        now: Moment,
        key: RingKey,
        message: &CheckedMessage<'_>,
        origin: Origin,
        (way, line): (Option<Way>, QueuedLine),
    ) -> Option<Way> {
        let segment = match message.may_be_segment && message.account.is_none() {
            true => self.queued_segment(now, key.pool(), message),
            false => None,
        };
        let segment = segment.as_ref();
        if let Some(place) = segment.and_then(|segment| self.place_of_queued(segment)) {
            return self.send_queued_to_place(now, key, message, origin, (way, line), (segment, place));
        }
        match way {
            Some(Way::Session(to)) => {
                let sent = self.is_member(key.pool(), to)
                    && self.has_room_for_queued(to)
                    && self.may_get(key.pool(), to, message)
                    && self.send_queued_here(now, to, message, origin, segment);
                return sent.then_some(Way::Session(to));
            }
            Some(Way::Core(core, handle, ring)) => {
                let sent = ring == key
                    && self.pools.remote_handle(key.pool(), core) == Some(handle)
                    && self.send_queued_to_core(now, key, (core, handle, line), message, origin, segment);
                return sent.then_some(Way::Core(core, handle, key));
            }
            None => {}
        }
        let pool = key.pool();
        let mut tried = TriedPlaces::none_but(None);
        let readers = self.readers_of(pool, message);
        while let Some(place) = self.next_untried_place(now, pool, &tried, readers) {
            match place {
                PoolTurn::Here => {
                    if let Some(to) = self.member_with_room_for_queued(pool, message)
                        && self.send_queued_here(now, to, message, origin, segment)
                    {
                        return Some(Way::Session(to));
                    }
                }
                PoolTurn::Core(core, handle) => {
                    if self.send_queued_to_core(now, key, (core, handle, line), message, origin, segment) {
                        return Some(Way::Core(core, handle, key));
                    }
                }
            }
            tried.add(place);
        }
        self.send_queued_to_wait(now, key, (message, origin), (line, segment), (readers, &tried))
    }

    /// No window has room, as far as is known here: where only other cores have members of the pool, the message waits there, so that
    /// their own lines do not have every turn.
    fn send_queued_to_wait(
        &mut self,
        now: Moment,
        key: RingKey,
        (message, origin): (&CheckedMessage<'_>, Origin),
        (line, segment): (QueuedLine, Option<&RelayedPin>),
        (readers, tried): (Readers, &TriedPlaces),
    ) -> Option<Way> {
        let links = &self.links;
        let (core, handle) = self
            .pools
            .place_to_wait(key.pool(), line.turn, |core, has_newer| {
                !tried.includes(core)
                    && readers.may_be_there(has_newer)
                    && links[core.as_usize()].is_usable(now)
            })?;
        let sent = self.send_queued_to_core(now, key, (core, handle, line), message, origin, segment);
        sent.then_some(Way::Core(core, handle, key))
    }

    /// Sends a segment where the others of its message went, unless its line has messages under way to another place.
    fn send_queued_to_place(
        &mut self,
        now: Moment,
        key: RingKey,
        message: &CheckedMessage<'_>,
        origin: Origin,
        (way, line): (Option<Way>, QueuedLine),
        (segment, place): (Option<&RelayedPin>, QueuedPlace),
    ) -> Option<Way> {
        let required = match place {
            QueuedPlace::Session(to) => Way::Session(to),
            QueuedPlace::Core(core, handle) => Way::Core(core, handle, key),
            QueuedPlace::Unknown => return None,
        };
        if way.is_some_and(|way| way != required) {
            return None;
        }
        let sent = match place {
            QueuedPlace::Session(to) => {
                self.has_room_for_queued(to) && self.send_queued_here(now, to, message, origin, segment)
            }
            QueuedPlace::Core(core, handle) => {
                self.send_queued_to_core(now, key, (core, handle, line), message, origin, segment)
            }
            QueuedPlace::Unknown => false,
        };
        sent.then_some(required)
    }

    pub(super) fn send_queued_here(
        &mut self,
        now: Moment,
        to: ConnectionId,
        message: &CheckedMessage<'_>,
        origin: Origin,
        segment: Option<&RelayedPin>,
    ) -> bool {
        match segment {
            Some(segment) => self.send_queued_segment(now, to, message, origin, segment),
            None => self.send_message(now, to, message, origin, false),
        }
    }

    fn send_queued_to_core(
        &mut self,
        now: Moment,
        key: RingKey,
        (core, handle, line): (CoreIndex, PoolHandle, QueuedLine),
        message: &CheckedMessage<'_>,
        origin: Origin,
        segment: Option<&RelayedPin>,
    ) -> bool {
        let link = &self.links[core.as_usize()];
        // Half of the credits stay with live traffic.
        let has_credit = link.is_usable(now) && link.window.outstanding() * 2 < link.window.limit().max(2);
        let may_send = |ring: &mut super::rings::Ring| ring.may_send_to_other_cores(now);
        if !has_credit || !self.queue.rings.get_mut(key).is_some_and(may_send) {
            return false;
        }
        let sent = if let Some(segment) = segment {
            let to = (core, handle, line);
            self.send_queued_segment_to_core(now, to, message, origin, segment)
        } else {
            let pending = Pending {
                via: Via::Pool,
                ..Pending::new(origin, message.command, now)
            };
            self.send_core_request(now, core, pending, |reference, buffers| {
                let pdu = buffers.copy_of(message.pdu);
                CoreRequest {
                    reference,
                    target: CoreTarget::Queued(handle, line),
                    pdu,
                    leave_out: 0..0,
                    receipt: None,
                    message: None,
                }
            })
        };
        if sent && let Some(ring) = self.queue.rings.get_mut(key) {
            ring.remote_in_flight += 1;
        }
        sent
    }

    /// A queued message that another core drains, for a member of our part of a pool: it is sent, or waits for its turn. `false`: it
    /// can do neither, and nor can those that follow it in its run. `segment`: with the name of its message at that core.
    pub(in crate::core) fn deliver_queued(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        line: QueuedLine,
        message: &CheckedMessage<'_>,
        origin: Origin,
        segment: Option<(&RelayedPin, PinId)>,
    ) -> bool {
        let Origin::Core { core, .. } = origin else {
            return false;
        };
        self.end_other_run((core, line.place), line.run);
        let known = self.queue.runs.get(&(core, line.place));
        let known = known.filter(|run| run.number == line.run).copied();
        let place = segment.and_then(|(segment, _)| self.place_of_queued(segment));
        let pinned = match place {
            Some(QueuedPlace::Session(to)) => Some(to),
            _ => None,
        };
        let to = match known {
            // What is under way of its message goes first.
            _ if place == Some(QueuedPlace::Unknown) => None,
            Some(run) if line.step == run.next_step => {
                // All of a run go to one session.
                let is_there = pinned.is_some() || run.is_pinned || self.is_member(pool, run.to);
                Some(run.to).filter(|to| is_there && pinned.is_none_or(|pinned| pinned == *to))
            }
            None if line.step == 0 => pinned.or_else(|| self.member_for_run(pool, line, message)),
            _ => None,
        };
        let Some(to) = to else {
            self.break_run((core, line.place), line.run);
            return false;
        };
        // A run that follows a message to its place stays there.
        let is_pinned = pinned.is_some() || known.is_some_and(|run| run.is_pinned);
        let run = Run {
            number: line.run,
            next_step: line.step + 1,
            to,
            is_pinned,
        };
        // Before it waits: whoever gives it back breaks its run.
        self.remember_run((core, line.place), run);
        let named = segment.map(|(_, named)| named);
        let is_taken = (pinned.is_some() || self.may_get(pool, to, message))
            && (!self.has_queue_at(pool)
                && self.has_room_for_queued(to)
                && self.send_queued_here(now, to, message, origin, segment.map(|(segment, _)| segment))
                || self.admit_guest(now, pool, run, line.place, message, (origin, named)));
        if !is_taken {
            self.break_run((core, line.place), line.run);
        }
        is_taken
    }

    /// Who gets the messages of a run: the member that its line stands for if that has room, else any that has, else the one
    /// whose room is waited for.
    fn member_for_run(
        &mut self,
        pool: PoolIndex,
        line: QueuedLine,
        message: &CheckedMessage<'_>,
    ) -> Option<ConnectionId> {
        let members = &self.pools.get(pool)?.local;
        let turn = *members.get(line.turn as usize % members.len().max(1))?;
        let may_get = self.may_get(pool, turn, message);
        if may_get && self.has_room_for_queued(turn) {
            return Some(turn);
        }
        self.member_with_room_for_queued(pool, message).or_else(|| {
            let members = &self.pools.get(pool)?.local;
            let reader = || {
                members
                    .iter()
                    .find(|member| self.may_get(pool, **member, message))
            };
            if may_get { Some(turn) } else { reader().copied() }
        })
    }

    /// Nothing more of a run is taken.
    pub(super) fn break_run(&mut self, line: LineAt, number: u32) {
        // What is not known is taken at its first step only.
        if let Some(run) = self.queue.runs.get_mut(&line)
            && run.number == number
        {
            run.next_step = BROKEN;
        }
    }

    fn remember_run(&mut self, line: LineAt, run: Run) {
        if self.queue.runs.len() >= RUNS_MAX {
            // What is forgotten is refused at its next step, and starts anew.
            self.queue.runs.clear();
        }
        self.queue.runs.insert(line, run);
    }

    fn member_with_room_for_queued(
        &mut self,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
    ) -> Option<ConnectionId> {
        let found = self.pools.get(pool)?;
        let count = found.local.len();
        let place = (0..count)
            .map(|step| (found.cursor + step) % count)
            .find(|place| {
                let member = found.local[*place];
                self.has_room_for_queued(member) && self.may_get(pool, member, message)
            })?;
        let to = found.local[place];
        self.pools.get_mut(pool)?.cursor = place + 1;
        Some(to)
    }

    pub(super) fn is_member(&self, pool: PoolIndex, id: ConnectionId) -> bool {
        let client = self.sessions.get(id).and_then(Session::client);
        client.is_some_and(|client| client.pools.contains(&pool))
    }

    /// Queued messages leave an eighth of a window, and half of the output, to live ones.
    pub(super) fn has_room_for_queued(&self, id: ConnectionId) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            let (limit, octets_max) = (session.window.limit(), self.settings.engine.output_octets_max);
            let receives = match session.state {
                SessionState::Bound(kind) => kind.receives(),
                SessionState::Binding => session.client().is_some_and(|client| client.accepted),
                _ => false,
            };
            receives
                && session.window.outstanding() < limit - limit / 8
                && session.output.waiting_octets() <= octets_max / 2
        })
    }
}
