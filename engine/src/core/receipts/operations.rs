//! query_sm, cancel_sm, replace_sm and their kin: which server has the message, and may this account touch it? A broadcast_sm
//! that names an earlier one takes its place, and is one of them.
//!
//! All clients may share one account at the SMSC, so smppmux guards them from each other. A client's id is taken apart at
//! once; what goes on is the PDU with the server's own id and, behind it, a note of ours that names the server: a TLV that is cut off
//! before anything is sent. Invariants: no PDU without that note reaches a server by an id; an id that is forged, unknown,
//! or that a stored owner says is another account's is refused (ESME_RINVMSGID), whoever else may answer.

use super::gather::cancel_failed;
use super::message_id::{ReadId, read_id};
use super::reading::Spelling;
use crate::core::checked_request::{CheckedRequest, Refusal};
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::core_message::{CoreOutcome, HomeQuestion, HomeVerdict};
use crate::core::engine::PacketEngine;
use crate::core::sequence::{Origin, Pending};
use crate::core::session::{Session, SessionState};
use crate::core::settings::{
    ClientIndex, MessageIdMode, ServerIndex, Settings, VserverIndex, VserverSettings,
};
use crate::core::time::Moment;
use crate::core::wire::{
    Acceptance, Address, BroadcastView, CancelBroadcastView, CancelView, CommandId, Fault, Header,
    QueryBroadcastView, QueryView, ReplaceView, Status, patch_command_length, validate,
};
use bytes::{BufMut, BytesMut};
use std::ops::Range;

/// Our note behind a PDU whose id has been taken apart: a TLV of the vendors' range with the server's uid. A client that
/// sends one like it gains nothing: only what stands last counts, and we append ours to every such PDU.
const NOTE_TAG: u16 = 0x3FFF;
pub(in crate::core) const NOTE_OCTETS: usize = 6;

/// What the home of a message id is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerQuestion {
    /// Who wants to use the id; `None`: a client that is no configured account.
    account: Option<ClientIndex>,
    /// The id's place in the receipt table, or in that of mapped ids.
    key: u64,
    id: AskedId,
    /// The id itself says that it is this account's.
    is_proven: bool,
    pub(in crate::core) home: u64,
}

/// What a home knows of an id and an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ownership {
    Theirs,
    AnotherAccounts,
    /// There is no entry, or not yet.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedId {
    /// The PDU has the server's own id already.
    Named(Spelling),
    /// The PDU has a mapped id.
    Mapped,
}

impl PacketEngine {
    /// A client's operation on a message.
    pub(in crate::core) fn message_operation(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        pdu: &[u8],
    ) {
        let Some(session) = self.sessions.get(from) else {
            return;
        };
        let (state, version) = (session.state, session.version);
        let Some(client) = session.client() else { return };
        if state == SessionState::Binding && client.accepted {
            self.release_bind(now, from);
            return self.message_operation(now, from, header, pdu);
        }
        let (vserver, account) = (client.vserver, client.client);
        if !matches!(state, SessionState::Bound(kind) if kind.transmits()) {
            return self.refuse_operation(now, from, &header, pdu, Status::ESME_RINVBNDSTS);
        }
        let id = match validate(pdu, &Acceptance::of(version)).and_then(|()| id_range(header.command_id, pdu))
        {
            Ok(id) => id,
            Err(fault) => return self.refuse_uncounted(now, from, &header, pdu, &Refusal::Fault(fault)),
        };
        if header.command_id == CommandId::BROADCAST_SM {
            if id.is_empty() {
                return self.client_request(now, from, header, pdu);
            }
            // On its way to another session it may have lost our note, and nothing that looks like one must take its place.
            if ends_with_note(pdu) {
                return self.refuse_operation(now, from, &header, pdu, Status::ESME_RINVOPTPARSTREAM);
            }
        }
        if CheckedRequest::is_cancel_all(header.command_id, &pdu[id.clone()]) {
            return self.cancel_all(now, from, header, pdu);
        }
        let settings = &self.settings.vservers[usize::from(vserver.0)];
        match read_id(settings, &client.system_id, &pdu[id.clone()]) {
            Some(ReadId::Named { id: own, uid }) => {
                let Some(server) = server_with(&self.settings, settings, uid) else {
                    return self.refuse_operation(now, from, &header, pdu, Status::ESME_RINVMSGID);
                };
                let settings_of_ids = &settings.message_id;
                let settings = &self.settings.servers[usize::from(server.0)];
                let place = self
                    .settings
                    .receipts
                    .keys
                    .of_id(uid, own, settings.message_id_format);
                let question = OwnerQuestion {
                    account,
                    key: place.key,
                    id: AskedId::Named(place.spelling),
                    is_proven: settings_of_ids.mode == MessageIdMode::Signed,
                    home: place.home,
                };
                let mut resolved = self.buffers.take();
                write_resolved(&mut resolved, pdu, id.clone(), own, uid);
                self.operation_resolved(now, from, header, question, resolved);
            }
            Some(ReadId::Mapped) if self.settings.receipts.is_kept => {
                let key = self.settings.receipts.keys.of_client_id(&pdu[id]);
                let question = OwnerQuestion {
                    account,
                    key,
                    id: AskedId::Mapped,
                    is_proven: false,
                    home: key,
                };
                let copy = self.buffers.copy_of(pdu);
                self.operation_resolved(now, from, header, question, copy);
            }
            _ => self.refuse_operation(now, from, &header, pdu, Status::ESME_RINVMSGID),
        }
    }

