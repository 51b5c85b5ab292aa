//! A server's segments on their way to a client (MO).
//!
//! The same as for MT: the home core of the addresses decides for all segments of a message, here which core's members of
//! the pool get them; that core keeps to one session. Together counts for more than specific: a more specific range that is
//! claimed between two segments gets the next message.

use super::pin::{Far, PinId};
use super::segment::{Owner, Segment};
use super::to_server::{RelayedPin, Sendable, readable_kind};
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::{CoreOutcome, CoreTarget, MessageSender, PoolHandle, QueuedLine};
use crate::core::engine::PacketEngine;
use crate::core::pool::{PoolIndex, PoolTurn, TriedPlaces};
use crate::core::queue::{Bucket, QueueKey};
use crate::core::sequence::{Journey, Mark, Origin, Pending, Via};
use crate::core::server_requests::CheckedMessage;
use crate::core::session::{Session, SessionState};
use crate::core::settings::VserverIndex;
use crate::core::time::Moment;
use crate::core::wire::{Address, Status, append_segment_as};
use bytes::BytesMut;

impl PacketEngine {
    /// A server's message that may be a segment. `None`: it is a whole message.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn segment_from_server(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        not_at: Option<CoreIndex>,
        rerouted: bool,
    ) -> Option<Result<(), Status>> {
        let sender = self.sender_of_message(message, origin);
        let owner = Owner::Server(vserver, sender.server);
        let segment = Segment::of(&self.settings, owner, message.command, message.pdu)?;
        if let Origin::Session { .. } = origin {
            self.counters.segments += u64::from(!rerouted);
            let (home, bucket) = self.home_of_messages(vserver, message.destination);
            if home != self.core {
                return Some(self.ask_to_queue(now, (home, bucket), (vserver, false), message, origin));
            }
        }
        let pin = self.enter_pin(now, owner, &segment, sender.session);
        let journey = Journey::starting(now).marked(Mark::new(u8::from(rerouted), 0));
        let sendable = Sendable::to_client(pin, &segment, message, origin, journey);
        let outcome = match self.deliver_pinned(now, &sendable) {
            Some(true) => Ok(()),
            Some(false) => Err(Status::ESME_RX_T_APPN),
            None => self.deliver_anew(now, owner, not_at, message, &sendable),
        };
        if outcome.is_err() {
            self.segment_waits(now, owner, &sendable);
        }
        Some(outcome)
    }

    /// Who sent a message, as the home core of its segments has to know it.
    pub(in crate::core) fn sender_of_message(
        &self,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> MessageSender {
        if let Some(sender) = message.sender {
            return sender;
        }
        let Origin::Session { connection, .. } = origin else {
            return MessageSender::default();
        };
        let session = self.sessions.get(connection);
        MessageSender {
            server: session.and_then(Session::server).map(|side| side.server),
            session: self.sender_of(connection),
        }
    }

    /// The core that delivers the segments for a destination is the one that queues for it.
    fn home_of_messages(&self, vserver: VserverIndex, destination: Address<'_>) -> (CoreIndex, Bucket) {
        let key_hash = match QueueKey::of_destination(vserver, destination) {
            Some(key) => self.settings.key_hash(key),
            None => self.settings.key_hash((vserver, destination.addr)),
        };
        let bucket = Bucket::of(key_hash);
        (self.home_of(bucket.key_hash()), bucket)
    }

    /// A segment that a server sent to another core and nobody here or elsewhere got: once more from here, its home, or it
    /// waits in the queue, so that those behind it stay there.
    pub(super) fn segment_to_deliver_again(
        &mut self,
        now: Moment,
        owner: Owner,
        pending: &Pending,
        origin: Origin,
        not_at: Option<CoreIndex>,
        pdu: BytesMut,
    ) {
        let (Owner::Server(vserver, server), Origin::Core { core, reference }) = (owner, origin) else {
            return self.buffers.give(pdu);
        };
        let outcome = match CheckedMessage::check(pending.command, &pdu) {
            Ok(message) => {
                let message = CheckedMessage {
                    sender: Some(MessageSender { server, session: 0 }),
                    ..message
                };
                let is_again = pending.mark.resends() > 0;
                // Who asks another core in its turn must be the one that the answer is for.
                let is_home = self.home_of_messages(vserver, message.destination).0 == self.core;
                match (is_home, is_again) {
                    (true, false) => self.deliver_or_queue_again(now, vserver, &message, origin, not_at),
                    (true, true) => self.queue_message(now, (vserver, true), &message, origin),
                    (false, false) => self.deliver(now, vserver, &message, origin, not_at, true),
                    (false, true) => Err(Status::ESME_RX_T_APPN),
                }
            }
            Err(_) => Err(Status::ESME_RX_T_APPN),
        };
        if let Err(status) = outcome {
            self.send_core_answer(core, reference, CoreOutcome::Failed(status));
        }
        self.buffers.give(pdu);
    }

    /// A copy of a segment, marked as its message leaves, for the queue. `None`: it is a whole message, or all references are in use.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn marked_for_queue(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> Option<BytesMut> {
        let sender = self.sender_of_message(message, origin);
        let owner = Owner::Server(vserver, sender.server);
        let segment = Segment::of(&self.settings, owner, message.command, message.pdu)?;
        let pin = self.enter_pin(now, owner, &segment, sender.session);
        let kind = segment.place.kind;
        let mark = self.pins.mark(pin, kind, &mut self.random)?;
        let mut copy = self.buffers.take();
        if append_segment_as(&mut copy, message.command, message.pdu, kind, mark.reference) {
            return Some(copy);
        }
        self.buffers.give(copy);
        None
    }

    /// A queued message that may be a segment, with its pin. `None`: it is a whole message.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn queued_segment(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
    ) -> Option<RelayedPin> {
        let vserver = self.pools.get(pool)?.key.vserver;
        let owner = Owner::Server(vserver, None);
        let segment = Segment::of(&self.settings, owner, message.command, message.pdu)?;
        let pin = self.pins.enter_queued(now, owner, &segment);
        self.arm_pins();
        Some(RelayedPin { pin, segment })
    }

    /// The place of a queued segment's message. `None`: it has none, or that is gone.
    pub(in crate::core) fn place_of_queued(&self, pin: &RelayedPin) -> Option<QueuedPlace> {
        self.place_of(pin.pin)
    }

    fn place_of(&self, id: PinId) -> Option<QueuedPlace> {
        let pin = self.pins.get(id)?;
        match pin.far? {
            Far::Session(session) if self.receives(session) => Some(QueuedPlace::Session(session)),
            Far::Session(session) => self.lies_unwritten(id, session).then_some(QueuedPlace::Unknown),
            Far::PoolAt(core, handle) => {
                let link = &self.links[core.as_usize()];
                if !link.is_gone && self.pools.has_remote(core, handle) {
                    Some(QueuedPlace::Core(core, handle))
                } else if pin.in_flight > 0 {
                    // What is under way there may still find a member that we have not heard of.
                    Some(QueuedPlace::Unknown)
                } else {
                    (link.may_be_home() && pin.is_vouched_for).then_some(QueuedPlace::Core(core, handle))
                }
            }
            Far::ServerAt(..) => None,
        }
    }

    /// Sends a queued segment to a session of this core, which has room, and keeps its message there.
    pub(in crate::core) fn send_queued_segment(
        &mut self,
        now: Moment,
        to: ConnectionId,
        message: &CheckedMessage<'_>,
        origin: Origin,
        pin: &RelayedPin,
    ) -> bool {
        let sendable = queued_sendable(now, message, origin, pin);
        let sent = self.deliver_segment_here(now, to, &sendable);
        if let Some(pin) = self.pins.get_mut(pin.pin).filter(|_| sent) {
            pin.far = Some(Far::Session(to));
        }
        sent
    }

    /// Sends a queued segment to another core's members of a pool, and keeps its message there.
    pub(in crate::core) fn send_queued_segment_to_core(
        &mut self,
        now: Moment,
        (core, handle, line): (CoreIndex, PoolHandle, QueuedLine),
        message: &CheckedMessage<'_>,
        origin: Origin,
        pin: &RelayedPin,
    ) -> bool {
        let sendable = queued_sendable(now, message, origin, pin);
        let target = CoreTarget::Queued(handle, line);
        let kind = pin.segment.place.kind;
        let sent = self.send_segment_to_core(now, core, target, Via::Pool, kind, &sendable);
        if let Some(pin) = self.pins.get_mut(pin.pin).filter(|_| sent) {
            pin.far = Some(Far::PoolAt(core, handle));
        }
        sent
    }

    /// Sends a segment where its message goes. `None`: it has no place yet, or that place is gone.
    fn deliver_pinned(&mut self, now: Moment, sendable: &Sendable<'_>) -> Option<bool> {
        self.pins.get(sendable.pin)?;
        if !self
            .pins
            .may_go(sendable.pin, sendable.segment.place.sequence, now)
        {
            return Some(false);
        }
        Some(match self.place_of(sendable.pin)? {
            QueuedPlace::Session(session) => self.deliver_segment_here(now, session, sendable),
            QueuedPlace::Core(core, handle) => {
                self.links[core.as_usize()].is_usable(now)
                    && self.deliver_segment_at(now, core, handle, sendable)
            }
            QueuedPlace::Unknown => false,
        })
    }

    /// Chooses a place for a message and sends its first segment there, or the first since its place is gone.
    fn deliver_anew(
        &mut self,
        now: Moment,
        owner: Owner,
        not_at: Option<CoreIndex>,
        message: &CheckedMessage<'_>,
        sendable: &Sendable<'_>,
    ) -> Result<(), Status> {
        let Owner::Server(vserver, _) = owner else {
            return Err(Status::ESME_RX_T_APPN);
        };
        let pool = self.best_pool(vserver, message)?;
        let mut tried = TriedPlaces::none_but(not_at);
        let readers = self.readers_of(pool, message);
        while let Some(place) = self.next_untried_place(now, pool, &tried, readers) {
            let far = match place {
                PoolTurn::Here => self
                    .choose_member_for(pool, message)
                    .filter(|member| self.deliver_segment_here(now, *member, sendable))
                    .map(Far::Session),
                PoolTurn::Core(core, handle) => self
                    .deliver_segment_at(now, core, handle, sendable)
                    .then_some(Far::PoolAt(core, handle)),
            };
            if let Some(far) = far {
                if let Some(pin) = self.pins.get_mut(sendable.pin) {
                    pin.far = Some(far);
                }
                return Ok(());
            }
            tried.add(place);
        }
        Err(Status::ESME_RX_T_APPN)
    }

    /// A segment for the clients of an identity, which are all on this core. `None`: it is a whole message.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn segment_to_identity(
        &mut self,
        now: Moment,
        identity: u32,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> Option<bool> {
        let Origin::Session { connection, .. } = origin else {
            return None;
        };
        let server = self.sessions.get(connection)?.server()?.server;
        let vserver = *self.servers[usize::from(server.0)].vservers.first()?;
        let owner = Owner::Identity(vserver, identity);
        let segment = Segment::of(&self.settings, owner, message.command, message.pdu)?;
        self.counters.segments += u64::from(!rerouted);
        let pin = self.enter_pin(now, owner, &segment, self.sender_of(connection));
        let journey = Journey::starting(now).marked(Mark::new(u8::from(rerouted), 0));
        let sendable = Sendable::to_client(pin, &segment, message, origin, journey);
        let sent = self.deliver_pinned(now, &sendable).unwrap_or_else(|| {
            let client = self
                .choose_identity_client(identity, message.command)
                .filter(|client| self.deliver_segment_here(now, *client, &sendable));
            if let (Some(client), Some(pin)) = (client, self.pins.get_mut(pin)) {
                pin.far = Some(Far::Session(client));
            }
            client.is_some()
        });
        if !sent {
            self.segment_waits(now, owner, &sendable);
        }
        Some(sent)
    }

    /// Another core's segment for this core's members of a pool: all of its message go to the same one.
    pub(in crate::core) fn deliver_segment_for_core(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        relayed: &RelayedPin,
    ) -> bool {
        let sendable = queued_sendable(now, message, origin, relayed);
        let sent = self.deliver_pinned(now, &sendable).unwrap_or_else(|| {
            let member = self
                .choose_member_for(pool, message)
                .filter(|member| self.deliver_segment_here(now, *member, &sendable));
            if let (Some(member), Some(pin)) = (member, self.pins.get_mut(relayed.pin)) {
                pin.far = Some(Far::Session(member));
            }
            member.is_some()
        });
        if !sent {
            self.segment_waits(now, Owner::Home, &sendable);
        }
        sent
    }

    fn deliver_segment_here(&mut self, now: Moment, to: ConnectionId, sendable: &Sendable<'_>) -> bool {
        self.release_bind_before_message(now, to);
        let octets_max = self.settings.engine.output_octets_max;
        let Some(session) = self.sessions.get(to) else {
            return false;
        };
        let version = session.version;
        let has_room = !session.window.is_full() && session.output.waiting_octets() <= octets_max;
        let kind = readable_kind(version, sendable.segment.place.kind);
        let sent = has_room && self.send_segment(now, to, version, kind, sendable);
        if sent {
            self.room_taken_at_client(to);
        }
        sent
    }

    fn deliver_segment_at(
        &mut self,
        now: Moment,
        core: CoreIndex,
        handle: PoolHandle,
        sendable: &Sendable<'_>,
    ) -> bool {
        let kind = sendable.segment.place.kind;
        self.send_segment_to_core(now, core, CoreTarget::Pool(handle), Via::Pool, kind, sendable)
    }

    /// Whether a session may still get messages; one that is drained gets no more.
    pub(in crate::core) fn receives(&self, session: ConnectionId) -> bool {
        self.sessions.get(session).is_some_and(|session| {
            matches!(session.state, SessionState::Bound(kind) if kind.receives())
                && session.client().is_some_and(|client| !client.is_draining)
        })
    }
}

/// Where the queued segments of a message go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum QueuedPlace {
    Session(ConnectionId),
    Core(CoreIndex, PoolHandle),
    /// What is under way will show.
    Unknown,
}

const fn queued_sendable<'a>(
    now: Moment,
    message: &CheckedMessage<'a>,
    origin: Origin,
    pin: &'a RelayedPin,
) -> Sendable<'a> {
    Sendable::to_client(pin.pin, &pin.segment, message, origin, Journey::starting(now))
}
