//! Clients coming: accept, bind, and the wait until every core knows where their messages go.
//!
//! Must never put a session into a pool whose range its account may not claim, or let a session transmit or receive before
//! its bind_resp is in its output.

use super::contract::{CloseReason, ConnectionId, Notice};
use super::directory::DirectoryKey;
use super::engine::PacketEngine;
use super::network::lies_in_any;
use super::passwords::PasswordCheck;
use super::range::{AddressRange, Claim, PoolKey, RangeKind};
use super::routing::is_curbed;
use super::sequence::Window;
use super::session::{BindKind, ClientSide, Session, SessionState, Side};
use super::settings::{Auth, BindKinds, ClientIndex, ClientSettings, EmptyRange, VserverIndex};
use super::time::Moment;
use super::timer::TimerKey;
use super::wire::{BindLimits, BindResponse, BindView, Header, Status, write_response};
use bytes::BytesMut;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A bind_resp waits no longer than this for other cores.
const RELEASE_TIME: Duration = Duration::from_millis(50);
/// Binds of one connection that may be refused before it is closed.
const REFUSED_BINDS_MAX: u32 = 3;
/// Sessions that clients leave free in the table, so that servers can always be reached again.
const SESSIONS_FOR_SERVERS: usize = 64;
/// Who we are in a bind_resp.
const OUR_SYSTEM_ID: &[u8] = b"smppmux";

/// What a session is granted by its bind.
pub(super) struct Grant {
    pub(super) client: Option<ClientIndex>,
    pub(super) window: u32,
    /// What it claims, for the TON and NPI of its bind.
    pub(super) claims: GrantedClaims,
    pub(super) identity: Option<u32>,
    /// The server's own bind_resp, where it decided (`auth = "forward"`).
    pub(super) answer: Option<BytesMut>,
}

/// What a session may have of what it has claimed.
pub(super) enum GrantedClaims {
    /// No messages, receipts only.
    Nothing,
    /// One range.
    Range(AddressRange),
    /// All that its account may claim.
    Allowed(ClientIndex),
}

impl PacketEngine {
    pub(super) fn accept_client(
        &mut self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
        bind_deadline: Option<Moment>,
    ) -> Option<ConnectionId> {
        let settings = self.settings.vservers.get(usize::from(vserver.0))?;
        let sessions_max = (self.settings.engine.sessions_max as usize)
            .saturating_sub(SESSIONS_FOR_SERVERS)
            .max(1);
        if self.drain.is_some() || self.sessions.len() >= sessions_max {
            return None;
        }
        let deadline = bind_deadline.unwrap_or(now + settings.bind_timeout);
        let side = Side::Client(ClientSide::new(vserver, peer.ip().to_canonical()));
        let id = self.sessions.insert(Session::new(
            side,
            SessionState::Open,
            Window::new(0, 1),
            now,
            deadline,
        ));
        if let Some(session) = self.sessions.get_mut(id) {
            self.timers
                .arm(&mut session.armed_at, deadline, TimerKey::Session(id));
        }
        Some(id)
    }

