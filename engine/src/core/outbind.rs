//! Connections that a server opens itself: its outbind, our bind_receiver in answer, and what becomes of them.
//!
//! Such a session is one more that receives from its server. It is none of those that this core opens: it does not count
//! among the configured connections, says nothing of whether the server is up, its end is no failure that slows a reconnect,
//! and nobody but the server opens it again. Invariant: our credentials leave only behind an outbind that says what is
//! configured, so whoever merely connects learns nothing.

use super::contract::{CloseReason, ConnectionId, Notice, OutbindFault};
use super::engine::PacketEngine;
use super::network::lies_in_any;
use super::routing::is_curbed;
use super::sequence::Window;
use super::session::{BindKind, Caller, ServerSide, Session, SessionState, Side};
use super::settings::{OutbindSettings, ServerIndex};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{BindLimits, Header, OutbindView, Version};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Refusals of one server's outbinds are told no more often.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// What a server's outbinds have come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    /// Sessions that it asked for and that were bound.
    pub(super) bound: u64,
    /// Connections and outbinds of it, or of somebody who is not it, that were refused.
    pub(super) refused: u64,
    /// How many of those have been told.
    told: u64,
    told_at: Option<Moment>,
}

impl PacketEngine {
    /// A connection was accepted where a server may open some. `None`: it may not; close it.
    pub(super) fn accept_call(
        &mut self,
        now: Moment,
        index: ServerIndex,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let settings = Arc::clone(&self.settings);
        let configured = settings.servers.get(usize::from(index.0))?;
        let outbind = configured.outbind.as_ref()?;
        let is_full = self.sessions.len() >= settings.engine.sessions_max as usize;
        if self.drain.is_some() || is_full || settings.is_retired_server(index) {
            return None;
        }
        let peer = peer.ip().to_canonical();
        if !outbind.allow.is_empty() && !lies_in_any(&outbind.allow, peer) {
            self.refuse_call(now, index, peer, OutbindFault::Address);
            return None;
        }
        if self.called_sessions(index).len() >= outbind.connections as usize {
            self.refuse_call(now, index, peer, OutbindFault::TooMany);
            return None;
        }
        let side = Side::Server(ServerSide {
            server: index,
            bind: BindKind::Receiver,
            identity: None,
            caller: Some(Caller {
                peer,
                is_known: false,
            }),
            is_counted: false,
            is_leaving: false,
            unanswered: 0,
            unbind_sequence_number: None,
        });
        let window = Window::new(configured.window, settings.engine.first_sequence_number);
        let deadline = now + configured.response_timeout;
        let mut session = Session::new(side, SessionState::Open, window, now, deadline);
        session.version = Version::from_interface_version(configured.interface_version);
        session.is_curbed = is_curbed(&settings, &self.vservers, &session.side);
        session.is_traced = self.traces.includes(&session.side);
        let id = self.sessions.insert(session);
        self.servers[usize::from(index.0)].sessions.push(id);
        if let Some(session) = self.sessions.get_mut(id) {
            self.timers
                .arm(&mut session.armed_at, deadline, TimerKey::Session(id));
        }
        Some(id)
    }

    /// An outbind: what it says is compared with what the server is configured to say, and then we bind. It has no response; a
    /// wrong one costs the connection.
    pub(super) fn outbind(&mut self, now: Moment, id: ConnectionId, header: Header, pdu: &[u8]) {
        let session = self.sessions.get(id);
        let called = session.filter(|session| session.state == SessionState::Open);
        let side = called.and_then(Session::server).copied();
        let Some((side, caller)) = side.and_then(|side| Some((side, side.caller?))) else {
            return self.common_pdu(now, id, header);
        };
        let settings = Arc::clone(&self.settings);
        let wanted = settings.servers[usize::from(side.server.0)].outbind.as_ref();
        let checked = match (OutbindView::parse(pdu, BindLimits::LENIENT), wanted) {
            (Ok(outbind), Some(wanted)) => check(&outbind, wanted),
            _ => Err(OutbindFault::Malformed),
        };
        match checked {
            Ok(()) => {
                if let Some(side) = self.sessions.get_mut(id).and_then(Session::server_mut) {
                    side.caller = Some(Caller {
                        is_known: true,
                        ..caller
                    });
                }
                self.bind_at_server(now, id, side);
            }
            Err(fault) => {
                self.refuse_call(now, side.server, caller.peer, fault);
                self.end_session(now, id, CloseReason::OutbindRefused);
            }
        }
    }

