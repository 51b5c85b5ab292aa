//! Before SMPP: whether somebody may connect, who that is, and what its conduct is remembered for.
//!
//! A connection of a trusted balancer begins with a PROXY protocol header; the engine hears of the connection when that was
//! read, with the client's own address. Where a vserver asks for nothing of this, a connection goes to the engine at once.
//!
//! Invariants: a greeting has a time limit (the vserver's `bind_timeout`), their number is bounded, and what is read of one
//! is bounded by the longest header or bind, and what one turn may bring behind it.

use super::super::admission::{Refusal, Ticket};
use super::super::driver::Driver;
use super::super::engine::Engine;
use super::super::event::Event;
use super::super::greeting::{GREETINGS_MAX, Greeting, Stage};
use super::super::link::{Link, LinkId, Phase};
use super::super::message::HandOver;
use super::super::proxy_header::{self, ProxyHeader};
use super::Station;
use crate::core::contract::{CloseReason, ConnectionId, Notice};
use crate::core::settings::VserverIndex;
use crate::core::time::Moment;
use crate::core::wire::Status;
use std::net::{IpAddr, SocketAddr};

impl<E: Engine> Station<E> {
    /// Counts a new connection, where that is asked for. A balancer's clients are looked at when they are known.
    pub(super) fn ask_at_the_door(
        &self,
        now: Moment,
        vserver: VserverIndex,
        peer: SocketAddr,
    ) -> Result<Option<Ticket>, Refusal> {
        let Some(admission) = &self.admission else {
            return Ok(None);
        };
        let mut ticket = admission.enter(vserver)?;
        if !admission.is_proxy(vserver, peer.ip()) {
            ticket.identify(now, peer.ip())?;
        }
        Ok(Some(ticket))
    }

