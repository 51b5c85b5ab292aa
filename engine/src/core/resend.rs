//! Requests that are sent again after a server had them: it throttled them, or its session was lost.
//!
//! A throttled request was not taken, so sending it elsewhere duplicates nothing. One that was lost may have been taken:
//! only `on-server-loss = "retry"` sends it again (at least once). Invariants: a request is sent again only while its client
//! waits for it, a throttled one within the hold time of its arrival, a lost one at most so many times.

use super::congestion::{append_without_congestion, congestion_state};
use super::contract::{ConnectionId, CoreIndex};
use super::core_message::CoreOutcome;
use super::engine::PacketEngine;
use super::message_log::Reason;
use super::output::Remains;
use super::pace::is_throttling;
use super::sequence::{Journey, Mark, Origin, Pending};
use super::session::Session;
use super::session_end::may_move;
use super::settings::{OnServerLoss, OnThrottle, ServerIndex, Settings, VserverSettings};
use super::time::Moment;
use super::wire::{CommandId, Header, Status, patch_sequence_number};
use bytes::BytesMut;

impl Settings {
    /// Whether requests to a server must be kept until they are answered: some vserver in front of it sends them again.
    pub(super) fn retains(&self, server: ServerIndex) -> bool {
        self.vservers.iter().any(|vserver| {
            vserver.servers.contains(&server)
                && (vserver.on_server_loss == OnServerLoss::Retry || vserver.on_throttle == OnThrottle::Retry)
        })
    }
}

impl PacketEngine {
    /// Looks at a server's answer before it is passed on; `true` when it has been dealt with here.
    #[cold]
    pub(super) fn watch_answer(
        &mut self,
        now: Moment,
        from: ConnectionId,
        server: ServerIndex,
        pending: &Pending,
        header: Header,
        pdu: &[u8],
    ) -> bool {
        let status = header.command_status;
        self.judge_answer(now, from, pending, status);
        let version = self.servers[usize::from(server.0)].version;
        let (congestion, tlvs) = congestion_state(version, header.command_id, pdu).unzip();
        let throttles = is_throttling(status);
        self.adapt_pace(now, server, pending.sent_at, throttles, congestion);
        if pending.expired {
            return false;
        }
        // A segment keeps to its session: its client has to try again.
        let request = (throttles && pending.note.is_none() && self.may_go_elsewhere(now, pending))
            .then(|| self.copy_retained(from, pending))
            .flatten();
        self.settle_retained(from, pending);
        if let Some(request) = request {
            self.counters.resent += 1;
            self.log_tried_again(now, pending, status, Reason::None);
            self.send_again(now, pending, request, status, pending.journey());
            return true;
        }
        // A generic_nack is not passed on as it is.
        if let Some(tlvs) = tlvs.filter(|_| header.command_id != CommandId::GENERIC_NACK) {
            let mut copy = self.buffers.take();
            append_without_congestion(&mut copy, pdu, tlvs);
            self.pass_to_requester(now, server, pending, header, &copy);
            self.buffers.give(copy);
            return true;
        }
        false
    }

    /// A request of a lost session may be sent again; `false`: it has to fail.
    pub(super) fn resend_lost(&mut self, now: Moment, pending: &Pending, remains: Option<&Remains>) -> bool {
        let Some(pdu) = remains.and_then(|remains| remains.retained(pending.stream_end, pending.octets))
        else {
            return false;
        };
        if !may_move(pending, pdu, true) {
            return false;
        }
        if let Origin::Session { connection, .. } = pending.origin
            && !self.may_resend_lost(connection, pending)
        {
            return false;
        }
        let journey = pending.journey().marked(pending.mark.sent_again());
        let request = self.buffers.copy_of(pdu);
        self.counters.resent += 1;
        self.log_tried_again(now, pending, Status::ESME_RSYSERR, Reason::SessionLost);
        self.send_again(now, pending, request, Status::ESME_RSYSERR, journey);
        true
    }

    /// Another core's session had a request of ours, and it came back.
    pub(super) fn returned_by_core(
        &mut self,
        now: Moment,
        core: CoreIndex,
        pending: &Pending,
        pdu: BytesMut,
        status: Status,
    ) {
        let throttled = is_throttling(status);
        let mark = if throttled {
            pending.mark
        } else {
            pending.mark.sent_again()
        };
        let journey = pending.journey().marked(mark);
        let may_resend = match pending.origin {
            Origin::Session { connection, .. } if !throttled => self.may_resend_lost(connection, pending),
            Origin::Session { .. } => self.may_go_elsewhere(now, pending),
            _ => false,
        };
        if may_resend {
            if let Some(server) = pending.remote_server() {
                self.pause_remote(now, core, server);
            }
            self.counters.resent += 1;
            self.log_tried_again(now, pending, status, Reason::None);
            self.send_again(now, pending, pdu, status, journey);
        } else {
            self.buffers.give(pdu);
            self.fail_request(now, pending, status);
        }
    }

    /// The request of a session need not be kept any more: it was answered, or nobody waits for the answer.
    #[inline]
    pub(super) fn settle_retained(&mut self, session: ConnectionId, pending: &Pending) {
        let Some(state) = self.sessions.get_mut(session) else {
            return;
        };
        state.output.settle_request(pending.stream_end, &mut self.buffers);
        if let Some(server) = state.server().map(|side| side.server)
            && self.servers[usize::from(server.0)].retains
            && state.output.may_retain_more()
        {
            self.servers[usize::from(server.0)].is_choked = false;
            self.room_changed_at_server(server);
        }
    }

