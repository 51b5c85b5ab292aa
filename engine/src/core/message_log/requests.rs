//! Records of what comes in: submits, MO, receipts, and what leaves the queue.

use super::super::contract::ConnectionId;
use super::super::engine::PacketEngine;
use super::super::queue::{Line, QueueKey};
use super::super::receipt_tag::read_receipt;
use super::super::sequence::Origin;
use super::super::session::Side;
use super::super::settings::ClientIndex;
use super::super::time::Moment;
use super::super::wire::{CommandId, DataView, EsmClass, Fault, Header, MessageView, Status};
use super::{FarSession, MessageRecord, Outcome, Reason, RecordKind, RecordOctets, Requester, is_message};

impl PacketEngine {
    /// A client's request has been counted, or is about to be refused.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn log_submit(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
    ) {
        self.log_request(now, from, header, (RecordKind::Submit, None), pdu, &[]);
    }

    /// A server's message has been counted, or is about to be refused. It is not known for a receipt by its id.
    #[cold]
    #[inline(never)]
    pub(in crate::core) fn log_mobile_originated(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
    ) {
        if self.message_log.is_on() {
            let kind = kind_of(header.command_id, pdu);
            self.log_request(now, from, header, (kind, None), pdu, &[]);
        }
    }

    /// It is known what becomes of a receipt. `rewritten`: as its client gets it.
    #[cold]
    pub(in crate::core) fn log_receipt(
        &mut self,
        now: Moment,
        origin: Origin,
        pdu: &[u8],
        rewritten: Option<&[u8]>,
        account: Option<ClientIndex>,
    ) {
        let (
            true,
            Origin::Session {
                connection,
                sequence_number,
            },
        ) = (self.message_log.is_on(), origin)
        else {
            return;
        };
        let Some(header) = Header::read(pdu) else { return };
        let receipt = rewritten.and_then(read_receipt);
        let client_id = receipt.as_ref().and_then(|receipt| receipt.message_id());
        let header = Header {
            sequence_number,
            ..header
        };
        let kind = (RecordKind::Receipt, account);
        self.log_request(now, connection, &header, kind, pdu, client_id.unwrap_or_default());
    }

    fn log_request(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        (kind, account): (RecordKind, Option<ClientIndex>),
        pdu: &[u8],
        client_id: &[u8],
    ) {
        if !is_message(header.command_id) {
            return;
        }
        let requester = Requester::Session {
            connection: from,
            sequence_number: header.sequence_number,
        };
        let mut record = MessageRecord {
            account,
            ..MessageRecord::new(now, kind, header.command_id, requester)
        };
        let mut system_id = &[][..];
        match self.sessions.get(from).map(|session| &session.side) {
            Some(Side::Client(client)) => {
                (record.account, record.vserver) = (client.client, Some(client.vserver));
                system_id = &client.system_id;
            }
            Some(Side::Server(side)) => record.server = Some(side.server),
            Some(Side::Gone) | None => {}
        }
        let octets = RecordOctets {
            system_id,
            first: pdu,
            second: client_id,
        };
        self.message_log.records.push(record, octets);
    }

    /// A queued message has left for a client, here or by way of another core.
    #[cold]
    pub(in crate::core) fn log_queued(
        &mut self,
        now: Moment,
        (place, number): (u32, u32),
        to: Option<ConnectionId>,
        account: Option<ClientIndex>,
        pdu: &[u8],
    ) {
        let Some(header) = Header::read(pdu).filter(|_| self.message_log.is_on()) else {
            return;
        };
        let command = header.command_id;
        let kind = match account {
            Some(_) => RecordKind::Receipt,
            None => kind_of(command, pdu),
        };
        let requester = Requester::Queue { place, number };
        let session = to.and_then(|to| self.sessions.get(to));
        let client = session.and_then(|session| session.client());
        let record = MessageRecord {
            account: account.or_else(|| client?.client),
            vserver: client.map(|client| client.vserver),
            far: to.zip(session).map(|(connection, session)| FarSession {
                core: self.core,
                connection,
                sequence_number: session.window.last_number(),
            }),
            is_from_queue: true,
            ..MessageRecord::new(now, kind, command, requester)
        };
        let system_id = client.map_or(&[][..], |client| &client.system_id);
        let octets = RecordOctets {
            system_id,
            first: pdu,
            second: &[],
        };
        self.message_log.records.push(record, octets);
    }

    /// The time of a queued message was over, and the store has taken it out.
    #[cold]
    pub(in crate::core) fn log_expired(&mut self, now: Moment, key: Option<&QueueKey>, pdu: &[u8]) {
        let Some(header) = Header::read(pdu).filter(|_| self.message_log.is_on()) else {
            return;
        };
        let account = key.and_then(|key| match key.line {
            Line::Account(account) => Some(account),
            Line::Destination(_) => None,
        });
        let kind = match account {
            Some(_) => RecordKind::Receipt,
            None => kind_of(header.command_id, pdu),
        };
        let record = MessageRecord {
            outcome: Outcome::Expired,
            account,
            vserver: key.map(|key| key.vserver),
            is_from_queue: true,
            ..MessageRecord::new(now, kind, header.command_id, Requester::Unknown)
        };
        let octets = RecordOctets {
            first: pdu,
            ..RecordOctets::default()
        };
        self.message_log.records.push(record, octets);
    }

    /// A request that was not counted is about to be refused.
    #[cold]
    pub(in crate::core) fn log_refused(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
        status: Status,
    ) {
        if !self.message_log.is_on() {
            return;
        }
        let is_client = self
            .sessions
            .get(from)
            .is_some_and(|session| session.client().is_some());
        if is_client {
            self.log_submit(now, from, header, pdu);
        } else {
            self.log_mobile_originated(now, from, header, pdu);
        }
        self.know_reason(from, header, now, Reason::Malformed);
        self.log_own_answer(now, from, header, status);
    }
}

/// What a message of a server is by its esm_class; data_sm has its own place for it.
fn kind_of(command: CommandId, pdu: &[u8]) -> RecordKind {
    const INTERMEDIATE: u8 = EsmClass::INTERMEDIATE_NOTIFICATION;
    let esm_class = match command {
        CommandId::DELIVER_SM => MessageView::parse(pdu).map(|view| view.esm_class()),
        _ => DataView::parse(pdu).map(|view| view.esm_class()),
    };
    match esm_class.map(|class| EsmClass(class).message_type()) {
        Ok(EsmClass::DELIVERY_RECEIPT | INTERMEDIATE) => RecordKind::Receipt,
        Ok(_) | Err(Fault { .. }) => RecordKind::MobileOriginated,
    }
}
