//! A queued message on its way: to the session that those before it went to, to the one of its message where it is a segment, or
//! to any that has room, here or on another core.
//!
//! All messages of a line that are in flight go to one session. Towards another core they carry the number of their run and their
//! step in it: when one finds no room there, the rest of the run is refused too, so no message overtakes another. The segments
//! of a message stay together, so a line waits where they went elsewhere than what it has under way.

use super::super::concatenation::{QueuedPlace, RelayedPin};
use super::super::contract::{ConnectionId, CoreIndex};
use super::super::core_message::{CoreRequest, CoreTarget, PoolHandle, QueuedLine};
use super::super::engine::PacketEngine;
use super::super::pool::{PoolIndex, PoolTurn, TriedPlaces};
use super::super::sequence::{Origin, Pending, Via};
use super::super::server_requests::CheckedMessage;
use super::super::session::{Session, SessionState};
use super::super::time::Moment;
use super::Run;
use super::lines::Way;
use super::rings::RingKey;

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
        None
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

    fn send_queued_here(
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

    /// A queued message that another core drains, for a member of our part of a pool. `false`: there is no room, and there
    /// will be none for those that follow it in its run.
    pub(in crate::core) fn deliver_queued(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        line: QueuedLine,
        message: &CheckedMessage<'_>,
        origin: Origin,
        segment: Option<&RelayedPin>,
    ) -> bool {
        let Origin::Core { core, .. } = origin else {
            return false;
        };
        let known = self.queue.runs.get(&(core, line.place));
        let known = known.filter(|run| run.number == line.run).copied();
        let members = self.pools.get(pool).map_or(&[][..], |pool| &pool.local);
        let turn = members.get(line.turn as usize % members.len().max(1)).copied();
        let pinned = match segment.and_then(|segment| self.place_of_queued(segment)) {
            Some(QueuedPlace::Session(to)) => Some(to),
            _ => None,
        };
        // A run that follows a message to its place stays there.
        let to = pinned.or(known.filter(|run| run.is_pinned).map_or(turn, |run| run.to));
        let is_next = match known {
            // Another member's turn while the first one's answers are due: it would be overtaken by what it did not take.
            Some(run) => line.step == run.next_step && to == run.to,
            None => line.step == 0,
        };
        let sent = is_next
            && to.is_some_and(|to| {
                self.has_room_for_queued(to)
                    && (pinned.is_some() || self.may_get(pool, to, message))
                    && self.send_queued_here(now, to, message, origin, segment)
            });
        let run = Run {
            number: line.run,
            next_step: if sent { line.step + 1 } else { BROKEN },
            to,
            is_pinned: pinned.is_some() || known.is_some_and(|run| run.is_pinned),
        };
        self.remember_run(core, line, run);
        sent
    }

    fn remember_run(&mut self, core: CoreIndex, line: QueuedLine, run: Run) {
        if self.queue.runs.len() >= RUNS_MAX {
            // What is forgotten is refused at its next step, and starts anew.
            self.queue.runs.clear();
        }
        self.queue.runs.insert((core, line.place), run);
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

    fn is_member(&self, pool: PoolIndex, id: ConnectionId) -> bool {
        let client = self.sessions.get(id).and_then(Session::client);
        client.is_some_and(|client| client.pools.contains(&pool))
    }

    /// Queued messages leave an eighth of a window, and half of the output, to live ones.
    fn has_room_for_queued(&self, id: ConnectionId) -> bool {
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
