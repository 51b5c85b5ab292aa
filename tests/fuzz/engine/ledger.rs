//! The requests of the clients, as they were read and as they left.
//!
//! A request reaches at most one server: it leaves as often as it was read, with the octets that its client wrote but for what
//! smppmux changes (see [`Essence`]), and again only where the kernel never got all of it, where its server throttled it and
//! `on-throttle = "retry"` is set, or where its server's session is gone and `on-server-loss = "retry"` is set. What a
//! server answered goes to the session that asked, with that one's number, and once.
//!
//! Left out: a cancel without an id, which goes to every server.

use super::essence::Essence;
use smppmux_engine::core::settings::{OnServerLoss, OnThrottle, Settings};
use smppmux_engine::core::wire::{CommandId, Header, MessageIdRespView, Status};
use std::collections::BTreeMap;

/// Errors that only servers answer: any other can be the engine's own, and ESME_RSUBMITFAIL stands for several of them towards
/// clients of older versions.
pub(super) const ERRORS_OF_SERVERS_ALONE: [Status; 2] = [Status(0x0400), Status(0x0401)];

pub(super) struct Ledger {
    requests: Vec<Request>,
    /// By the server's connection and the number there.
    sent: BTreeMap<(usize, u32), usize>,
    /// Requests that have left a second time, with the connection that they had left on before: it has to be gone.
    repeated: Vec<(usize, usize)>,
    resends_lost: bool,
    resends_throttled: bool,
}

struct Request {
    /// The client's connection.
    link: usize,
    number: u32,
    command: CommandId,
    essence: Essence,
    place: Option<Place>,
    answers: Vec<Answer>,
}

/// Where a request has left.
struct Place {
    link: usize,
    /// Where it ends among all octets of that connection.
    end: u64,
    may_leave_again: bool,
}

struct Answer {
    status: Status,
    message_id: Vec<u8>,
    was_passed_on: bool,
}

impl Ledger {
    pub(super) fn new(settings: &Settings) -> Self {
        let vserver = &settings.vservers[0];
        Self {
            requests: Vec::new(),
            sent: BTreeMap::new(),
            repeated: Vec::new(),
            resends_lost: vserver.on_server_loss == OnServerLoss::Retry,
            resends_throttled: vserver.on_throttle == OnThrottle::Retry,
        }
    }

    /// An engine has consumed a request of a client.
    pub(super) fn request_read(&mut self, link: usize, header: &Header, pdu: &[u8]) {
        if is_forwarded(header.command_id) {
            self.requests.push(Request {
                link,
                number: header.sequence_number,
                command: header.command_id,
                essence: Essence::of(header.command_id, pdu),
                place: None,
                answers: Vec::new(),
            });
        }
    }

    /// An engine has written a request to a server; it ends at `end` of all octets of the connection.
    pub(super) fn request_left(&mut self, link: usize, header: &Header, pdu: &[u8], end: u64) {
        let command = header.command_id;
        if !is_forwarded(command) {
            return;
        }
        let left = Essence::of(command, pdu);
        let is_it = |request: &Request| request.command == command && left.is_of(&request.essence);
        let mut known: Vec<usize> = (0..self.requests.len())
            .filter(|place| is_it(&self.requests[*place]))
            .collect();
        // An id that may stand for any other was perhaps refused.
        known.sort_by_key(|place| !left.has_id_of(&self.requests[*place].essence));
        assert!(
            !known.is_empty(),
            "nobody wrote this request: {header:?} {pdu:02x?}"
        );
        if left.is_for_every_server(command) {
            return;
        }
        let place = |request: &usize| self.requests[*request].place.as_ref();
        let new = known.iter().find(|request| place(request).is_none());
        let again = || {
            known
                .iter()
                .find(|request| place(request).is_some_and(|place| place.may_leave_again))
        };
        let lost = || {
            known
                .iter()
                .find(|request| self.resends_lost && place(request).is_some_and(|place| place.link != link))
        };
        let Some(request) = new.or_else(again).or_else(lost).copied() else {
            panic!("a request has left a second time: {header:?} {pdu:02x?}")
        };
        if let Some(place) = &self.requests[request].place
            && !place.may_leave_again
        {
            self.repeated.push((request, place.link));
        }
        self.requests[request].place = Some(Place {
            link,
            end,
            may_leave_again: false,
        });
        self.sent.insert((link, header.sequence_number), request);
    }

