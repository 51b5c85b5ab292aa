//! Sessions: one SMPP connection each, towards a client or a server, with its bind state.
//!
//! Owns the table of sessions and the handles into it. Invariants: a handle's generation changes with each use of a place,
//! so events for a connection that is gone never reach its successor; a session is in at most one state; the window holds
//! the requests that *we* sent to this peer.

use super::contract::ConnectionId;
use super::figures::{ARE_KEPT, Exchanges};
use super::output::Output;
use super::pool::PoolIndex;
use super::sequence::Window;
use super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::time::Moment;
use super::wire::{CommandId, Status, Version};
use bytes::BytesMut;
use std::net::IpAddr;
use std::time::Duration;

/// Which PDUs a bound session may carry (SMPP v5.0 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindKind {
    Transmitter,
    Receiver,
    Transceiver,
}

impl BindKind {
    pub(super) const fn of(bind: CommandId) -> Option<Self> {
        match bind {
            CommandId::BIND_TRANSMITTER => Some(Self::Transmitter),
            CommandId::BIND_RECEIVER => Some(Self::Receiver),
            CommandId::BIND_TRANSCEIVER => Some(Self::Transceiver),
            _ => None,
        }
    }

    pub(super) const fn command(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// The ESME side may send messages.
    pub(super) const fn transmits(self) -> bool {
        matches!(self, Self::Transmitter | Self::Transceiver)
    }

    /// The ESME side may be sent messages.
    pub(super) const fn receives(self) -> bool {
        matches!(self, Self::Receiver | Self::Transceiver)
    }
}

/// Where a session stands between connecting and being gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionState {
    /// We asked the shell to connect.
    Connecting,
    /// Connected; a client must bind before its deadline.
    Open,
    /// A bind is under way: ours to a server, or a client's that waits for a server or for other cores.
    Binding,
    /// Bound.
    Bound(BindKind),
    /// No new requests: the peer or we unbound, or the peer half-closed; answers still pass.
    Unbinding(BindKind),
    /// Only its last output remains to be written.
    Closing,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) side: Side,
    pub(super) state: SessionState,
    /// The lower of the peer's interface_version and ours.
    pub(super) version: Version,
    pub(super) output: Output,
    pub(super) window: Window,
    /// Its requests and those to it, with their answers, while it has a side.
    pub(super) exchanges: Exchanges,
    /// When the peer was last heard.
    pub(super) received_at: Moment,
    /// The deadline that the state itself has: bind, release of a bind_resp, unbind, close.
    pub(super) state_deadline: Moment,
    /// When our enquire_link went out; `NEVER` when none is unanswered.
    pub(super) enquired_at: Moment,
    pub(super) enquire_link_misses: u32,
    /// How long the peer may be silent before an enquire_link: the configured interval with jitter.
    pub(super) enquire_link_interval: Duration,
    /// What the engine's timers are armed for.
    pub(super) armed_at: Moment,
    /// Faults in a row without one good PDU.
    pub(super) faults: u32,
    /// It reads too slowly: its requests are throttled until its output has drained.
    pub(super) is_slow: bool,
    /// Its requests are looked at one by one: it is slow, its account has a `rate`, or its vserver has routing rules.
    pub(super) is_curbed: bool,
    /// An operator looks at its PDUs: ask [`is_traced`](Self::is_traced).
    pub(super) is_traced: bool,
    pub(super) reading_paused: bool,
    /// When reading was paused.
    pub(super) paused_at: Moment,
}

/// What an answer to a client may bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterAnswer {
    Nothing,
    /// It was the last one of a session that is leaving.
    Settled,
    /// It was the last one of a client that drains.
    Drained,
    /// The client may be reading too slowly.
    OutputFilling,
}

/// Whom the session is with, and what only such a session has.
#[derive(Debug)]
pub(super) enum Side {
    Client(ClientSide),
    Server(ServerSide),
    /// Settled; only the last output remains.
    Gone,
}

