//! query_sm, cancel_sm and replace_sm, answered from the store of accepted messages.

use std::sync::Arc;

use bytes::BytesMut;
use smppmux_engine::core::wire::{
    CancelView, CommandId, Header, QueryResponse, QueryView, ReplaceView, Status, write_pdu,
};

use super::receipt::{absolute_time, now_s};
use super::session::SmscSession;
use super::store::StoredMessage;
use super::submit::hash_of;

const STATE_ENROUTE: u8 = 1;
const STATE_DELETED: u8 = 4;

impl SmscSession {
    /// One of the three, of a session that may send.
    pub(super) fn handle_ancillary(
        &mut self,
        now_us: u64,
        header: Header,
        pdu: &[u8],
        output: &mut BytesMut,
    ) {
        let status = match header.command_id {
            CommandId::QUERY_SM => match self.query(now_us, header, pdu, output) {
                Ok(()) => return self.sequence_numbers.handle_answer(header.sequence_number),
                Err(status) => status,
            },
            CommandId::CANCEL_SM => self.cancel(now_us, pdu),
            _ => self.replace(now_us, pdu),
        };
        self.counts.ancillary_refused += u64::from(!status.is_ok());
        self.answer_plainly(header, status, output);
    }

    fn query(&self, now_us: u64, header: Header, pdu: &[u8], output: &mut BytesMut) -> Result<(), Status> {
        let view = QueryView::parse(pdu).map_err(|fault| fault.status)?;
        let stored = self.find(view.message_id(), view.source().addr, |stored| *stored);
        let stored = stored.ok_or(Status::ESME_RQUERYFAIL)?;
        let is_final = stored.is_deleted || now_us >= stored.final_us;
        let final_date = if is_final {
            absolute_time(now_s())
        } else {
            String::new()
        };
        let body = QueryResponse {
            message_id: view.message_id(),
            final_date: final_date.as_bytes(),
            message_state: match (stored.is_deleted, is_final) {
                (true, _) => STATE_DELETED,
                (false, true) => self.centre.arguments.receipt_state.code(),
                (false, false) => STATE_ENROUTE,
            },
            error_code: 0,
        };
        let response = header.command_id.response();
        let written = write_pdu(output, response, Status::ESME_ROK, header.sequence_number, &body);
        written.map(drop).map_err(|_| Status::ESME_RQUERYFAIL)
    }

    fn cancel(&self, now_us: u64, pdu: &[u8]) -> Status {
        let view = match CancelView::parse(pdu) {
            Ok(view) => view,
            Err(fault) => return fault.status,
        };
        // Without an id: all of a source to a destination. None is no failure of the request (v3.4 section 4.9).
        if view.message_id().is_empty() {
            return Status::ESME_ROK;
        }
        let is_cancelled = self.find(view.message_id(), view.source().addr, |stored| {
            let may = self.may_change(now_us, stored);
            stored.is_deleted |= may;
            may
        });
        if is_cancelled == Some(true) {
            Status::ESME_ROK
        } else {
            Status::ESME_RCANCELFAIL
        }
    }

    fn replace(&self, now_us: u64, pdu: &[u8]) -> Status {
        let view = match ReplaceView::parse(pdu) {
            Ok(view) => view,
            Err(fault) => return fault.status,
        };
        let is_replaced = self.find(view.message_id(), view.source().addr, |stored| {
            self.may_change(now_us, stored)
        });
        if is_replaced == Some(true) {
            Status::ESME_ROK
        } else {
            Status::ESME_RREPLACEFAIL
        }
    }

    fn may_change(&self, now_us: u64, stored: &StoredMessage) -> bool {
        let is_too_late = self.centre.arguments.strict_states && now_us >= stored.final_us;
        !stored.is_deleted && !is_too_late
    }

    /// Finds a message by its id, which must be of this source unless that was left out.
    fn find<T>(&self, id: &[u8], source: &[u8], look: impl FnOnce(&mut StoredMessage) -> T) -> Option<T> {
        let centre = Arc::clone(&self.centre);
        let number = centre.id_form().towards(self.version).parse(id)?;
        let source_hash = hash_of(source);
        let fits = |stored: &StoredMessage| source.is_empty() || stored.source_hash == source_hash;
        centre
            .store
            .with(number, |stored| fits(stored).then(|| look(stored)))
            .flatten()
    }
}
