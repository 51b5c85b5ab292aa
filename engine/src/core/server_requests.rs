//! A server's requests on their way to a client (MO): find the best pool, then the core, then the session.
//!
//! Invariant: every deliver_sm and data_sm that was counted gets exactly one answer. Must never hand a message to a session
//! that cannot receive, or to a pool that a more specific range covers.

use super::checked_request::Refusal;
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::{AccountAt, CoreRequest, CoreTarget, MessageSender, PoolHandle};
use super::engine::PacketEngine;
use super::figures::{Rule, count};
use super::pool::{PoolIndex, PoolTurn, TriedPlaces};
use super::range::Claim;
use super::relay::Relay;
use super::sequence::{Origin, Pending, Via};
use super::session::{BindKind, Session, SessionState, Side};
use super::settings::{PoolMethod, VserverIndex};
use super::time::Moment;
use super::versions::{Readers, SHORT_MESSAGE_OCTETS_MAX, for_v33, is_too_long_for_v33, needs_tlvs};
use super::wire::{
    Address, AlertView, CommandId, DataView, Fault, Header, MessageView, Status, Tag, Version,
};

/// A message for a client, checked.
#[derive(Clone)]
pub(super) struct CheckedMessage<'a> {
    pub(super) pdu: &'a [u8],
    pub(super) command: CommandId,
    pub(super) destination: Address<'a>,
    /// Its text does not fit without TLVs.
    pub(super) needs_tlvs: bool,
    /// Its esm_class says that it is a delivery receipt.
    pub(super) is_marked_receipt: bool,
    /// It is worth looking whether it is one: marked, or with TLVs, or with a text that begins like a receipt's
    /// (PITFALLS 11: some servers do not mark them).
    pub(super) may_be_receipt: bool,
    /// Only this account may get it, whatever its destination.
    pub(super) account: Option<AccountAt>,
    /// It can be a segment of a concatenated message; a receipt is none.
    pub(super) may_be_segment: bool,
    /// Who sent it, where another core's session had it.
    pub(super) sender: Option<MessageSender>,
}

impl<'a> CheckedMessage<'a> {
    /// Checks a deliver_sm or data_sm by one bounded walk, or takes a vendor command as it is.
    #[inline]
    pub(super) fn check(command: CommandId, pdu: &'a [u8]) -> Result<Self, Fault> {
        if command == CommandId::DELIVER_SM {
            let view = MessageView::parse(pdu)?;
            view.check_destination()?;
            let (tlvs, is_marked_receipt) = (view.tlvs().range(), is_receipt(view.esm_class()));
            Ok(Self {
                pdu,
                command,
                destination: view.destination(),
                needs_tlvs: needs_tlvs(view.tlvs()),
                may_be_receipt: is_marked_receipt
                    || !tlvs.is_empty()
                    || begins_like_receipt(view.short_message()),
                may_be_segment: view.may_be_segment() && !is_marked_receipt,
                is_marked_receipt,
                account: None,
                sender: None,
            })
        } else if command.is_vendor() {
            // Nothing of it is known; the rule that lets it through says whose it is.
            Ok(Self::checked_elsewhere(command, pdu))
        } else {
            let view = DataView::parse(pdu)?;
            view.check_destination()?;
            Ok(Self {
                pdu,
                command,
                destination: view.destination(),
                needs_tlvs: false,
                is_marked_receipt: is_receipt(view.esm_class()),
                may_be_receipt: is_receipt(view.esm_class())
                    || view.tlvs().find(Tag::RECEIPTED_MESSAGE_ID).is_some(),
                may_be_segment: view.may_be_segment() && !is_receipt(view.esm_class()),
                account: None,
                sender: None,
            })
        }
    }

    /// A message of which no more is read: another core has checked it and found the pool for it.
    #[inline]
    pub(super) fn checked_elsewhere(command: CommandId, pdu: &'a [u8]) -> Self {
        Self {
            pdu,
            command,
            destination: Address {
                ton: 0,
                npi: 0,
                addr: &[],
            },
            // A short PDU cannot need any, and is not read again.
            needs_tlvs: pdu.len() > SHORT_MESSAGE_OCTETS_MAX && is_too_long_for_v33(command, pdu),
            is_marked_receipt: false,
            may_be_receipt: false,
            account: None,
            may_be_segment: false,
            sender: None,
        }
    }
}