/// A session of an ESME.
#[derive(Debug)]
pub(super) struct ClientSide {
    pub(super) vserver: VserverIndex,
    pub(super) peer: IpAddr,
    /// Known from the bind on; with `auth = "forward"` there may be no such account.
    pub(super) client: Option<ClientIndex>,
    pub(super) system_id: Box<[u8]>,
    /// The bind that is or was asked for, to be answered with this number.
    pub(super) bind: BindKind,
    pub(super) bind_sequence_number: u32,
    /// The account whose sessions count it in.
    pub(super) counted_account: Option<ClientIndex>,
    /// Pools that it is a member of.
    pub(super) pools: Vec<PoolIndex>,
    /// Requests of its that have no answer.
    pub(super) unanswered: u32,
    pub(super) window: u32,
    /// Its requests that wait for room in a server's window: each as arrival time and PDU.
    pub(super) held: BytesMut,
    pub(super) held_requests: u32,
    /// The DNS names of its certificate, which was verified.
    pub(super) certificate_names: Vec<String>,
    /// Its bind is accepted; bind_resp waits until every core knows its pools.
    pub(super) accepted: bool,
    /// Binds of this connection that were refused.
    pub(super) refused_binds: u32,
    /// The server's own bind_resp, kept while it waits (`auth = "forward"`).
    pub(super) bind_answer: Option<BytesMut>,
    /// The number of an unbind that is answered once its requests are.
    pub(super) unbind_sequence_number: Option<u32>,
    /// Its window for MO was reported full to the directory.
    pub(super) reported_full: bool,
    /// The identity whose server sessions it uses (`auth = "forward"`).
    pub(super) identity: Option<u32>,
    /// It gets no new work and its requests are refused: an operator wants it to end.
    pub(super) is_draining: bool,
}

/// A session that we hold at an SMSC.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerSide {
    pub(super) server: ServerIndex,
    pub(super) bind: BindKind,
    /// Whose traffic alone it carries (`auth = "forward"`).
    pub(super) identity: Option<u32>,
    /// Where the server opened it from, and asked for our bind (outbind); `None`: we did.
    pub(super) caller: Option<Caller>,
    /// It stands among the server's transmitting sessions, and its requests in their sum.
    pub(super) is_counted: bool,
    /// It gets no new requests and is unbound once all is answered.
    pub(super) is_leaving: bool,
    /// Its deliver_sm and data_sm that have no answer.
    pub(super) unanswered: u32,
    /// The number of its unbind, answered once the requests of both sides are.
    pub(super) unbind_sequence_number: Option<u32>,
}

/// A server that has opened a connection itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) peer: IpAddr,
    /// Its outbind said what it had to.
    pub(super) is_known: bool,
}

impl Session {
    pub(super) fn new(
        side: Side,
        state: SessionState,
        window: Window,
        now: Moment,
        state_deadline: Moment,
    ) -> Self {
        Self {
            side,
            state,
            version: Version::V34,
            output: Output::default(),
            window,
            exchanges: Exchanges::default(),
            received_at: now,
            state_deadline,
            enquired_at: Moment::NEVER,
            enquire_link_misses: 0,
            enquire_link_interval: Duration::MAX,
            armed_at: Moment::NEVER,
            faults: 0,
            is_slow: false,
            is_curbed: false,
            is_traced: false,
            reading_paused: false,
            paused_at: Moment::NEVER,
        }
    }

    /// An operator looks at its PDUs.
    #[inline(always)]
    pub(super) const fn is_traced(&self) -> bool {
        ARE_KEPT && self.is_traced
    }

    pub(super) const fn bound(&self) -> Option<BindKind> {
        match self.state {
            SessionState::Bound(kind) => Some(kind),
            _ => None,
        }
    }