    /// A broadcast_sm is a message, so the log has it.
    fn refuse_operation(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
        status: Status,
    ) {
        self.refuse_uncounted(now, from, header, pdu, &Refusal::Status(status));
    }

    /// The server of an operation is known, or its home core knows it: asks whose the message is, and goes on.
    fn operation_resolved(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: Header,
        question: OwnerQuestion,
        mut pdu: BytesMut,
    ) {
        let home = self.home_of(question.home);
        let is_here = home == self.core || !self.settings.receipts.is_kept;
        let ownership = if is_here {
            self.ownership(now, question, &mut pdu)
        } else {
            Ownership::Unknown
        };
        match ownership {
            Ownership::Theirs => self.client_request(now, from, header, &pdu),
            Ownership::AnotherAccounts => {
                self.refuse_operation(now, from, &header, &pdu, Status::ESME_RINVMSGID);
            }
            Ownership::Unknown if self.count_request(now, from, header) => {
                let origin = Origin::Session {
                    connection: from,
                    sequence_number: header.sequence_number,
                };
                let pending = Pending::new(origin, header.command_id, now);
                let is_asked = if is_here {
                    match self.wait_for_words(now, pending, question, pdu) {
                        Ok(()) => return,
                        Err(back) => pdu = back,
                    }
                    false
                } else {
                    self.ask_home(now, home, HomeQuestion::Owner(question), pending, &pdu)
                };
                if !is_asked {
                    self.counters.throttled += 1;
                    self.answer_client(now, from, header, Status::ESME_RTHROTTLED);
                }
            }
            Ownership::Unknown => {}
        }
        self.buffers.give(pdu);
    }

    /// The home's answer, as far as is known. A mapped id is replaced by what it stands for.
    fn ownership(&mut self, now: Moment, question: OwnerQuestion, pdu: &mut BytesMut) -> Ownership {
        if !self.settings.receipts.is_kept {
            return Ownership::Theirs;
        }
        let known = self.ownership_by_entry(now, question, pdu);
        if known != Ownership::Unknown || self.has_other_cores() && !question.is_proven {
            return known;
        }
        // No entry can be on its way.
        match question.id {
            AskedId::Named(_) => Ownership::Theirs,
            AskedId::Mapped => Ownership::AnotherAccounts,
        }
    }