    /// A connection that a server may open has said something else before its outbind: it may be anybody's, and ends without a word.
    /// `false`: this is none.
    pub(super) fn is_stranger(&mut self, now: Moment, id: ConnectionId) -> bool {
        let session = self.sessions.get(id);
        let called = session.filter(|session| session.state == SessionState::Open);
        let side = called.and_then(Session::server).copied();
        let Some((side, caller)) = side.and_then(|side| Some((side, side.caller?))) else {
            return false;
        };
        self.refuse_call(now, side.server, caller.peer, OutbindFault::Malformed);
        self.end_session(now, id, CloseReason::OutbindRefused);
        true
    }

    /// The server has accepted our bind on a connection that it opened.
    pub(super) fn call_bound(&mut self, now: Moment, id: ConnectionId, server: ServerIndex, peer: IpAddr) {
        let state = &mut self.servers[usize::from(server.0)];
        state.figures.binds += 1;
        state.calls.bound += 1;
        self.outbox.notice(Notice::OutbindBound { server, peer });
        self.arm_enquire_link(now, id);
    }

    /// Such a session is over. Whether there is another one is up to the server.
    pub(super) fn call_ended(
        &mut self,
        now: Moment,
        server: ServerIndex,
        caller: Caller,
        reason: CloseReason,
    ) {
        if matches!(reason, CloseReason::BindRefused(_)) {
            self.servers[usize::from(server.0)].figures.refused_binds += 1;
        }
        if self.drain.is_some() {
            return;
        }
        match reason {
            // That has been told.
            CloseReason::OutbindRefused => {}
            _ if caller.is_known => self.outbox.notice(Notice::OutbindEnded {
                server,
                peer: caller.peer,
                reason,
            }),
            CloseReason::WeUnbound => {}
            _ => self.refuse_call(now, server, caller.peer, OutbindFault::Missing),
        }
    }

    /// The sessions of a server that it has opened itself, in whatever state.
    pub(super) fn called_sessions(&self, server: ServerIndex) -> Vec<ConnectionId> {
        let is_called = |id: &ConnectionId| {
            let side = self.sessions.get(*id).and_then(Session::server);
            side.is_some_and(|side| side.caller.is_some())
        };
        let sessions = &self.servers[usize::from(server.0)].sessions;
        sessions.iter().copied().filter(is_called).collect()
    }

    /// Counts a refusal, and tells it now and then: who knocks all the time must not fill the log.
    fn refuse_call(&mut self, now: Moment, server: ServerIndex, peer: IpAddr, fault: OutbindFault) {
        let calls = &mut self.servers[usize::from(server.0)].calls;
        calls.refused += 1;
        if calls.told_at.is_some_and(|at| now.since(at) < TELL_INTERVAL) {
            return;
        }
        let others = calls.refused - calls.told - 1;
        (calls.told, calls.told_at) = (calls.refused, Some(now));
        self.outbox.notice(Notice::OutbindRefused {
            server,
            peer,
            fault,
            others,
        });
    }
}

