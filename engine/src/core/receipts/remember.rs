//! What is remembered when a submit is answered: who waits for its receipt, and what a mapped id stands for.
//!
//! Invariants: an entry is made by the core that reads the answer, late or not, and only where a receipt was asked for;
//! a client gets its id in the form that its entry names.

use super::message_id::{IdForm, write_id};
use super::table::ReceiptEntry;
use crate::core::contract::ConnectionId;
use crate::core::core_message::MapEntry;
use crate::core::engine::PacketEngine;
use crate::core::receipts::MappedEntry;
use crate::core::sequence::{Note, Pending, SubmitNote};
use crate::core::settings::ServerIndex;
use crate::core::tag::{append_response_with_id, is_an_id_alone};
use crate::core::time::Moment;
use crate::core::versions::response_end_for_v33;
use crate::core::wire::{CommandId, HEADER_OCTETS, Header, MessageIdRespView};

impl PacketEngine {
    /// What is to be remembered with a submit that asks for a receipt; `None` where nobody would look it up.
    #[cold]
    pub(in crate::core) fn submit_note(&self, from: ConnectionId, destination: &[u8]) -> Option<SubmitNote> {
        if !self.settings.receipts.is_kept {
            return None;
        }
        let session = self.sessions.get(from)?;
        let client = session.client()?;
        Some(SubmitNote {
            account: client.client?,
            destination: if destination.is_empty() {
                0
            } else {
                self.settings.receipts.keys.of_address(destination)
            },
            vserver: client.vserver,
            version: session.version,
        })
    }

    /// A server has taken a submit whose receipt somebody waits for.
    #[cold]
    pub(in crate::core) fn remember_submit(
        &mut self,
        now: Moment,
        server: ServerIndex,
        from: ConnectionId,
        pending: &Pending,
        header: &Header,
        pdu: &[u8],
    ) {
        let Some(session) = self.sessions.get(from) else {
            return;
        };
        let Note::Submit(note) = session.window.note_of(header.sequence_number, pending) else {
            return;
        };
        let Ok(id) = MessageIdRespView::parse(pdu).map(|view| view.message_id()) else {
            return;
        };
        if id.is_empty() {
            return;
        }
        let settings = &self.settings.servers[usize::from(server.0)];
        let vserver = &self.settings.vservers[usize::from(note.vserver.0)];
        let place = self
            .settings
            .receipts
            .keys
            .of_id(settings.uid, id, settings.message_id_format);
        let entry = ReceiptEntry {
            key: place.key,
            spelling: place.spelling,
            account: note.account,
            destination: note.destination,
            form: IdForm::for_client(vserver, note.version, id.len()),
            vserver: Some(note.vserver),
        };
        let made_at_seconds = self.seconds(now);
        self.put_entry(
            now,
            place.home,
            MapEntry::Receipt {
                made_at_seconds,
                entry,
            },
        );
    }

    /// Writes a server's positive answer to the client that asked, with its id in whatever form but the plain tag.
    #[cold]
    pub(in crate::core) fn answer_with_formed_id(
        &mut self,
        now: Moment,
        server: ServerIndex,
        to: ConnectionId,
        sequence_number: u32,
        header: &Header,
        pdu: &[u8],
    ) -> bool {
        let Some(session) = self.sessions.get(to) else {
            return false;
        };
        let (version, Some(client)) = (session.version, session.client()) else {
            return false;
        };
        let Ok(view) = MessageIdRespView::parse(pdu) else {
            return false;
        };
        let id = view.message_id();
        if id.is_empty() {
            let is_left_out = pdu.len() == HEADER_OCTETS && is_an_id_alone(pdu);
            if is_left_out {
                self.write_to(to, |output| {
                    append_response_with_id(output, pdu, sequence_number, b"", b"");
                });
            }
            return is_left_out;
        }
        let vserver = &self.settings.vservers[usize::from(client.vserver.0)];
        let uid = self.settings.servers[usize::from(server.0)].uid;
        let keys = &self.settings.receipts.keys;
        let form = IdForm::for_client(vserver, version, id.len());
        let account = client.client;
        let Some(formed) = write_id(form, vserver, keys, &client.system_id, id, uid) else {
            return false;
        };
        // A v3.3 client knows no TLVs; what else stands behind the id (a list of destinations) is part of the answer.
        let end = if version.has_tlvs() {
            pdu.len()
        } else {
            response_end_for_v33(header.command_id, pdu)
        };
        let tail = pdu.get(view.tail_range().start..end).unwrap_or_default();
        let key = self.settings.receipts.keys.of_client_id(formed.as_slice());
        self.write_to(to, |output| {
            append_response_with_id(output, pdu, sequence_number, formed.as_slice(), tail);
        });
        let is_new = !matches!(
            header.command_id,
            CommandId::QUERY_SM_RESP | CommandId::QUERY_BROADCAST_SM_RESP
        );
        if form.is_mapped()
            && is_new
            && self.settings.receipts.is_kept
            && let Some(entry) = MappedEntry::new(key, server, account, id)
        {
            let made_at_seconds = self.seconds(now);
            self.put_entry(
                now,
                key,
                MapEntry::Mapped {
                    made_at_seconds,
                    entry,
                },
            );
        }
        true
    }

    /// Puts the note of a submit on the request that was just sent to a session.
    #[cold]
    pub(in crate::core) fn note_submit(&mut self, to: ConnectionId, note: SubmitNote) {
        if let Some(session) = self.sessions.get_mut(to) {
            session.window.note_last(Note::Submit(note));
        }
    }
}