    /// One of a client's requests has been answered.
    #[inline(always)]
    pub(super) fn client_answered(
        &mut self,
        output_octets_max: usize,
        response: CommandId,
        status: Status,
    ) -> AfterAnswer {
        let is_filling = self.output.waiting_octets() > output_octets_max / 2;
        let Side::Client(client) = &mut self.side else {
            return AfterAnswer::Nothing;
        };
        client.unanswered = client.unanswered.saturating_sub(1);
        self.exchanges.client_answer(response, status);
        // Where we unbound, the session ends with the client's unbind_resp: requests may be on their way until then.
        let is_settled = client.unanswered == 0
            && matches!(self.state, SessionState::Unbinding(_))
            && !self.window.has_own(CommandId::UNBIND);
        if is_settled {
            AfterAnswer::Settled
        } else if client.is_draining && client.unanswered == 0 {
            AfterAnswer::Drained
        } else if is_filling {
            AfterAnswer::OutputFilling
        } else {
            AfterAnswer::Nothing
        }
    }

    #[inline]
    pub(super) fn client(&self) -> Option<&ClientSide> {
        match &self.side {
            Side::Client(client) => Some(client),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn client_mut(&mut self) -> Option<&mut ClientSide> {
        match &mut self.side {
            Side::Client(client) => Some(client),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn server_mut(&mut self) -> Option<&mut ServerSide> {
        match &mut self.side {
            Side::Server(server) => Some(server),
            _ => None,
        }
    }

    /// A server has opened it (outbind).
    pub(super) fn is_called(&self) -> bool {
        self.server().is_some_and(|side| side.caller.is_some())
    }

    #[inline]
    pub(super) fn server(&self) -> Option<&ServerSide> {
        match &self.side {
            Side::Server(server) => Some(server),
            _ => None,
        }
    }
}

/// All sessions of an engine.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    session: Option<Box<Session>>,
}

impl Sessions {
    /// Sessions that exist.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, session: Session) -> ConnectionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                session: None,
            });
            // The table is bounded by `sessions_max`, a u32.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[index as usize];
        place.session = Some(Box::new(session));
        ConnectionId {
            index,
            generation: place.generation,
        }
    }

    #[inline]
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Session> {
        // Left at once where it does not fit: with a filter the compiler goes on with a pointer that may be null.
        let place = self.places.get(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        place.session.as_deref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Session> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        place.session.as_deref_mut()
    }

    /// A session that may still be written to: one that is closing may not.
    #[inline]
    pub(super) fn writable(&mut self, id: ConnectionId) -> Option<&mut Session> {
        let session = self.get_mut(id)?;
        if session.state == SessionState::Closing {
            return None;
        }
        Some(session)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Session> {
        let place = self
            .places
            .get_mut(id.index as usize)
            .filter(|place| place.generation == id.generation)?;
        let session = place.session.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(*session)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.places
            .iter_mut()
            .filter_map(|place| place.session.as_deref_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Session)> {
        (0_u32..).zip(&self.places).filter_map(|(index, place)| {
            Some((
                ConnectionId {
                    index,
                    generation: place.generation,
                },
                place.session.as_deref()?,
            ))
        })
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a handle of a session that is gone finds nothing, also after its place was used again.
    #[test]
    fn a_stale_handle_finds_nothing() {
        let mut sessions = Sessions::default();
        let side = || {
            Side::Server(ServerSide {
                server: ServerIndex(0),
                bind: BindKind::Transceiver,
                identity: None,
                caller: None,
                is_counted: false,
                is_leaving: false,
                unanswered: 0,
                unbind_sequence_number: None,
            })
        };
        let session = || {
            Session::new(
                side(),
                SessionState::Open,
                Window::new(1, 1),
                Moment::START,
                Moment::NEVER,
            )
        };
        let first = sessions.insert(session());
        assert!(sessions.remove(first).is_some());
        let second = sessions.insert(session());
        assert_eq!(first.index, second.index);
        assert!(
            sessions.get(first).is_none()
                && sessions.get_mut(first).is_none()
                && sessions.remove(first).is_none()
        );
        assert!(sessions.get(second).is_some());
        assert_eq!(sessions.len(), 1);
    }
}