    fn ownership_by_entry(&mut self, now: Moment, question: OwnerQuestion, pdu: &mut BytesMut) -> Ownership {
        let seconds = self.seconds(now);
        let theirs_if = |is_theirs: bool| {
            if is_theirs {
                Ownership::Theirs
            } else {
                Ownership::AnotherAccounts
            }
        };
        match question.id {
            AskedId::Named(spelling) => {
                let owner = self.receipts.table.owner(seconds, question.key, spelling);
                owner.map_or(Ownership::Unknown, |owner| {
                    theirs_if(Some(owner) == question.account)
                })
            }
            AskedId::Mapped => {
                let Some(entry) = self.receipts.mapped.find(seconds, question.key) else {
                    return Ownership::Unknown;
                };
                let id = Header::read(pdu).and_then(|header| id_range(header.command_id, pdu).ok());
                let Some(id) = id.filter(|_| entry.account == question.account) else {
                    return Ownership::AnotherAccounts;
                };
                let uid = self.settings.servers[usize::from(entry.server.0)].uid;
                let mut resolved = self.buffers.take();
                write_resolved(&mut resolved, pdu, id, entry.id(), uid);
                self.buffers.give(std::mem::replace(pdu, resolved));
                Ownership::Theirs
            }
        }
    }

    /// What holds once every core has handed over what it knew: who is not known to be another account may name an id that says
    /// what it stands for; a mapped one says nothing.
    pub(super) fn may_use_after_all(
        &mut self,
        now: Moment,
        question: OwnerQuestion,
        pdu: &mut BytesMut,
    ) -> bool {
        match self.ownership_by_entry(now, question, pdu) {
            Ownership::Theirs => true,
            Ownership::AnotherAccounts => false,
            Ownership::Unknown => matches!(question.id, AskedId::Named(_)),
        }
    }

    /// Tells whoever asked about an operation.
    pub(super) fn tell_owner(&mut self, now: Moment, pending: &Pending, may_use: bool, pdu: BytesMut) {
        if let Origin::Core { core, reference } = pending.origin {
            let verdict = CoreOutcome::Verdict(HomeVerdict::Owner(may_use), pdu);
            self.send_core_answer(core, reference, verdict);
        } else {
            self.owner_told(now, pending, may_use, pdu);
        }
    }

    /// A counted operation at the home of its id: an answer now, or when the other cores have spoken.
    fn owner_asked_by(&mut self, now: Moment, pending: Pending, question: OwnerQuestion, mut pdu: BytesMut) {
        let ownership = self.ownership(now, question, &mut pdu);
        if ownership != Ownership::Unknown {
            return self.tell_owner(now, &pending, ownership == Ownership::Theirs, pdu);
        }
        if let Err(pdu) = self.wait_for_words(now, pending, question, pdu) {
            self.counters.throttled += 1;
            self.fail_request(now, &pending, Status::ESME_RTHROTTLED);
            self.buffers.give(pdu);
        }
    }

    /// Another core asks whose a message is.
    pub(in crate::core) fn owner_asked(
        &mut self,
        now: Moment,
        from: CoreIndex,
        reference: u32,
        question: OwnerQuestion,
        pdu: BytesMut,
    ) {
        let origin = Origin::Core {
            core: from,
            reference,
        };
        let command = Header::read(&pdu).map_or(CommandId::QUERY_SM, |header| header.command_id);
        self.owner_asked_by(now, Pending::new(origin, command, now), question, pdu);
    }

    /// The home of an id has moved here while it was asked.
    pub(in crate::core) fn owner_asked_here(
        &mut self,
        now: Moment,
        pending: &Pending,
        question: OwnerQuestion,
        pdu: BytesMut,
    ) {
        self.owner_asked_by(now, *pending, question, pdu);
    }

    /// The home core has spoken about a counted operation.
    pub(in crate::core) fn owner_told(
        &mut self,
        now: Moment,
        pending: &Pending,
        may_use: bool,
        mut pdu: BytesMut,
    ) {
        let Origin::Session {
            connection,
            sequence_number,
        } = pending.origin
        else {
            return self.buffers.give(pdu);
        };
        crate::core::wire::patch_sequence_number(&mut pdu, sequence_number);
        if may_use {
            self.retry_or_hold(now, connection, &pdu, pending.journey());
        } else {
            self.fail_request(now, pending, Status::ESME_RINVMSGID);
        }
        self.buffers.give(pdu);
    }