    fn send_again(
        &mut self,
        now: Moment,
        pending: &Pending,
        mut request: BytesMut,
        status: Status,
        journey: Journey,
    ) {
        if pending.note.is_some() {
            self.keep_turn_of_returned(now, pending);
            let mut copy = self.buffers.take();
            self.take_back(pending, &request, &mut copy);
            self.buffers.give(std::mem::replace(&mut request, copy));
        }
        match pending.origin {
            Origin::Session {
                connection,
                sequence_number,
            } => {
                patch_sequence_number(&mut request, sequence_number);
                self.retry_or_hold(now, connection, &request, journey);
                self.buffers.give(request);
            }
            Origin::Core { core, reference } => {
                let outcome = CoreOutcome::Returned { pdu: request, status };
                self.send_core_answer(core, reference, outcome);
            }
            // A part of several belongs to its server.
            Origin::Gathered(_) | Origin::Queue { .. } | Origin::Own => self.buffers.give(request),
        }
    }

    /// A throttled request is tried elsewhere until its hold time is over. (Another core asks its own settings.)
    fn may_go_elsewhere(&self, now: Moment, pending: &Pending) -> bool {
        match pending.origin {
            Origin::Session { connection, .. } => self.vserver_of(connection).is_some_and(|vserver| {
                vserver.on_throttle == OnThrottle::Retry && pending.arrived_at + vserver.hold_time > now
            }),
            Origin::Core { .. } => true,
            Origin::Gathered(_) | Origin::Queue { .. } | Origin::Own => false,
        }
    }

    fn may_resend_lost(&self, client: ConnectionId, pending: &Pending) -> bool {
        pending.mark.resends() < Mark::RESENDS_MAX
            && self
                .vserver_of(client)
                .is_some_and(|vserver| vserver.on_server_loss == OnServerLoss::Retry)
    }

    fn vserver_of(&self, client: ConnectionId) -> Option<&VserverSettings> {
        let client = self.sessions.get(client).and_then(Session::client)?;
        self.settings.vservers.get(usize::from(client.vserver.0))
    }

    /// A copy of a request that is kept and may go elsewhere.
    fn copy_retained(&mut self, session: ConnectionId, pending: &Pending) -> Option<BytesMut> {
        let session = self.sessions.get(session)?;
        let pdu = session.output.retained(pending.stream_end, pending.octets)?;
        may_move(pending, pdu, true).then(|| self.buffers.copy_of(pdu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::engine::tests::{bind_server, binding_client, message, settings};
    use crate::core::settings::samples::{server_settings, vserver_settings};
    use crate::core::settings::{Overload, ServerSettings, VserverSettings};
    use crate::core::wire::write_header_only;
    use std::sync::Arc;
    use std::time::Duration;

    /// An engine with a bound server and a client, whose session at the server keeps one request, and so finds no room for a second.
    fn start(overload: Overload) -> (PacketEngine, ConnectionId, ConnectionId) {
        let of_one = settings(VserverSettings {
            on_server_loss: OnServerLoss::Retry,
            overload,
            hold_time: TIMEOUT * 3,
            ..vserver_settings()
        });
        let server = ServerSettings {
            window_octets: 1,
            response_timeout: TIMEOUT,
            ..server_settings()
        };
        let settings = Settings::new(of_one.engine, of_one.vservers, vec![server], of_one.clients, 1);
        let mut engine = PacketEngine::new(CoreIndex(0), 1, Arc::new(settings), 1, Moment::START);
        let server = bind_server(&mut engine, Moment::START);
        let client = binding_client(&mut engine, Moment::START);
        (engine, server, client)
    }

    /// The numbers of the requests that leave.
    fn written(engine: &mut PacketEngine, now: Moment) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some(sent) = engine.poll_transmit() {
            let header = Header::read(&sent.octets).expect("a whole header");
            if header.command_id == CommandId::SUBMIT_SM {
                numbers.push(header.sequence_number);
            }
            engine.handle_transmitted(now, sent.connection, sent.octets);
        }
        numbers
    }

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Goal: other cores hear of the room that comes up when what was kept of a request is let go. Method: a session that keeps one
    /// request, is found full by the next, and gets its answer; behind that nothing happens that could tell them later.
    #[test]
    fn the_room_of_what_is_let_go_is_told() {
        let now = Moment::START;
        let (mut engine, server, client) = start(Overload::Throttle);
        let mut numbers = Vec::new();
        for _ in 0..2 {
            engine.handle_bytes(now, client, &message(CommandId::SUBMIT_SM));
            numbers.extend(written(&mut engine, now));
        }
        let [number] = numbers[..] else {
            panic!("one leaves, one is refused: {numbers:?}")
        };
        assert!(engine.servers[0].is_choked);
        let mut answer = BytesMut::new();
        write_header_only(&mut answer, CommandId::SUBMIT_SM_RESP, Status::ESME_ROK, number);
        engine.handle_bytes(now, server, &answer);
        let server = &engine.servers[0];
        assert!(server.has_much_room(), "{server:?}");
        assert!(server.reported_room, "{server:?}");
    }

    /// Goal: what waits for the room of a request that is kept leaves when that request's time is over. Method: as above, but the second
    /// request waits, and there is no answer.
    #[test]
    fn the_room_of_what_was_not_answered_is_used() {
        let now = Moment::START;
        let (mut engine, _, client) = start(Overload::Hold);
        engine.handle_bytes(now, client, &message(CommandId::SUBMIT_SM));
        assert_eq!(written(&mut engine, now).len(), 1);
        engine.handle_bytes(now, client, &message(CommandId::SUBMIT_SM));
        assert_eq!(written(&mut engine, now), []);
        let now = now + TIMEOUT;
        engine.handle_timeout(now);
        assert_eq!(written(&mut engine, now).len(), 1);
    }
}