    /// A bind of a client.
    pub(super) fn client_bind(&mut self, now: Moment, id: ConnectionId, header: Header, pdu: &[u8]) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let state = session.state;
        let Some(client) = session.client_mut() else {
            return;
        };
        if state != SessionState::Open {
            return self.refuse(now, id, &header, Status::ESME_RALYBND);
        }
        let limits = if self.settings.engine.strict_lengths {
            BindLimits::STRICT
        } else {
            BindLimits::LENIENT
        };
        let view = match BindView::parse(pdu, limits) {
            Ok(view) => view,
            Err(fault) => return self.refuse_fault(now, id, &header, &fault),
        };
        let Some(kind) = BindKind::of(header.command_id) else {
            return;
        };
        client.bind = kind;
        client.bind_sequence_number = header.sequence_number;
        client.system_id = view.system_id().into();
        let (vserver, peer) = (client.vserver, client.peer);
        session.version = view.version();
        if let Err(status) = self.may_bind_now(vserver) {
            return self.refuse_bind(now, id, status);
        }
        if self.settings.vservers[usize::from(vserver.0)].auth == Auth::Forward {
            return self.forward_client_bind(now, id, &view, pdu);
        }
        let Some(account) = self.settings.account(view.system_id()) else {
            return self.refuse_bind(now, id, Status::ESME_RINVSYSID);
        };
        match self.check_password(now, id, account, &view, pdu) {
            PasswordCheck::Later => {}
            PasswordCheck::Wrong => self.refuse_bind(now, id, Status::ESME_RINVPASWD),
            PasswordCheck::Right => match self.authorise(id, vserver, peer, kind, account, &view) {
                Ok(grant) => self.accept_bind(now, id, &view, grant),
                Err(status) => self.refuse_bind(now, id, status),
            },
        }
    }

    /// Puts an accepted client into its pools; its bind_resp leaves when every core knows.
    pub(super) fn accept_bind(
        &mut self,
        now: Moment,
        id: ConnectionId,
        view: &BindView<'_>,
        mut grant: Grant,
    ) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        session.window = Window::new(grant.window, 1);
        session.state = SessionState::Binding;
        session.state_deadline = now + RELEASE_TIME;
        self.timers
            .arm(&mut session.armed_at, now + RELEASE_TIME, TimerKey::Session(id));
        let Some(client) = session.client_mut() else {
            return;
        };
        client.client = grant.client;
        client.counted_account = grant.client;
        client.window = grant.window;
        client.identity = grant.identity;
        client.bind_answer = grant.answer.take();
        client.accepted = true;
        let (vserver, receives) = (client.vserver, client.bind.receives());
        session.is_curbed = is_curbed(&self.settings, &self.vservers, &session.side);
        session.is_traced = self.traces.includes(&session.side);
        let mut version = 0;
        if let Some(account) = grant.client {
            let sessions = self.account_sessions.at(account, self.core) + 1;
            self.account_sessions.set(account, self.core, sessions);
            version = self.directory.changed(&DirectoryKey::Account(account));
        }
        // A session of an identity gets its messages from its own server sessions, not from pools.
        if receives && grant.identity.is_none() {
            for key in self.granted_pools(vserver, view, &grant) {
                version = self.join_pool(id, &key);
            }
            self.pools_have_changed(now);
        }
        self.unreleased_binds.push_back((version, id));
        self.release_binds(now);
    }

    /// The pools of a session: of what it claims, and of its account's receipts.
    fn granted_pools(&self, vserver: VserverIndex, view: &BindView<'_>, grant: &Grant) -> Vec<Arc<PoolKey>> {
        let (addr_ton, addr_npi) = (view.addr_ton(), view.addr_npi());
        let key = |addr_ton, addr_npi, claim| {
            Arc::new(PoolKey {
                vserver,
                addr_ton,
                addr_npi,
                claim,
            })
        };
        let mut keys = match &grant.claims {
            GrantedClaims::Nothing => Vec::new(),
            GrantedClaims::Range(range) => vec![key(addr_ton, addr_npi, Claim::Range(range.clone()))],
            GrantedClaims::Allowed(account) => {
                self.claims_of_allowed(*account, vserver, (addr_ton, addr_npi))
            }
        };
        keys.extend(grant.client.map(|account| key(0, 0, Claim::Receipts(account))));
        keys
    }

    /// Sends the bind_resps of all sessions whose pools every core knows by now.
    pub(super) fn release_binds(&mut self, now: Moment) {
        while let Some((version, id)) = self.unreleased_binds.front().copied() {
            let is_current = self
                .sessions
                .get(id)
                .is_some_and(|session| session.state == SessionState::Binding);
            if is_current && !self.directory.everyone_knows(version) {
                return;
            }
            self.unreleased_binds.pop_front();
            if is_current {
                self.release_bind(now, id);
            }
        }
    }

    /// Sends the bind_resp of an accepted client; from here on it is bound.
    pub(super) fn release_bind(&mut self, now: Moment, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let version = session.version;
        let Some(client) = session.client_mut() else {
            return;
        };
        let (kind, number, vserver) = (client.bind, client.bind_sequence_number, client.vserver);
        let answer = client.bind_answer.take();
        let system_id = printable(&client.system_id);
        session.state = SessionState::Bound(kind);
        session.state_deadline = Moment::NEVER;
        match answer {
            Some(answer) => {
                self.send_copy(id, &answer, number);
                self.buffers.give(answer);
            }
            None => self.write_to(id, |buffer| {
                let sc_interface_version = version.has_tlvs().then_some(version);
                let body = BindResponse {
                    system_id: OUR_SYSTEM_ID,
                    sc_interface_version,
                };
                // Our own system_id fits its field.
                let _ = write_response(buffer, kind.command().response(), Status::ESME_ROK, number, &body);
            }),
        }
        self.counters.binds_accepted += 1;
        self.outbox.notice(Notice::ClientBound {
            vserver,
            system_id,
            bind: kind.command(),
        });
        self.arm_enquire_link(now, id);
        self.resume_reading_if_drained(id);
    }

    /// A message is about to go to a client whose bind_resp still waits: that has to go first.
    #[inline]
    pub(super) fn release_bind_before_message(&mut self, now: Moment, id: ConnectionId) {
        if self.sessions.get(id).is_some_and(|session| {
            session.state == SessionState::Binding && session.client().is_some_and(|client| client.accepted)
        }) {
            self.release_bind(now, id);
        }
    }

    /// Answers a bind with an error. The connection stays until its bind deadline for another try, but not for many: who
    /// guesses passwords has to connect anew.
    pub(super) fn refuse_bind(&mut self, now: Moment, id: ConnectionId, status: Status) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        // It may have gone since a server was asked, or be bound by another answer.
        if !matches!(session.state, SessionState::Open | SessionState::Binding) {
            return;
        }
        let Some(client) = session.client_mut().filter(|client| !client.accepted) else {
            return;
        };
        client.refused_binds += 1;
        let (bind, number, refused_binds) = (client.bind, client.bind_sequence_number, client.refused_binds);
        let (vserver, peer) = (client.vserver, client.peer);
        let system_id = printable(&client.system_id);
        session.state = SessionState::Open;
        session.state_deadline = now + self.settings.vservers[usize::from(vserver.0)].bind_timeout;
        self.timers.arm(
            &mut session.armed_at,
            session.state_deadline,
            TimerKey::Session(id),
        );
        self.outbox.notice(Notice::ClientRefused {
            vserver,
            peer,
            system_id,
            status,
        });
        self.counters.binds_refused += 1;
        self.send_header(id, bind.command().response(), status, number);
        if refused_binds >= REFUSED_BINDS_MAX {
            self.end_session(now, id, CloseReason::BindRefused(status));
        }
        self.resume_reading_if_drained(id);
    }

    pub(super) fn may_bind_now(&self, vserver: VserverIndex) -> Result<(), Status> {
        if self.drain.is_some() || self.must_be_without_clients(vserver) {
            return Err(Status::ESME_RSYSERR);
        }
        Ok(())
    }

    /// Checks a bind whose password is right against the client table (`auth = "local"`).
    pub(super) fn authorise(
        &self,
        id: ConnectionId,
        vserver: VserverIndex,
        peer: IpAddr,
        kind: BindKind,
        index: ClientIndex,
        view: &BindView<'_>,
    ) -> Result<Grant, Status> {
        let account = &self.settings.clients[index.0 as usize];
        let sessions = self.account_sessions.total(index);
        let is_allowed = !self.operator.is_client_draining(index)
            && account.may_bind_at(vserver)
            && is_kind_allowed(account.binds, kind)
            && (account.allow.is_empty() || lies_in_any(&account.allow, peer))
            && self.has_certificate_for(id, account)
            && account.max_binds.is_none_or(|max| sessions < max);
        if !is_allowed {
            return Err(Status::ESME_RBINDFAIL);
        }
        let claims = if kind.receives() {
            self.granted_claims(vserver, index, view.address_range())?
        } else {
            GrantedClaims::Nothing
        };
        Ok(Grant {
            client: Some(index),
            window: account.window,
            claims,
            identity: None,
            answer: None,
        })
    }

    /// Whether the client has shown a certificate for one of the names that its account asks for.
    fn has_certificate_for(&self, id: ConnectionId, account: &ClientSettings) -> bool {
        let wanted = &account.certificate_names;
        let client = self.sessions.get(id).and_then(Session::client);
        wanted.is_empty()
            || client.is_some_and(|client| {
                let mut shown = client.certificate_names.iter();
                shown.any(|name| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
            })
    }

    /// What a bind gets, or ESME_RBINDFAIL for a claim outside what the account may have.
    fn granted_claims(
        &self,
        vserver: VserverIndex,
        account: ClientIndex,
        claim: &[u8],
    ) -> Result<GrantedClaims, Status> {
        let claim = AddressRange::parse(claim).map_err(|_| Status::ESME_RBINDFAIL)?;
        let address_ranges = &self.settings.clients[account.0 as usize].address_ranges;
        if claim.kind() == RangeKind::Empty {
            return Ok(match self.settings.vservers[usize::from(vserver.0)].empty_range {
                EmptyRange::All => GrantedClaims::Range(AddressRange::everything()),
                EmptyRange::Allowed if !address_ranges.is_empty() => GrantedClaims::Allowed(account),
                EmptyRange::Allowed | EmptyRange::None => GrantedClaims::Nothing,
            });
        }
        if address_ranges.iter().any(|allowed| allowed.covers(&claim)) {
            Ok(GrantedClaims::Range(claim))
        } else {
            Err(Status::ESME_RBINDFAIL)
        }
    }
}

