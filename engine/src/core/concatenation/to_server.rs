//! A client's segments on their way to a server (MT).
//!
//! Where the message's home is another core the segment is sent there, and that core is where it is chosen for, held to its
//! session and answered from. Invariants: a pinned segment never goes to another session while its own is there; a segment
//! that finds no room goes before the later ones of its message.

use super::pin::{Far, PinId};
use super::segment::{Owner, Segment};
use crate::core::checked_request::{CheckedRequest, check};
use crate::core::choice::{Way, session_with_room};
use crate::core::client_requests::NoWay;
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::{CoreOutcome, CoreRequest, CoreTarget, HomeQuestion, HomeVerdict};
use crate::core::engine::PacketEngine;
use crate::core::sequence::{Journey, Note, Origin, Pending, SubmitNote, Via};
use crate::core::server_requests::CheckedMessage;
use crate::core::session::SessionState;
use crate::core::settings::{ConcatReference, ServerIndex, VserverIndex};
use crate::core::time::Moment;
use crate::core::wire::{CommandId, ConcatenationKind, Header, Version};
use bytes::BytesMut;

/// A segment with what is needed to send it, once or again.
pub(super) struct Sendable<'a> {
    pub(super) pin: PinId,
    pub(super) segment: &'a Segment,
    pub(super) command: CommandId,
    pub(super) pdu: &'a [u8],
    pub(super) origin: Origin,
    pub(super) journey: Journey,
    /// Who waits for its receipt.
    pub(super) receipt: Option<SubmitNote>,
}

impl<'a> Sendable<'a> {
    /// A segment on its way to a client; nobody waits for a receipt of it.
    pub(super) const fn to_client(
        pin: PinId,
        segment: &'a Segment,
        message: &CheckedMessage<'a>,
        origin: Origin,
        journey: Journey,
    ) -> Self {
        Self {
            pin,
            segment,
            command: message.command,
            pdu: message.pdu,
            origin,
            journey,
            receipt: None,
        }
    }
}

/// Whose a client's segment is, and what is known of its way so far.
#[derive(Clone, Copy)]
pub(in crate::core) struct Submitted {
    pub(in crate::core) owner: Owner,
    pub(in crate::core) sender: u32,
    pub(in crate::core) origin: Origin,
    pub(in crate::core) journey: Journey,
    pub(in crate::core) receipt: Option<SubmitNote>,
}

/// A segment that another core has sent here, with its pin on this core.
pub(in crate::core) struct RelayedPin {
    pub(super) pin: PinId,
    pub(super) segment: Segment,
}