impl PacketEngine {
    /// A deliver_sm of a server: the way of any message, compiled for this command alone.
    #[inline(never)]
    pub(super) fn deliver_from_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
    ) {
        self.pass_server_request(now, from, header.of_command(CommandId::DELIVER_SM), pdu);
    }

    /// A deliver_sm or data_sm of a server, or a vendor command that a rule lets through.
    #[inline(never)]
    pub(super) fn server_request(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        self.pass_server_request(now, from, header, pdu);
    }

    #[inline(always)]
    fn pass_server_request(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let may_send = matches!(session.state, SessionState::Bound(kind) if kind.receives());
        let Side::Server(side) = &mut session.side else {
            return;
        };
        let (server, identity, is_leaving) = (side.server, side.identity, side.is_leaving);
        if !may_send {
            if !self.is_stranger(now, from) {
                let refusal = Refusal::Status(Status::ESME_RINVBNDSTS);
                self.refuse_uncounted(now, from, &header, pdu, &refusal);
            }
            return;
        }
        let message = match CheckedMessage::check(header.command_id, pdu) {
            Ok(message) => message,
            Err(fault) => return self.refuse_uncounted(now, from, &header, pdu, &Refusal::Fault(fault)),
        };
        session.faults = 0;
        let is_curbed = session.is_curbed;
        side.unanswered += 1;
        count(&mut self.counters.mobile_originated, 1);
        session.exchanges.server_request(header.command_id);
        if is_leaving || self.drain.is_some() {
            self.log_mobile_originated(now, from, &header, pdu);
            return self.answer_mobile_originated(now, from, &header, Status::ESME_RX_T_APPN);
        }
        let vserver = self.settings.servers[usize::from(server.0)].mobile_originated_vserver;
        let origin = Origin::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        if message.may_be_receipt
            && let Some(vserver) = vserver
            && self.receipt_from_server(now, server, vserver, identity, &message, origin)
        {
            return;
        }
        if self.message_log.is_on() {
            self.log_mobile_originated(now, from, &header, pdu);
        }
        if is_curbed && let (None, Some(vserver)) = (identity, vserver) {
            return self.route_message(now, from, server, &header, pdu, vserver);
        }
        let refusal = match (identity, vserver) {
            (Some(identity), _) if self.deliver_to_identity(now, identity, &message, origin, false) => Ok(()),
            (None, Some(vserver)) => self.deliver_or_queue(now, vserver, &message, origin),
            _ => Err(Status::ESME_RX_T_APPN),
        };
        if let Err(status) = refusal {
            self.answer_mobile_originated(now, from, &header, status);
        }
    }

    /// Finds a session for a message, here or on another core, and sends it there. `Err`: nobody can take it now, with the
    /// status that says so.
    pub(super) fn deliver(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        not_at: Option<CoreIndex>,
        rerouted: bool,
    ) -> Result<(), Status> {
        if let Some(account) = message.account {
            let pool = self.pool_of_account(account)?;
            return self.deliver_to_pool(now, pool, message, origin, not_at, rerouted);
        }
        if message.may_be_segment
            && let Some(outcome) = self.segment_from_server(now, vserver, message, origin, not_at, rerouted)
        {
            return outcome;
        }
        let pool = self.best_pool(vserver, message)?;
        self.deliver_to_pool(now, pool, message, origin, not_at, rerouted)
    }

    /// Sends a message to a session of a pool, here or on another core.
    pub(super) fn deliver_to_pool(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        not_at: Option<CoreIndex>,
        rerouted: bool,
    ) -> Result<(), Status> {
        // Nearly always the first place has room: only behind it there is something to remember.
        let mut first = None;
        if message.is_plain() {
            first = self.next_place(now, pool, true, |core, _| Some(core) == not_at);
            let Some(place) = first else {
                return Err(Status::ESME_RX_T_APPN);
            };
            if self.deliver_at(now, place, pool, message, origin, rerouted) {
                return Ok(());
            }
        }
        self.deliver_to_others(now, pool, first, message, (origin, not_at, rerouted))
    }

    /// Tries the places of a pool that can read a message, but for the one that was tried first.
    #[cold]
    #[inline(never)]
    fn deliver_to_others(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        first: Option<PoolTurn>,
        message: &CheckedMessage<'_>,
        (origin, not_at, rerouted): (Origin, Option<CoreIndex>, bool),
    ) -> Result<(), Status> {
        let mut tried = TriedPlaces::none_but(not_at);
        if let Some(first) = first {
            tried.add(first);
        }
        let readers = self.readers_of(pool, message);
        while let Some(next) = self.next_untried_place(now, pool, &tried, readers) {
            if self.deliver_at(now, next, pool, message, origin, rerouted) {
                return Ok(());
            }
            tried.add(next);
        }
        Err(Status::ESME_RX_T_APPN)
    }

    #[inline]
    fn deliver_at(
        &mut self,
        now: Moment,
        place: PoolTurn,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        match place {
            PoolTurn::Here => self.deliver_here(now, pool, message, origin, rerouted),
            PoolTurn::Core(core, handle) => {
                self.send_core_request_to_pool(now, core, handle, message, origin, rerouted)
            }
        }
    }

    /// The most specific pool for a message; else the status that says why there is none.
    #[inline]
    pub(super) fn best_pool(
        &self,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
    ) -> Result<PoolIndex, Status> {
        let pool = self.pools.best(&self.settings, vserver, message.destination);
        pool.ok_or_else(|| {
            if self.settings.may_be_claimed(vserver, message.destination.addr) {
                Status::ESME_RX_T_APPN
            } else {
                Status::ESME_RINVDSTADR
            }
        })
    }

    /// Whose members of a pool are to be tried next, of those that were not tried; `None` also after enough of them.
    #[cold]
    #[inline(never)]
    pub(super) fn next_untried_place(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        tried: &TriedPlaces,
        readers: Readers,
    ) -> Option<PoolTurn> {
        if tried.are_enough() {
            return None;
        }
        let here_is_usable = !tried.is_here() && readers.may_be_here();
        self.next_place(now, pool, here_is_usable, |core, has_newer| {
            tried.includes(core) || !readers.may_be_there(has_newer)
        })
    }

    #[inline(always)]
    fn next_place(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        here_is_usable: bool,
        is_left_out: impl Fn(CoreIndex, bool) -> bool,
    ) -> Option<PoolTurn> {
        let links = &self.links;
        let usable = |core: CoreIndex, has_newer: bool| {
            !is_left_out(core, has_newer) && links[core.as_usize()].is_usable(now)
        };
        self.pools.take_turn(pool, here_is_usable, usable)
    }

    /// Sends a message to a session of this core's part of a pool; `false` when none has room.
    #[inline]
    pub(super) fn deliver_here(
        &mut self,
        now: Moment,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        let Some(to) = self.choose_member_for(pool, message) else {
            return false;
        };
        self.send_message(now, to, message, origin, rerouted)
    }

    /// The member of a pool whose turn it is, among those with room that can read a message; any with room where nobody can.
    #[inline]
    pub(super) fn choose_member_for(
        &mut self,
        pool: PoolIndex,
        message: &CheckedMessage<'_>,
    ) -> Option<ConnectionId> {
        let any_reads = !self.nobody_reads(pool, message);
        let reads = |version: Version| {
            !any_reads || version.has_tlvs() || !message.needs_tlvs && version.knows(message.command)
        };
        self.choose_member(pool, reads)
    }

    /// Sends a message to a client's session; `false` when it has no room.
    #[inline]
    pub(super) fn send_message(
        &mut self,
        now: Moment,
        to: ConnectionId,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> bool {
        // Other cores may know the pool before the client has its bind_resp: that goes first.
        self.release_bind_before_message(now, to);
        let Some(session) = self.sessions.get(to) else {
            return false;
        };
        let sent = if session.version == Version::V33 {
            match self.send_message_to_v33(now, to, message, origin, rerouted) {
                Some(sent) => sent,
                None => return true,
            }
        } else {
            self.send_request(
                now,
                to,
                Relay::whole(message.pdu),
                origin,
                message.command,
                rerouted,
            )
        };
        if sent {
            if let Some(account) = message.account {
                self.note_account(to, account);
            }
            self.room_taken_at_client(to);
        }
        sent
    }

    /// `None`: it cannot be read by a session of v3.3, and was refused.
    #[cold]
    fn send_message_to_v33(
        &mut self,
        now: Moment,
        to: ConnectionId,
        message: &CheckedMessage<'_>,
        origin: Origin,
        rerouted: bool,
    ) -> Option<bool> {
        let translated = for_v33(message.command, message.pdu, &mut self.buffers);
        let is_known = Version::V33.knows(message.command);
        let Some(translated) = translated.filter(|_| is_known) else {
            self.refuse_untranslatable(now, message, origin);
            return None;
        };
        let sent = self.send_request(now, to, translated.relay(), origin, message.command, rerouted);
        translated.give_back(&mut self.buffers);
        Some(sent)
    }

    /// The member whose turn it is, by the vserver's pool method, among those with room.
    #[inline]
    fn choose_member(&mut self, pool: PoolIndex, reads: impl Fn(Version) -> bool) -> Option<ConnectionId> {
        let Self {
            pools,
            sessions,
            settings,
            ..
        } = self;
        let pool = pools.get_mut(pool)?;
        let octets_max = settings.engine.output_octets_max;
        let has_room = |member: ConnectionId| {
            let session = sessions.get(member)?;
            let fits = !session.window.is_full() && session.output.waiting_octets() <= octets_max;
            (fits && reads(session.version)).then(|| session.window.outstanding())
        };
        let count = pool.local.len();
        let turns = (0..count).map(|step| (pool.cursor + step) % count);
        let method = match pool.key.claim {
            // Receipts go where the window is freest.
            Claim::Receipts(_) => PoolMethod::LeastOutstanding,
            Claim::Range(_) | Claim::Allowed(_) => {
                settings.vservers[usize::from(pool.key.vserver.0)].pool_method
            }
        };
        let place = match method {
            PoolMethod::RoundRobin => turns
                .into_iter()
                .find(|place| has_room(pool.local[*place]).is_some()),
            PoolMethod::LeastOutstanding => turns
                .filter_map(|place| Some((has_room(pool.local[place])?, place)))
                .min_by_key(|(outstanding, _)| *outstanding)
                .map(|(_, place)| place),
        }?;
        pool.cursor = place + 1;
        Some(pool.local[place])
    }

    /// alert_notification has no response and takes no window slot: it goes to a session of the ESME's pool, on whatever core.
    pub(super) fn alert(&mut self, now: Moment, from: ConnectionId, pdu: &[u8]) {
        let Ok(view) = AlertView::parse(pdu) else {
            return self.count_fault(now, from, Rule::Other);
        };
        let receiving = self
            .sessions
            .get(from)
            .filter(|session| session.bound().is_some_and(BindKind::receives));
        let Some(server) = receiving.and_then(Session::server) else {
            return self.count_fault(now, from, Rule::State);
        };
        let Some(vserver) = self.settings.servers[usize::from(server.server.0)].mobile_originated_vserver
        else {
            return;
        };
        let Some(pool) = self.pools.best(&self.settings, vserver, view.esme()) else {
            return;
        };
        let mut tried = TriedPlaces::none_but(None);
        let readers = Readers::Newer { here: true };
        while let Some(place) = self.next_untried_place(now, pool, &tried, readers) {
            let sent = match place {
                PoolTurn::Here => self.alert_here(now, pool, pdu),
                PoolTurn::Core(core, handle) => self.send_alert_to_core(now, core, handle, pdu),
            };
            if sent {
                return;
            }
            tried.add(place);
        }
        // It has no response that could say so, and few may be under way to another core at a time.
        self.counters.alerts_lost += 1;
    }

    /// Gives an alert to a session of this core's part of a pool; `false` where none can take it.
    pub(super) fn alert_here(&mut self, now: Moment, pool: PoolIndex, pdu: &[u8]) -> bool {
        let reads = |version: Version| version.knows(CommandId::ALERT_NOTIFICATION);
        let Some(to) = self.choose_member(pool, reads) else {
            return false;
        };
        self.release_bind_before_message(now, to);
        let number = self
            .sessions
            .get_mut(to)
            .map_or(0, |session| session.window.skip_number());
        self.send_copy(to, pdu, number);
        true
    }

    fn send_alert_to_core(&mut self, now: Moment, core: CoreIndex, handle: PoolHandle, pdu: &[u8]) -> bool {
        let pending = Pending {
            via: Via::Pool,
            ..Pending::new(Origin::Own, CommandId::ALERT_NOTIFICATION, now)
        };
        self.send_core_request(now, core, pending, |reference, buffers| {
            let pdu = buffers.copy_of(pdu);
            CoreRequest {
                reference,
                target: CoreTarget::Alert(handle),
                pdu,
                leave_out: 0..0,
                receipt: None,
                message: None,
            }
        })
    }
}

/// Bits 5-2 of esm_class: 0001 is a delivery receipt, 1000 an intermediate notification (SMPP v5.0 section 4.7.12).
#[inline]
const fn is_receipt(esm_class: u8) -> bool {
    matches!(esm_class & 0x3C, 0x04 | 0x20)
}

/// The text of a receipt starts with its id.
#[inline]
const fn begins_like_receipt(text: &[u8]) -> bool {
    matches!(text, [b'i' | b'I', b'd' | b'D', b':', ..])
}
