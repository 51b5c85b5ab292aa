//! A receipt on its way from a server to the account that submitted.
//!
//! The id names the message: the home core of the id knows the account, the receipt travels there and comes back with the
//! answer, and goes to a receiving session of that account, on whatever core, with its id as the submit's answer gave it.
//! Invariants: a receipt whose submitter is known reaches no other account; it gets exactly one answer; what only looks
//! like a receipt (PITFALLS 11: some servers do not mark them) is one only where its entry's destination is its source.

use super::message_id::{IdForm, write_id};
use super::reading::{IdText, canonical, other_readings};
use super::table::{FoundReceipt, ReceiptQuery};
use crate::core::contract::ConnectionId;
use crate::core::core_message::{AccountAt, CoreOutcome, HomeQuestion, HomeVerdict};
use crate::core::engine::PacketEngine;
use crate::core::pool::PoolIndex;
use crate::core::receipt_tag::{append_receipt_with_id, read_receipt};
use crate::core::sequence::{Note, Origin, Pending};
use crate::core::server_requests::CheckedMessage;
use crate::core::settings::{MessageIdFormat, ReceiptRoute, ServerIndex, UnknownReceipt, VserverIndex};
use crate::core::tag::MESSAGE_ID_OCTETS_MAX;
use crate::core::time::Moment;
use crate::core::wire::{CommandId, DataView, Header, MessageView, RewriteLimits, Status, Version};
use bytes::BytesMut;

/// What the home of an id is asked about a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptQuestion {
    pub(in crate::core) server: ServerIndex,
    /// The server's.
    pub(in crate::core) vserver: VserverIndex,
    pub(in crate::core) query: ReceiptQuery,
    /// What its home core follows from.
    pub(in crate::core) home: u64,
}