    /// A cancel_sm or cancel_broadcast_sm without an id: for every server, if the account may use the source address that it
    /// names.
    fn cancel_all(&mut self, now: Moment, from: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(client) = self.sessions.get(from).and_then(Session::client) else {
            return;
        };
        let source = match header.command_id {
            CommandId::CANCEL_SM => CancelView::parse(pdu).map(|view| view.source()),
            _ => CancelBroadcastView::parse(pdu).map(|view| view.source()),
        };
        let Ok(Address { addr: source, .. }) = source else {
            return;
        };
        // An identity's own server judges for itself.
        let may_use = client.identity.is_some()
            || client.client.is_some_and(|index| {
                let ranges = &self.settings.clients[index.0 as usize].address_ranges;
                !source.is_empty() && ranges.iter().any(|range| range.matches(source))
            });
        if !may_use {
            return self.refuse(now, from, &header, cancel_failed(header.command_id));
        }
        if self.count_request(now, from, header) {
            self.send_to_all_servers(now, from, header, pdu);
        }
    }
}

/// Where the message_id of an operation stands.
fn id_range(command: CommandId, pdu: &[u8]) -> Result<Range<usize>, Fault> {
    Ok(match command {
        CommandId::QUERY_SM => QueryView::parse(pdu)?.message_id_range(),
        CommandId::CANCEL_SM => CancelView::parse(pdu)?.message_id_range(),
        CommandId::REPLACE_SM => ReplaceView::parse(pdu)?.message_id_range(),
        CommandId::BROADCAST_SM => BroadcastView::parse(pdu)?.message_id_range(),
        CommandId::QUERY_BROADCAST_SM => QueryBroadcastView::parse(pdu)?.message_id_range(),
        CommandId::CANCEL_BROADCAST_SM => CancelBroadcastView::parse(pdu)?.message_id_range(),
        _ => return Err(Fault::unknown_command()),
    })
}

fn server_with(settings: &Settings, vserver: &VserverSettings, uid: [u8; 2]) -> Option<ServerIndex> {
    let servers = &vserver.servers;
    servers
        .iter()
        .copied()
        .find(|server| settings.servers[usize::from(server.0)].uid == uid)
}

/// Writes `pdu` with another id at `id` and our note behind it.
fn write_resolved(out: &mut BytesMut, pdu: &[u8], id: Range<usize>, own_id: &[u8], uid: [u8; 2]) {
    out.put_slice(&pdu[..id.start]);
    out.put_slice(own_id);
    out.put_slice(&pdu[id.end..]);
    out.put_u16(NOTE_TAG);
    out.put_u16(2);
    out.put_slice(&uid);
    patch_command_length(out);
}

/// Reads our note: where it stands, and which server of the vserver it names.
pub(in crate::core) fn read_note(
    settings: &Settings,
    vserver: VserverIndex,
    pdu: &[u8],
) -> Option<(Range<usize>, ServerIndex)> {
    let server = noted_server(settings, &settings.vservers[usize::from(vserver.0)], pdu)?;
    Some((pdu.len() - NOTE_OCTETS..pdu.len(), server))
}

/// The server of the vserver that our note names.
pub(in crate::core) fn noted_server(
    settings: &Settings,
    vserver: &VserverSettings,
    pdu: &[u8],
) -> Option<ServerIndex> {
    let note = pdu.last_chunk::<NOTE_OCTETS>()?;
    let &[.., first, second] = note;
    server_with(settings, vserver, [first, second]).filter(|_| ends_with_note(pdu))
}

/// The last octets look like our note.
fn ends_with_note(pdu: &[u8]) -> bool {
    let [first, second] = NOTE_TAG.to_be_bytes();
    pdu.last_chunk::<NOTE_OCTETS>()
        .is_some_and(|note| note.starts_with(&[first, second, 0, 2]))
}