impl ClientSide {
    /// A client that has not bound.
    fn new(vserver: VserverIndex, peer: IpAddr) -> Self {
        Self {
            vserver,
            peer,
            client: None,
            system_id: Box::default(),
            bind: BindKind::Transceiver,
            bind_sequence_number: 0,
            counted_account: None,
            pools: Vec::new(),
            unanswered: 0,
            window: 0,
            held: BytesMut::new(),
            held_requests: 0,
            certificate_names: Vec::new(),
            accepted: false,
            refused_binds: 0,
            bind_answer: None,
            unbind_sequence_number: None,
            reported_full: false,
            identity: None,
            is_draining: false,
        }
    }
}

const fn is_kind_allowed(allowed: BindKinds, kind: BindKind) -> bool {
    match kind {
        BindKind::Transmitter => allowed.transmitter,
        BindKind::Receiver => allowed.receiver,
        BindKind::Transceiver => allowed.transceiver,
    }
}

/// A system_id for a log line: bounded, and without control characters.
pub(super) fn printable(system_id: &[u8]) -> String {
    let shown = system_id.iter().take(64);
    shown
        .map(|octet| {
            if octet.is_ascii_graphic() {
                char::from(*octet)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::contract::Action;
    use crate::core::engine::tests::engine;

    /// Goal: who has waited elsewhere for its bind has only what is left of the time for it, and none where that is over.
    #[test]
    fn the_time_to_bind_goes_on() {
        let mut engine = engine(1);
        let start = Moment::START;
        let bind_deadline = start + Duration::from_millis(300);
        let peer = "192.0.2.1:40000".parse().unwrap();
        for arrives_at in [
            start + Duration::from_millis(200),
            start + Duration::from_millis(400),
        ] {
            let client = engine
                .handle_handed_over(arrives_at, VserverIndex(0), peer, bind_deadline)
                .unwrap();
            let due = engine.next_timeout().max(arrives_at);
            assert_eq!(due, bind_deadline.max(arrives_at));
            engine.handle_timeout(due);
            let actions: Vec<Action> = std::iter::from_fn(|| engine.poll_action()).collect();
            let is_closed =
                |action: &Action| matches!(action, Action::Close { connection, .. } if *connection == client);
            assert!(actions.iter().any(is_closed), "{actions:?}");
            let notices: Vec<Notice> = std::iter::from_fn(|| engine.poll_notice()).collect();
            let is_told = |notice: &Notice| {
                matches!(
                    notice,
                    Notice::ClientLost {
                        reason: CloseReason::BindTimeout,
                        ..
                    }
                )
            };
            assert!(notices.iter().any(is_told), "{notices:?}");
        }
    }

    /// Goal: nothing in a system_id can break a log line.
    #[test]
    fn system_ids_are_printable() {
        assert_eq!(printable(b"es\nme\x1b1"), "es?me?1");
        assert_eq!(printable(&[b'a'; 200]).len(), 64);
    }
}