impl PacketEngine {
    /// Takes on a counted message that may be a receipt. `false`: it is none after all, or goes as any MO does.
    #[cold]
    pub(in crate::core) fn receipt_from_server(
        &mut self,
        now: Moment,
        server: ServerIndex,
        vserver: VserverIndex,
        identity: Option<u32>,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> bool {
        if let Some(identity) = identity {
            return message.is_marked_receipt
                && self.deliver_receipt_to_identity(now, server, vserver, identity, message, origin);
        }
        // What is not marked is a receipt only where the message that it names is known.
        let needs_entry = !message.is_marked_receipt || self.settings.receipts_need_owner(server);
        if !self.settings.receipts.is_kept || !needs_entry {
            return message.is_marked_receipt
                && self.deliver_unknown_receipt(now, server, vserver, message, origin);
        }
        let Some(question) = self.receipt_question(server, vserver, message) else {
            return false;
        };
        let home = self.home_of(question.home);
        if home != self.core {
            let pending = Pending::new(origin, message.command, now);
            if !self.ask_home(now, home, HomeQuestion::Receipt(question), pending, message.pdu) {
                // No credit towards the home is back-pressure like any full window: the server may try again.
                self.fail_request(now, &pending, Status::ESME_RX_T_APPN);
            }
            return true;
        }
        let mut pdu = self.buffers.take();
        pdu.extend_from_slice(message.pdu);
        self.receipt_asked_here(now, question, origin, pdu);
        true
    }

    /// This core is the home of a receipt's id.
    pub(in crate::core) fn receipt_asked_here(
        &mut self,
        now: Moment,
        question: ReceiptQuestion,
        origin: Origin,
        pdu: BytesMut,
    ) {
        let seconds = self.seconds(now);
        let found = self.receipts.table.find(seconds, &question.query);
        let pdu = match found {
            Some(_) => pdu,
            None => match self.hold_receipt(now, question, origin, pdu) {
                Ok(()) => return,
                Err(pdu) => pdu,
            },
        };
        match origin {
            Origin::Core { core, reference } => {
                let verdict = HomeVerdict::Receipt(found, question);
                self.send_core_answer(core, reference, CoreOutcome::Verdict(verdict, pdu));
            }
            _ => self.receipt_resolved(now, question, found, origin, pdu),
        }
    }

    /// The home has spoken about a receipt of one of this core's server sessions.
    pub(in crate::core) fn receipt_resolved(
        &mut self,
        now: Moment,
        question: ReceiptQuestion,
        found: Option<FoundReceipt>,
        origin: Origin,
        mut pdu: BytesMut,
    ) {
        let Origin::Session {
            connection,
            sequence_number,
        } = origin
        else {
            return self.buffers.give(pdu);
        };
        let Some(header) = Header::read(&pdu).filter(|_| self.sessions.get(connection).is_some()) else {
            // Its session is gone, unanswered: the server will send it again.
            return self.buffers.give(pdu);
        };
        crate::core::wire::patch_sequence_number(&mut pdu, sequence_number);
        let header = Header {
            sequence_number,
            ..header
        };
        let (server, vserver) = (question.server, question.vserver);
        if found.is_some() {
            self.receipts.matched += 1;
        } else {
            self.receipts.unknown += 1;
        }
        let policy = self.settings.vservers[usize::from(vserver.0)].receipts;
        let outcome = match (CheckedMessage::check(header.command_id, &pdu), found) {
            (Err(_), _) => Err(Status::ESME_RX_T_APPN),
            (Ok(message), Some(found)) => {
                // Where it was submitted, not where the server's other messages go.
                let at = AccountAt {
                    vserver: found.vserver.unwrap_or(vserver),
                    account: found.account,
                };
                let rewritten = self.rewritten_receipt(server, at.vserver, Some(found), None, &message);
                let policy = self.settings.vservers[usize::from(at.vserver.0)].receipts;
                let account = (policy.route == ReceiptRoute::Submitter).then_some(at);
                self.log_receipt(now, origin, &pdu, rewritten.as_deref(), Some(found.account));
                self.deliver_rewritten(now, vserver, &message, rewritten, account, origin)
            }
            (Ok(message), None) if question.query.needs_source => {
                // Nothing but its text looked like a receipt: a message like any other, which meets the rules.
                self.log_mobile_originated(now, connection, &header, &pdu);
                if self
                    .sessions
                    .get(connection)
                    .is_some_and(|session| session.is_curbed)
                {
                    self.route_message(now, connection, server, &header, &pdu, vserver);
                    return self.buffers.give(pdu);
                }
                self.deliver_or_queue(now, vserver, &message, origin)
            }
            (Ok(_), None) if policy.unknown == UnknownReceipt::Refuse => {
                self.log_receipt(now, origin, &pdu, None, None);
                Err(Status::ESME_RX_P_APPN)
            }
            (Ok(message), None) => {
                let rewritten = self.rewritten_receipt(server, vserver, None, None, &message);
                self.log_receipt(now, origin, &pdu, rewritten.as_deref(), None);
                self.deliver_rewritten(now, vserver, &message, rewritten, None, origin)
            }
        };
        if let Err(status) = outcome {
            self.fail_for_session(now, connection, header, status);
        }
        self.buffers.give(pdu);
    }

    /// The session is an identity's own: so is what comes on it (`auth = "forward"`).
    fn deliver_receipt_to_identity(
        &mut self,
        now: Moment,
        server: ServerIndex,
        vserver: VserverIndex,
        identity: u32,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> bool {
        let account = self.identities.system_id(identity).and_then(IdText::new);
        let account = account.as_ref().map(|account| account.as_slice());
        let Some(rewritten) = self.rewritten_receipt(server, vserver, None, account, message) else {
            return false;
        };
        let sent = CheckedMessage::check(message.command, &rewritten)
            .is_ok_and(|copy| self.deliver_to_identity(now, identity, &copy, origin, false));
        if sent {
            self.log_receipt(now, origin, message.pdu, Some(&rewritten), None);
        }
        self.buffers.give(rewritten);
        sent
    }

    /// Routes a receipt by its address, its id as clients see it.
    fn deliver_unknown_receipt(
        &mut self,
        now: Moment,
        server: ServerIndex,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
        origin: Origin,
    ) -> bool {
        let rewritten = self.rewritten_receipt(server, vserver, None, None, message);
        self.log_receipt(now, origin, message.pdu, rewritten.as_deref(), None);
        if let Err(status) = self.deliver_rewritten(now, vserver, message, rewritten, None, origin)
            && let Origin::Session {
                connection,
                sequence_number,
            } = origin
        {
            let header = Header::alone(message.command, status, sequence_number);
            self.fail_for_session(now, connection, header, status);
        }
        true
    }

    fn deliver_rewritten(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        original: &CheckedMessage<'_>,
        rewritten: Option<BytesMut>,
        account: Option<AccountAt>,
        origin: Origin,
    ) -> Result<(), Status> {
        let copy = rewritten
            .as_ref()
            .and_then(|pdu| CheckedMessage::check(original.command, pdu).ok());
        let message = CheckedMessage {
            account,
            ..copy.unwrap_or_else(|| original.clone())
        };
        let mut outcome = self.deliver_or_queue(now, vserver, &message, origin);
        let policy = self.settings.vservers[usize::from(vserver.0)].receipts.unknown;
        if outcome == Err(Status::ESME_RINVDSTADR) && policy == UnknownReceipt::Queue {
            outcome = self.queue_message(now, (vserver, true), &message, origin);
        }
        if let Some(buffer) = rewritten {
            self.buffers.give(buffer);
        }
        outcome
    }

    /// A copy of a receipt with the id that the submit's answer gave to the client. `None`: it names no message, or its
    /// layout has no room for the longer id.
    pub(in crate::core) fn rewritten_receipt(
        &mut self,
        server: ServerIndex,
        vserver: VserverIndex,
        found: Option<FoundReceipt>,
        account: Option<&[u8]>,
        message: &CheckedMessage<'_>,
    ) -> Option<BytesMut> {
        let mut copy = self.buffers.take();
        let settings = &self.settings;
        let (server, vserver) = (
            &settings.servers[usize::from(server.0)],
            &settings.vservers[usize::from(vserver.0)],
        );
        let keys = &settings.receipts.keys;
        // The generation of the client that gets it is not known yet: what v3.4 takes, v5.0 takes too, and a v3.3 client
        // is spared the TLVs when it is sent.
        let limits = RewriteLimits {
            short_message_octets_max: u8::MAX - 1,
            may_add_tlv: true,
        };
        let has_copy = append_receipt_with_id(&mut copy, message.pdu, limits, |id| {
            let owner = found.and_then(|found| settings.clients.get(found.account.0 as usize));
            let account = owner.map(|owner| owner.system_id.as_bytes()).or(account);
            let form = match found {
                Some(found) => found.form,
                None => match IdForm::for_client(vserver, Version::V34, id.len()) {
                    // Whose the message is, is not known: its check value cannot be made.
                    IdForm::Signed if account.is_none() => IdForm::Tagged,
                    form => form,
                },
            };
            let given = found.and_then(|found| id_as_given(id, found, server.message_id_format));
            let own = given.as_ref().map_or(id, |text| text.as_slice());
            write_id(form, vserver, keys, account.unwrap_or_default(), own, server.uid)
        });
        if has_copy {
            return Some(copy);
        }
        self.buffers.give(copy);
        None
    }

    fn receipt_question(
        &self,
        server: ServerIndex,
        vserver: VserverIndex,
        message: &CheckedMessage<'_>,
    ) -> Option<ReceiptQuestion> {
        let receipt = read_receipt(message.pdu)?;
        let id = receipt
            .message_id()
            .filter(|id| (1..=MESSAGE_ID_OCTETS_MAX).contains(&id.len()))?;
        let settings = &self.settings.servers[usize::from(server.0)];
        let keys = &self.settings.receipts.keys;
        let place = keys.of_id(settings.uid, id, settings.message_id_format);
        let query = ReceiptQuery {
            keys: keys.of_readings(settings.uid, id, settings.message_id_format),
            spelling: place.spelling,
            source: keys.of_address(source_of(message)?),
            needs_source: !message.is_marked_receipt,
        };
        Some(ReceiptQuestion {
            server,
            vserver,
            query,
            home: place.home,
        })
    }

    /// The receiving sessions of an account, wherever they are. `Err`: it has none.
    pub(in crate::core) fn pool_of_account(&self, of: AccountAt) -> Result<PoolIndex, Status> {
        self.pools
            .of_account(of.vserver, of.account)
            .ok_or(Status::ESME_RX_T_APPN)
    }

    /// Puts a note on the message that was just sent to a session: it is for this account alone.
    #[cold]
    pub(in crate::core) fn note_account(&mut self, to: ConnectionId, account: AccountAt) {
        if let Some(session) = self.sessions.get_mut(to) {
            session.window.note_last(Note::Account(account));
        }
    }

    /// A server's session is gone or has no more to say: its receipts that wait here have nobody to be answered to.
    pub(in crate::core) fn forget_held_receipts(&mut self, now: Moment, of: ConnectionId) {
        if self.receipts.held.len() > 0 {
            self.give_up_held_receipts(now, Some(of));
        }
    }
}

fn source_of<'a>(message: &CheckedMessage<'a>) -> Option<&'a [u8]> {
    Some(match message.command {
        CommandId::DELIVER_SM => MessageView::parse(message.pdu).ok()?.source().addr,
        _ => DataView::parse(message.pdu).ok()?.source().addr,
    })
}

/// The id as the submit's answer spelled it; `None`: as it stands in the receipt.
fn id_as_given(id: &[u8], found: FoundReceipt, format: MessageIdFormat) -> Option<IdText> {
    let form = canonical(id, format)?;
    match usize::from(found.reading).checked_sub(1) {
        None => found.spelling.restore(form.as_slice()),
        Some(reading) => {
            let reading = other_readings(form.as_slice(), format)
                .into_iter()
                .nth(reading)??;
            found.spelling.restore(reading.as_slice())
        }
    }
}