fn check(outbind: &OutbindView<'_>, wanted: &OutbindSettings) -> Result<(), OutbindFault> {
    let is_known = wanted
        .system_id
        .as_ref()
        .is_none_or(|system_id| system_id.as_bytes() == outbind.system_id());
    let has_password = wanted
        .password
        .as_ref()
        .is_none_or(|password| password.matches(outbind.password()));
    match (is_known, has_password) {
        (true, true) => Ok(()),
        (true, false) => Err(OutbindFault::Password),
        (false, _) => Err(OutbindFault::SystemId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::{Action, ClosedBy, CoreIndex};
    use crate::core::engine;
    use crate::core::secret::Secret;
    use crate::core::settings::Settings;
    use crate::core::settings::samples::{client_settings, server_settings, vserver_settings};
    use crate::core::wire::{CommandId, Outbind, Status, write_header_only, write_pdu};
    use bytes::BytesMut;

    const SERVER: ServerIndex = ServerIndex(0);

    fn settings(outbind: Option<OutbindSettings>) -> Arc<Settings> {
        let base = engine::tests::settings(vserver_settings());
        let mut server = server_settings();
        server.outbind = outbind;
        let (vservers, clients) = (vec![vserver_settings()], vec![client_settings("esme")]);
        Arc::new(Settings::new(base.engine, vservers, vec![server], clients, 1))
    }

    fn wanted() -> OutbindSettings {
        OutbindSettings {
            listen: "127.0.0.1:2775".parse().unwrap(),
            system_id: Some("smsc".into()),
            password: Some(Secret::new("theirs")),
            allow: vec![("192.0.2.0".parse().unwrap(), 24)],
            connections: 2,
        }
    }

    fn engine() -> PacketEngine {
        PacketEngine::new(CoreIndex(0), 1, settings(Some(wanted())), 1, Moment::START)
    }

    fn call(engine: &mut PacketEngine, now: Moment, peer: &str) -> Option<ConnectionId> {
        engine.handle_called(now, SERVER, peer.parse().unwrap())
    }

    fn outbind(system_id: &str, password: &str) -> BytesMut {
        let mut pdu = BytesMut::new();
        let body = Outbind {
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
        };
        write_pdu(&mut pdu, CommandId::OUTBIND, Status::ESME_ROK, 7, &body).unwrap();
        pdu
    }

    /// What the engine has written to a connection.
    fn written(engine: &mut PacketEngine, id: ConnectionId) -> Vec<u8> {
        let mut octets = Vec::new();
        while let Some(transmit) = engine.poll_transmit() {
            if transmit.connection == id {
                octets.extend_from_slice(&transmit.octets);
            }
            engine.handle_transmitted(Moment::START, transmit.connection, transmit.octets);
        }
        octets
    }

    fn is_closed(engine: &mut PacketEngine, id: ConnectionId) -> bool {
        std::iter::from_fn(|| engine.poll_action())
            .any(|action| matches!(action, Action::Close { connection, .. } if connection == id))
    }

    fn refusals(engine: &mut PacketEngine) -> Vec<(OutbindFault, u64)> {
        std::iter::from_fn(|| engine.poll_notice())
            .filter_map(|notice| match notice {
                Notice::OutbindRefused { fault, others, .. } => Some((fault, others)),
                _ => None,
            })
            .collect()
    }

    fn bound(engine: &mut PacketEngine, now: Moment) -> ConnectionId {
        let id = call(engine, now, "192.0.2.7:4000").expect("it may come");
        engine.handle_bytes(now, id, &outbind("smsc", "theirs"));
        let bind = Header::read(&written(engine, id)).expect("a bind");
        assert_eq!(bind.command_id, CommandId::BIND_RECEIVER);
        let mut answer = BytesMut::new();
        let command = bind.command_id.response();
        write_header_only(&mut answer, command, Status::ESME_ROK, bind.sequence_number);
        engine.handle_bytes(now, id, &answer);
        assert!(engine.sessions.get(id).unwrap().bound().is_some());
        id
    }

    /// Goal: an outbind that says what is configured gets our bind_receiver and no other octet; the session is none of those that
    /// this core opens, and its end changes nothing for them.
    #[test]
    fn a_right_outbind_gets_our_bind() {
        let (mut engine, now) = (engine(), Moment::START);
        let id = bound(&mut engine, now);
        assert_eq!(engine.report().servers[0].outbinds, 1);
        assert!(!engine.has_server_up(crate::core::settings::VserverIndex(0)));
        let opened =
            |engine: &PacketEngine| engine.servers[0].sessions.len() - engine.called_sessions(SERVER).len();
        assert_eq!(opened(&engine), 1, "ours is still being made");
        let before = (engine.servers[0].reconnect.not_before, opened(&engine));
        engine.handle_closed(
            now,
            id,
            ClosedBy::Error(std::io::ErrorKind::ConnectionReset),
            None,
        );
        assert_eq!(before, (engine.servers[0].reconnect.not_before, opened(&engine)));
        assert_eq!(engine.servers[0].figures.losses, 0);
    }

    /// Goal: what is wrong costs the connection, is told once, counted always, and hears nothing of us.
    #[test]
    fn a_wrong_outbind_hears_nothing() {
        let (mut engine, mut now) = (engine(), Moment::START);
        assert!(call(&mut engine, now, "198.51.100.1:4000").is_none());
        assert_eq!(refusals(&mut engine), [(OutbindFault::Address, 0)]);
        for wrong in [
            outbind("smsc", "wrong"),
            outbind("nobody", "theirs"),
            outbind("", ""),
        ] {
            let id = call(&mut engine, now, "192.0.2.7:4000").unwrap();
            engine.handle_bytes(now, id, &wrong);
            assert!(written(&mut engine, id).is_empty());
            assert!(is_closed(&mut engine, id));
        }
        assert!(refusals(&mut engine).is_empty(), "not so soon again");
        now += TELL_INTERVAL;
        let id = call(&mut engine, now, "192.0.2.7:4000").unwrap();
        engine.handle_bytes(now, id, &outbind("smsc", "theirs2"));
        assert_eq!(refusals(&mut engine), [(OutbindFault::Password, 3)]);
        assert_eq!(engine.report().servers[0].refused_outbinds, 5);
    }

    /// Goal: whoever says anything but an outbind first hears nothing and is closed, whatever it is; no alert of it reaches a client.
    #[test]
    fn anything_else_hears_nothing() {
        let (mut engine, now) = (engine(), Moment::START);
        let client = engine::tests::binding_client(&mut engine, now);
        engine.release_bind(now, client);
        written(&mut engine, client);
        let requests = [
            CommandId::ENQUIRE_LINK,
            CommandId::UNBIND,
            CommandId::SUBMIT_SM,
            CommandId::DELIVER_SM,
            CommandId::DATA_SM,
            CommandId::ALERT_NOTIFICATION,
            CommandId::GENERIC_NACK,
            CommandId::SUBMIT_SM_RESP,
            CommandId(0x0001_0203),
            CommandId(0x0000_0777),
        ];
        for command in requests {
            let id = call(&mut engine, now, "192.0.2.7:4000").expect("it may come");
            let mut pdu = BytesMut::new();
            write_header_only(&mut pdu, command, Status::ESME_ROK, 1);
            // What an alert_notification needs: an SMSC's address, and the ESME's.
            pdu.extend_from_slice(b"\0\0\x31\0\0\0\x32\0");
            crate::core::wire::patch_command_length(&mut pdu);
            engine.handle_bytes(now, id, &pdu);
            assert!(written(&mut engine, id).is_empty(), "{command:?}");
            assert!(written(&mut engine, client).is_empty(), "{command:?}");
            assert!(is_closed(&mut engine, id), "{command:?}");
        }
    }

    /// Goal: there are no more than are allowed, whoever says nothing is given up in time, and then there is room again.
    #[test]
    fn they_are_limited_in_number_and_time() {
        let (mut engine, now) = (engine(), Moment::START);
        let silent = [0, 1].map(|_| call(&mut engine, now, "192.0.2.7:4000").unwrap());
        assert!(call(&mut engine, now, "192.0.2.7:4000").is_none());
        assert_eq!(refusals(&mut engine), [(OutbindFault::TooMany, 0)]);
        let late = now + server_settings().response_timeout;
        engine.handle_timeout(late);
        assert!(written(&mut engine, silent[0]).is_empty());
        assert!(is_closed(&mut engine, silent[1]));
        bound(&mut engine, late);
    }

    /// Goal: a drain and new settings unbind such a session; with other credentials, without outbind, or without the server.
    #[test]
    fn it_ends_in_an_orderly_way() {
        let now = Moment::START;
        let mut other = wanted();
        other.password = Some(Secret::new("another"));
        let retired = |settings: Arc<Settings>| {
            let settings = Arc::into_inner(settings).unwrap();
            Arc::new(settings.with_retired(vec![SERVER], Vec::new()))
        };
        for new in [settings(None), settings(Some(other)), retired(settings(None))] {
            let mut engine = engine();
            let id = bound(&mut engine, now);
            engine.reconfigure(now, &settings(Some(wanted())));
            assert!(written(&mut engine, id).is_empty(), "nothing is different");
            engine.reconfigure(now, &new);
            let unbind = Header::read(&written(&mut engine, id)).unwrap();
            assert_eq!(unbind.command_id, CommandId::UNBIND);
        }
        let mut engine = engine();
        let id = bound(&mut engine, now);
        engine.start_drain(now);
        let unbind = Header::read(&written(&mut engine, id)).unwrap();
        assert_eq!(unbind.command_id, CommandId::UNBIND);
        assert!(call(&mut engine, now, "192.0.2.7:4000").is_none());
    }
}