    /// A server's connection is gone; the kernel got so many of its octets.
    pub(super) fn closed(&mut self, link: usize, written: u64) {
        let places = self
            .requests
            .iter_mut()
            .filter_map(|request| request.place.as_mut());
        for place in places.filter(|place| place.link == link) {
            place.may_leave_again |= self.resends_lost || place.end > written;
        }
    }

    /// The turn is over, and what it closed is closed. A session whose server has lost its step, or has unbound, no longer stands.
    pub(super) fn turn_ended(&mut self, stands: impl Fn(usize) -> bool) {
        for (request, before) in self.repeated.drain(..) {
            let number = self.requests[request].number;
            assert!(
                !stands(before),
                "request {number} has left again, and its server is still there"
            );
        }
    }

    /// An engine has consumed an answer of a server.
    pub(super) fn answer_read(&mut self, link: usize, header: &Header, pdu: &[u8]) {
        let Some(request) = self.sent.get(&(link, header.sequence_number)) else {
            return;
        };
        let request = &mut self.requests[*request];
        let is_throttling = [Status::ESME_RTHROTTLED, Status::ESME_RMSGQFUL].contains(&header.command_status);
        if let Some(place) = request.place.as_mut().filter(|place| place.link == link) {
            place.may_leave_again |= self.resends_throttled && is_throttling;
        }
        request.answers.push(Answer {
            status: header.command_status,
            message_id: message_id_of(header.command_id, pdu),
            was_passed_on: false,
        });
    }

    /// An engine has answered a client.
    pub(super) fn answer_left(&mut self, link: usize, header: &Header, pdu: &[u8]) {
        let number = header.sequence_number;
        let asked = |request: &Request| {
            (request.link, request.number) == (link, number)
                && request.command.response() == header.command_id
                && !request.essence.is_for_every_server(request.command)
        };
        let status = header.command_status;
        let is_of_server = status.is_ok() || ERRORS_OF_SERVERS_ALONE.contains(&status);
        if !is_of_server || !is_forwarded(header.command_id.request()) {
            return;
        }
        let message_id = message_id_of(header.command_id, pdu);
        let asked: Vec<usize> = (0..self.requests.len())
            .filter(|place| asked(&self.requests[*place]))
            .collect();
        if asked.is_empty() {
            return;
        }
        // Requests that are the same octet for octet are the same to their servers.
        let same = |request: &Request| asked.iter().any(|place| self.requests[*place].is_same(request));
        let same: Vec<usize> = (0..self.requests.len())
            .filter(|place| same(&self.requests[*place]))
            .collect();
        for place in same {
            let mut answers = self.requests[place].answers.iter_mut();
            if let Some(answer) = answers.find(|answer| answer.is(status, &message_id)) {
                answer.was_passed_on = true;
                return;
            }
        }
        panic!("an answer that no server gave to it: {header:?} {pdu:02x?}");
    }
}

impl Request {
    fn is_same(&self, other: &Self) -> bool {
        self.command == other.command && self.essence == other.essence
    }
}

impl Answer {
    /// The client's answer can be this one: its id is the server's, tagged, or one that stands for it.
    fn is(&self, status: Status, given: &[u8]) -> bool {
        let is_tagged = || {
            given
                .strip_prefix(&self.message_id[..])
                .is_some_and(|tag| matches!(tag, [] | [b'#', ..]))
        };
        self.status == status
            && !self.was_passed_on
            && (!status.is_ok() || !given.contains(&b'#') || is_tagged())
    }
}

/// What a server gets from a client, and not from smppmux itself.
fn is_forwarded(request: CommandId) -> bool {
    let is_of_sessions = matches!(
        request,
        CommandId::ENQUIRE_LINK | CommandId::UNBIND | CommandId::OUTBIND
    );
    !request.is_response() && !request.is_bind() && !is_of_sessions
}

fn message_id_of(response: CommandId, pdu: &[u8]) -> Vec<u8> {
    match response {
        CommandId::GENERIC_NACK => Vec::new(),
        _ => MessageIdRespView::parse(pdu)
            .map(|view| view.message_id().to_vec())
            .unwrap_or_default(),
    }
}