    pub(super) fn count_refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Limit => self.report.refused_by_limit += 1,
            Refusal::Banned => self.report.refused_by_ban += 1,
        }
    }

    /// Whether something comes before SMPP.
    pub(super) fn has_greeting(&self, vserver: VserverIndex, peer: SocketAddr) -> bool {
        self.admission
            .as_ref()
            .is_some_and(|admission| admission.is_proxy(vserver, peer.ip()))
    }

    /// Takes a connection in whose client is not known yet, which begins with TLS, or whose bind says its core.
    pub(super) fn await_greeting(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        vserver: VserverIndex,
        hand_over: HandOver,
        stage: Stage,
    ) {
        let HandOver {
            socket,
            peer,
            is_tls,
            pin,
            ticket,
            ..
        } = hand_over;
        let is_introduced = stage == Stage::AwaitingBind;
        if !is_introduced && self.greetings >= GREETINGS_MAX {
            self.report.not_admitted += 1;
            return;
        }
        let patience = self.settings.vservers[usize::from(vserver.0)].bind_timeout;
        let greeting = Greeting {
            vserver,
            peer,
            is_tls,
            pin,
            stage,
        };
        let mut link = Link::new(Phase::Greeting(Box::new(greeting)));
        if !is_introduced && !self.has_greeting(vserver, peer) {
            link.tls = self.secure_accepted(vserver);
            if link.tls.is_none() {
                self.report.not_admitted += 1;
                return;
            }
        }
        link.in_driver = true;
        link.counts_as_flow = true;
        link.ticket = ticket;
        link.deadline = now + patience;
        if let Some(id) = self.links.insert(link) {
            match stage {
                Stage::Introducing => self.greetings += 1,
                _ => self.binds_awaited += 1,
            }
            self.deadlines.add(now + patience, id);
            self.steering.count_opened();
            driver.adopt(id, socket);
        }
    }

    /// Octets of a connection that the engine does not know: `bytes` is all that came and was not used.
    #[cold]
    pub(super) fn greeted(&mut self, now: Moment, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Phase::Greeting(greeting) = &mut link.phase else {
            return;
        };
        if greeting.stage != Stage::Introducing {
            return self.look_for_bind(now, id, bytes);
        }
        match proxy_header::read(bytes) {
            ProxyHeader::Incomplete => self.leftovers.keep(&mut link.leftover, bytes),
            ProxyHeader::Wrong => self.refuse_greeting(now, id),
            ProxyHeader::Complete { octets, client } => {
                greeting.peer = client.unwrap_or(greeting.peer);
                let (vserver, is_tls) = (greeting.vserver, greeting.is_tls);
                self.leftovers.keep(&mut link.leftover, &[]);
                if !self.identify(now, id, client) {
                    return;
                }
                if !is_tls {
                    self.introduced(now, id);
                } else if !self.begin_tls(now, id, vserver) {
                    return;
                }
                let behind = bytes.get(octets..).unwrap_or_default();
                if !behind.is_empty() {
                    self.received(now, id, behind);
                }
            }
        }
    }

    /// Behind a header comes TLS.
    fn begin_tls(&mut self, now: Moment, id: LinkId, vserver: VserverIndex) -> bool {
        let tls = self.secure_accepted(vserver);
        let begins = tls.is_some();
        if let Some(link) = self.links.get_mut(id) {
            link.tls = tls;
        }
        if !begins {
            self.cut_off(now, id);
        }
        begins
    }

    /// The same for octets that stand apart from the leftover.
    #[cold]
    pub(super) fn greeted_apart(&mut self, now: Moment, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Phase::Greeting(greeting) = &link.phase else {
            return;
        };
        if matches!(greeting.stage, Stage::Moving(_) | Stage::Leaving(_)) {
            // It only travels along.
            return self.leftovers.append(&mut link.leftover, bytes);
        }
        let mut all = std::mem::take(&mut link.leftover);
        self.leftovers.append(&mut all, bytes);
        self.greeted(now, id, &all);
        self.leftovers.give_back(all);
    }

    /// The client is known; whether it may connect. A balancer that speaks for itself (`None`) is nobody to limit: that would
    /// end its health checks.
    fn identify(&mut self, now: Moment, id: LinkId, client: Option<SocketAddr>) -> bool {
        let ticket = self.links.get_mut(id).and_then(|link| link.ticket.as_mut());
        let allowed = match (ticket, client) {
            (Some(ticket), Some(client)) => ticket.identify(now, client.ip()),
            _ => Ok(()),
        };
        match allowed {
            Ok(()) => true,
            Err(refusal) => {
                self.count_refusal(refusal);
                self.cut_off(now, id);
                false
            }
        }
    }

    /// Everything before SMPP is done: the engine takes the connection, or its bind is awaited.
    pub(super) fn introduced(&mut self, now: Moment, id: LinkId) {
        if !self.awaits_binds() {
            self.open_greeted(now, id);
            return;
        }
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if let Phase::Greeting(greeting) = &mut link.phase {
            let vserver = usize::from(greeting.vserver.0);
            let deadline = now + self.settings.vservers[vserver].bind_timeout;
            greeting.stage = Stage::AwaitingBind;
            link.deadline = deadline;
            self.greetings -= 1;
            self.binds_awaited += 1;
            self.deadlines.add(deadline, id);
        }
    }

    /// The engine takes a connection that it has not known so far. One that has waited for its bind has so much less time for it.
    pub(super) fn open_greeted(&mut self, now: Moment, id: LinkId) -> Option<ConnectionId> {
        let link = self.links.get_mut(id)?;
        let Phase::Greeting(greeting) = &link.phase else {
            return None;
        };
        let (vserver, peer, stage) = (greeting.vserver, greeting.peer, greeting.stage);
        let connection = if stage == Stage::Introducing {
            self.engine.handle_accepted(now, vserver, peer)
        } else {
            self.engine.handle_handed_over(now, vserver, peer, link.deadline)
        };
        match connection {
            Some(connection) => {
                self.uncount_greeting(stage);
                self.links.open(id, connection);
                self.show_certificate(now, id, connection);
            }
            None => {
                self.report.not_admitted += 1;
                self.cut_off(now, id);
            }
        }
        connection
    }

    fn refuse_greeting(&mut self, now: Moment, id: LinkId) {
        self.report.greetings_failed += 1;
        self.cut_off(now, id);
    }

    /// Ends a greeting before this turn ends; what its peer still sends is not looked at.
    pub(super) fn cut_off(&mut self, now: Moment, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && matches!(link.phase, Phase::Greeting(_))
        {
            let phase = std::mem::replace(&mut link.phase, Phase::Flushing);
            link.deadline = now;
            if let Phase::Greeting(greeting) = phase {
                self.uncount_greeting(greeting.stage);
            }
            self.deadlines.add(now, id);
        }
    }

    /// A greeting's time is up.
    pub(super) fn give_up_greeting(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) {
        let link = self.links.get_mut(id);
        match link.map(|link| (link.tls.is_some(), &link.phase)) {
            Some((_, Phase::Greeting(greeting))) if greeting.is_leaving() => return,
            // The engine says what comes of a client that does not bind.
            Some((_, Phase::Greeting(greeting))) if greeting.stage != Stage::Introducing => {
                if matches!(greeting.stage, Stage::Moving(_)) {
                    driver.resume_reading(id);
                }
                return self.open_unplaced(now, id);
            }
            Some((true, Phase::Greeting(greeting))) => {
                let (vserver, peer) = (greeting.vserver, greeting.peer.ip());
                self.report.handshakes_failed += 1;
                self.blame(now, vserver, peer);
            }
            _ => self.report.greetings_failed += 1,
        }
        self.release(driver, id);
    }

    /// What the engine says of a client may count against its address.
    pub(super) fn note_conduct(&mut self, now: Moment, notice: &Notice) {
        if self.admission.is_some()
            && let Some((vserver, peer)) = blamed(notice)
        {
            self.blame(now, vserver, peer);
        }
    }

    /// Something counts against an address.
    pub(super) fn blame(&mut self, now: Moment, vserver: VserverIndex, peer: IpAddr) {
        let Some(admission) = &self.admission else {
            return;
        };
        if let Some(ban) = admission.blame(now, vserver, peer) {
            let core = self.core;
            let notice = Notice::AddressBanned { vserver, peer, ban };
            self.tell(Event::Notice { core, notice });
        }
    }
}

/// Whose failed bind a notice tells of: refused credentials, octets that are not SMPP before a bind, or no bind in time.
fn blamed(notice: &Notice) -> Option<(VserverIndex, IpAddr)> {
    match notice {
        Notice::ClientRefused {
            vserver,
            peer,
            status: Status::ESME_RINVPASWD | Status::ESME_RINVSYSID | Status::ESME_RBINDFAIL,
            ..
        } => Some((*vserver, *peer)),
        Notice::ClientLost {
            vserver,
            peer,
            system_id,
            reason: CloseReason::BindTimeout | CloseReason::BadCommandLength { .. },
        } if system_id.is_empty() => Some((*vserver, *peer)),
        _ => None,
    }
}