impl PacketEngine {
    /// A client's request that may be a segment. `None`: it is a whole message.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn segment_from_client(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        request: &CheckedRequest<'_>,
        journey: Journey,
    ) -> Option<Result<(), NoWay>> {
        let client = self.sessions.get(from)?.client()?;
        let (vserver, account) = (client.vserver, client.client);
        let owner = match client.identity {
            Some(identity) => Owner::Identity(vserver, identity),
            None => Owner::Account(vserver, account),
        };
        let segment = Segment::of(&self.settings, owner, header.command_id, request.pdu)?;
        let arrived_at = if journey.arrived_at == now {
            self.counters.segments += 1;
            self.pins.arrival(now)
        } else {
            journey.arrived_at
        };
        let journey = Journey {
            arrived_at,
            ..journey
        };
        let origin = Origin::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        let sender = self.sender_of(from);
        let receipt = request
            .wants_receipt
            .then(|| self.submit_note(from, request.destination()))
            .flatten();
        let home = self.home_of(segment.addresses);
        // An identity's server sessions stand on its own core.
        if home == self.core || matches!(owner, Owner::Identity(..)) {
            let submitted = Submitted {
                owner,
                sender,
                origin,
                journey,
                receipt,
            };
            return Some(self.submit_segment(now, &submitted, request, &segment));
        }
        if !self.home_takes_segments(now, home) {
            return Some(Err(NoWay::NoRoom));
        }
        let question = HomeQuestion::Submit {
            vserver,
            client: account,
            sender,
            receipt,
            route: journey.mark.route(),
        };
        let pending = Pending::on_journey(origin, header.command_id, now, journey);
        let is_asked = self.ask_home(now, home, question, pending, request.pdu);
        Some(if is_asked { Ok(()) } else { Err(NoWay::NoRoom) })
    }

    /// Another core's client has sent a segment of a message whose home is here.
    pub(in crate::core) fn segment_to_submit(&mut self, now: Moment, submitted: &Submitted, pdu: BytesMut) {
        let way = self.try_segment_to_submit(now, submitted, &pdu);
        let (Err(way), Origin::Core { core, reference }) = (way, submitted.origin) else {
            return self.buffers.give(pdu);
        };
        let verdict = match way {
            NoWay::NoRoom => HomeVerdict::NoRoom,
            NoWay::NoServer => HomeVerdict::NoServer,
        };
        self.send_core_answer(core, reference, CoreOutcome::Verdict(verdict, pdu));
    }

    fn try_segment_to_submit(&mut self, now: Moment, submitted: &Submitted, pdu: &[u8]) -> Result<(), NoWay> {
        let owner = submitted.owner;
        let (Owner::Account(vserver, _), Some(header)) = (owner, Header::read(pdu)) else {
            return Err(NoWay::NoServer);
        };
        let settings = std::sync::Arc::clone(&self.settings);
        // The asking core has checked it by its client's version.
        let request =
            check(&settings, vserver, Version::V50, header.command_id, pdu).map_err(|_| NoWay::NoServer)?;
        let segment = Segment::of(&settings, owner, header.command_id, pdu).ok_or(NoWay::NoServer)?;
        self.submit_segment(now, submitted, &request, &segment)
    }

    /// Sends a segment the way of its message, which is found or chosen here.
    fn submit_segment(
        &mut self,
        now: Moment,
        submitted: &Submitted,
        request: &CheckedRequest<'_>,
        segment: &Segment,
    ) -> Result<(), NoWay> {
        let Submitted {
            owner,
            sender,
            origin,
            journey,
            receipt,
        } = *submitted;
        let Some(header) = Header::read(request.pdu) else {
            return Err(NoWay::NoServer);
        };
        let pin = self.enter_pin(now, owner, segment, sender);
        let sendable = Sendable {
            pin,
            segment,
            command: header.command_id,
            pdu: request.pdu,
            origin,
            journey,
            receipt,
        };
        let way = self.way_of_pin(now, owner, &sendable, request);
        let sent = match way {
            Way::Session(server, to) => self.submit_segment_here(now, server, to, &sendable),
            Way::Core(server, core) => self.submit_segment_at(now, server, core, &sendable),
            Way::NoRoom | Way::NoServer => false,
        };
        if sent {
            return Ok(());
        }
        self.segment_waits(now, owner, &sendable);
        Err(match way {
            Way::NoServer => NoWay::NoServer,
            _ => NoWay::NoRoom,
        })
    }

    /// The way of a message as long as its session is there; else a new one, which it keeps.
    fn way_of_pin(
        &mut self,
        now: Moment,
        owner: Owner,
        sendable: &Sendable<'_>,
        request: &CheckedRequest<'_>,
    ) -> Way {
        let Some(pin) = self.pins.get(sendable.pin) else {
            return Way::NoRoom;
        };
        if !self
            .pins
            .may_go(sendable.pin, sendable.segment.place.sequence, now)
        {
            return Way::NoRoom;
        }
        match pin.far {
            Some(Far::Session(session)) => {
                if let Some(server) = self.transmits_to(session) {
                    return if self.session_has_room(server, session) {
                        Way::Session(server, session)
                    } else {
                        Way::NoRoom
                    };
                }
                if self.lies_unwritten(sendable.pin, session) {
                    return Way::NoRoom;
                }
            }
            Some(Far::ServerAt(server, core)) => {
                let remotes = &self.servers[usize::from(server.0)].remotes;
                let link = &self.links[core.as_usize()];
                let remote = remotes
                    .iter()
                    .find(|remote| remote.core == core && remote.sessions > 0);
                if let Some(remote) = remote.filter(|_| !link.is_gone) {
                    let is_open = link.takes_segments(now) && remote.has_room && remote.closed_until <= now;
                    return if is_open {
                        Way::Core(server, core)
                    } else {
                        Way::NoRoom
                    };
                }
                if pin.in_flight > 0 {
                    // What is under way there may still find a session that we have not heard of.
                    return Way::NoRoom;
                }
            }
            Some(Far::PoolAt(..)) | None => {}
        }
        let way = match owner {
            Owner::Account(vserver, account) => {
                self.choose_way_of(now, vserver, account, request, sendable.journey.mark.route())
            }
            Owner::Identity(_, identity) => self.choose_identity_session(identity, None, sendable.command),
            Owner::Server(..) | Owner::Home => Way::NoServer,
        };
        let far = match way {
            Way::Session(_, session) => Far::Session(session),
            Way::Core(server, core) => Far::ServerAt(server, core),
            Way::NoRoom | Way::NoServer => return way,
        };
        if let Some(pin) = self.pins.get_mut(sendable.pin) {
            pin.far = Some(far);
        }
        way
    }

    /// Another core's segment of a message that it has pinned here. `None`: it is no segment after all.
    pub(in crate::core) fn enter_relayed(
        &mut self,
        now: Moment,
        from: CoreIndex,
        pin: PinId,
        command: CommandId,
        pdu: &[u8],
    ) -> Option<RelayedPin> {
        let segment = Segment::relayed(&self.settings, from, pin, command, pdu)?;
        let pin = self.enter_pin(now, Owner::Home, &segment, 0);
        Some(RelayedPin { pin, segment })
    }

    /// Another core's segment for this core's sessions at `server`: all of its message take the same one.
    #[allow(clippy::too_many_arguments, reason = "what a segment is and whose it is")]
    pub(in crate::core) fn submit_segment_for_core(
        &mut self,
        now: Moment,
        server: ServerIndex,
        command: CommandId,
        pdu: &[u8],
        receipt: Option<SubmitNote>,
        origin: Origin,
        relayed: &RelayedPin,
    ) -> bool {
        let sendable = Sendable {
            pin: relayed.pin,
            segment: &relayed.segment,
            command,
            pdu,
            origin,
            journey: Journey::starting(now),
            receipt,
        };
        let sent = match self.session_of_relayed_pin(now, server, &sendable) {
            Some(to) => self.submit_segment_here(now, server, to, &sendable),
            None => false,
        };
        if !sent {
            self.segment_waits(now, Owner::Home, &sendable);
        }
        sent
    }

    fn session_of_relayed_pin(
        &mut self,
        now: Moment,
        server: ServerIndex,
        sendable: &Sendable<'_>,
    ) -> Option<ConnectionId> {
        let pin = self.pins.get(sendable.pin)?;
        if !self
            .pins
            .may_go(sendable.pin, sendable.segment.place.sequence, now)
        {
            return None;
        }
        if let Some(Far::Session(session)) = pin.far {
            if self.transmits_to(session) == Some(server) {
                return Some(session).filter(|session| self.session_has_room(server, *session));
            }
            if self.lies_unwritten(sendable.pin, session) {
                return None;
            }
        }
        let state = self.servers.get_mut(usize::from(server.0))?;
        if !state.has_local_room() {
            return None;
        }
        let octets_max = self.settings.engine.server_output_octets_max;
        let Some(session) = session_with_room(state, &self.sessions, octets_max) else {
            state.is_choked = true;
            return None;
        };
        self.pins.get_mut(sendable.pin)?.far = Some(Far::Session(session));
        Some(session)
    }

    fn submit_segment_here(
        &mut self,
        now: Moment,
        server: ServerIndex,
        to: ConnectionId,
        sendable: &Sendable<'_>,
    ) -> bool {
        let version = self.servers[usize::from(server.0)].version;
        let kind = self.kind_towards(server, version, sendable.segment.place.kind);
        self.send_segment(now, to, version, kind, sendable)
    }

    fn submit_segment_at(
        &mut self,
        now: Moment,
        server: ServerIndex,
        core: CoreIndex,
        sendable: &Sendable<'_>,
    ) -> bool {
        let version = self.servers[usize::from(server.0)].version;
        let kind = self.kind_towards(server, version, sendable.segment.place.kind);
        let sent = self.send_segment_to_core(
            now,
            core,
            CoreTarget::Server(server),
            Via::Server(server),
            kind,
            sendable,
        );
        if sent {
            self.servers[usize::from(server.0)].remote_mut(core).outstanding += 1;
            self.trial_sent(now, server, sendable.command);
        }
        sent
    }

    /// Copies a segment, marked as its message leaves, to another core.
    pub(super) fn send_segment_to_core(
        &mut self,
        now: Moment,
        core: CoreIndex,
        target: CoreTarget,
        via: Via,
        kind: ConcatenationKind,
        sendable: &Sendable<'_>,
    ) -> bool {
        let mut pdu = self.buffers.take();
        if !self.write_segment(&mut pdu, kind, sendable) {
            self.buffers.give(pdu);
            return false;
        }
        let note = self.pins.note(sendable.pin, sendable.segment.place.sequence);
        let pending = Pending {
            note,
            via,
            ..Pending::on_journey(sendable.origin, sendable.command, now, sendable.journey)
        };
        let sent = self.send_core_request(now, core, pending, |reference, _| CoreRequest {
            reference,
            target,
            pdu,
            leave_out: 0..0,
            receipt: sendable.receipt,
            message: Some(sendable.pin),
        });
        if let Some(receipt) = sendable.receipt.filter(|_| sent) {
            // Kept for the time that it comes back.
            self.links[core.as_usize()]
                .window
                .note_last(Note::Submit(receipt));
        }
        if let Some(note) = note.filter(|_| !sent) {
            self.pins.unsent(note);
        }
        sent
    }

    /// How segments are marked for a server: as it is configured, and without TLVs where it knows none.
    fn kind_towards(
        &self,
        server: ServerIndex,
        version: Version,
        came: ConcatenationKind,
    ) -> ConcatenationKind {
        let wished = match self.settings.servers[usize::from(server.0)].concat_reference {
            ConcatReference::Keep => came,
            ConcatReference::Udh8 => ConcatenationKind::Udh8,
            ConcatReference::Udh16 => ConcatenationKind::Udh16,
            ConcatReference::Sar => ConcatenationKind::Sar,
        };
        readable_kind(version, wished)
    }

    /// The server that a session may send requests to now; one that leaves on a reload gets no more.
    fn transmits_to(&self, session: ConnectionId) -> Option<ServerIndex> {
        let session = self.sessions.get(session)?;
        match session.state {
            SessionState::Bound(kind) if kind.transmits() => {
                let side = session.server().filter(|side| !side.is_leaving);
                side.map(|side| side.server)
            }
            _ => None,
        }
    }

    fn session_has_room(&self, server: ServerIndex, session: ConnectionId) -> bool {
        let octets_max = self.settings.engine.server_output_octets_max;
        self.sessions.get(session).is_some_and(|session| {
            let is_counted = session.server().is_some_and(|side| side.is_counted);
            !session.window.is_full()
                && session.output.waiting_octets() <= octets_max
                && session.output.may_retain_more()
                && (!is_counted || self.servers[usize::from(server.0)].has_local_room())
        })
    }

    /// The time for which order keeps later segments behind one that found no room.
    pub(super) fn patience_for_order(&self, owner: Owner) -> std::time::Duration {
        let vserver = match owner {
            Owner::Account(vserver, _) | Owner::Server(vserver, _) | Owner::Identity(vserver, _) => vserver,
            Owner::Home => VserverIndex(0),
        };
        let vserver = self.settings.vservers.get(usize::from(vserver.0));
        vserver.map(|vserver| vserver.hold_time).unwrap_or_default()
    }
}

/// A peer of v3.3 knows no TLVs, and peers of its age often only the 8-bit element.
pub(super) const fn readable_kind(version: Version, wished: ConcatenationKind) -> ConcatenationKind {
    match (version, wished) {
        (Version::V33, ConcatenationKind::Sar) => ConcatenationKind::Udh8,
        _ => wished,
    }
}
