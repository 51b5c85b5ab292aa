//! What a peer does with the PDUs that it reads.

use super::pdu::{
    self, BIND_TRANSCEIVER, ENQUIRE_LINK, GENERIC_NACK, HEADER_OCTETS, Header, INVALID_BIND_STATUS, PDU_MAX,
    RESPONSE, UNBIND,
};
use super::peer::Peer;
use super::records::{Cause, Kind, Wrong};
use super::settings::Role;

impl Peer {
    pub(crate) fn take_input(&mut self, at: usize) {
        let input = std::mem::take(&mut self.sessions[at].input);
        let mut rest = input.as_slice();
        while let Some(header) = Header::read(rest) {
            if !(HEADER_OCTETS..=PDU_MAX).contains(&header.length) {
                self.wrong(at, Wrong::Malformed, &format!("{header:?}"));
                self.sessions[at].end(Cause::Dropped);
                return;
            }
            let Some((whole, behind)) = rest.split_at_checked(header.length) else {
                break;
            };
            self.take(at, header, &whole[HEADER_OCTETS..]);
            if self.sessions[at].ended.is_some() {
                return;
            }
            rest = behind;
        }
        self.sessions[at].input.extend_from_slice(rest);
    }

    fn take(&mut self, at: usize, header: Header, body: &[u8]) {
        let session = &mut self.sessions[at];
        match header.command {
            command if command == self.request | RESPONSE || command == GENERIC_NACK => {
                self.take_answer(at, header, body);
            }
            command if command == self.expected => self.take_message(at, header, body),
            ENQUIRE_LINK => pdu::write(
                &mut session.output,
                ENQUIRE_LINK | RESPONSE,
                0,
                header.sequence,
                b"",
            ),
            UNBIND => {
                session.leaving = session.leaving.or(Some(Cause::Unbound));
                pdu::write(&mut session.output, UNBIND | RESPONSE, 0, header.sequence, b"");
            }
            command if command == UNBIND | RESPONSE && session.leaving == Some(Cause::Ended) => {
                session.end(Cause::Ended);
            }
            BIND_TRANSCEIVER if self.settings.role == Role::Smsc && !session.is_bound => {
                pdu::write(
                    &mut session.output,
                    BIND_TRANSCEIVER | RESPONSE,
                    0,
                    header.sequence,
                    b"smsc\0",
                );
                self.open(at);
            }
            command
                if command == BIND_TRANSCEIVER | RESPONSE
                    && self.settings.role == Role::Esme
                    && !session.is_bound =>
            {
                if header.status == 0 {
                    self.open(at);
                } else {
                    session.end(Cause::Dropped);
                }
            }
            _ => self.wrong(at, Wrong::Malformed, &format!("{header:?}")),
        }
    }

    fn open(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.is_bound = true;
        self.records
            .note(Kind::Opened, session.account.into(), session.key, 0);
    }

    fn take_answer(&mut self, at: usize, header: Header, body: &[u8]) {
        if self.is_sabotaged("answer-lost") {
            return;
        }
        let Some((token, _)) = self.sessions[at].waiting.remove(&header.sequence) else {
            self.wrong(at, Wrong::Unasked, &format!("{header:?}"));
            return;
        };
        let session = &self.sessions[at];
        let (key, is_leaving) = (session.key, session.leaving.is_some());
        if header.command == GENERIC_NACK {
            self.wrong(at, Wrong::Command, &format!("{header:?}"));
        } else if header.status != 0 {
            self.records.note(Kind::Bad, token, key, header.status);
            if header.status == INVALID_BIND_STATUS && !is_leaving {
                self.wrong(at, Wrong::UnboundStatus, &format!("{header:?}"));
            }
        } else {
            self.records.count(Kind::Good, token, key);
            let named = if self.is_sabotaged("answer-swapped") {
                token + 1
            } else {
                token
            };
            // smppmux puts a tag behind the id.
            let is_its = body
                .strip_prefix(&pdu::hexadecimal(named))
                .is_some_and(|rest| rest.first() == Some(&b'#'));
            if self.settings.role == Role::Esme && !is_its {
                self.wrong(at, Wrong::Swapped, &String::from_utf8_lossy(body));
            }
        }
        if self.is_sabotaged("answer-twice") {
            self.take_answer(at, header, body);
        }
    }

    fn take_message(&mut self, at: usize, header: Header, body: &[u8]) {
        let token = pdu::token_in(body);
        self.scratch.clear();
        pdu::body(&mut self.scratch, self.expected, token);
        if body != self.scratch || self.is_sabotaged("changed") {
            self.wrong(at, Wrong::Changed, &String::from_utf8_lossy(body));
        }
        let noted = if self.is_sabotaged("misrouted") {
            token ^ 7 << 40
        } else {
            token
        };
        let is_smsc = self.settings.role == Role::Smsc;
        // Of an SMSC only the process counts, so that more of its messages are consecutive.
        let key = if is_smsc {
            u32::from(self.settings.life) << 16
        } else {
            self.sessions[at].key
        };
        if !self.is_sabotaged("lost") {
            self.records.count(Kind::Got, noted, key);
        }
        if self.is_sabotaged("twice") {
            self.records.count(Kind::Got, token, key);
        }
        let mut id = [0; 17];
        id[..16].copy_from_slice(&pdu::hexadecimal(token));
        let id = if is_smsc { &id[..] } else { b"\0" };
        pdu::write(
            &mut self.sessions[at].output,
            self.expected | RESPONSE,
            0,
            header.sequence,
            id,
        );
    }
}
