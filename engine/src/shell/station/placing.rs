//! `distribution = "account"`: a connection goes to the core of its account when its bind has come.
//!
//! Until then the core that accepted it keeps it, and no engine knows it. The bind stays unread in both senses: it is looked at
//! for its system_id, travels with all that came behind it, and the engine of the right core is shown it first. So nothing is
//! answered before the move, and no engine has anything to give up.
//!
//! Where a move cannot be (no room in the other core's mailbox, which may be gone, drain or be full) the connection is served here:
//! it is counted, and nothing is lost.
//!
//! Invariants: a socket is with one driver at a time; a ticket, TLS and unread octets are with one link or one message; the time to
//! bind goes on wherever the connection is.

use super::super::driver::{Detached, Driver};
use super::super::engine::Engine;
use super::super::first_pdu::{FirstPdu, first_pdu};
use super::super::greeting::{BINDS_AWAITED_MAX, Stage};
use super::super::link::{Link, LinkId, Phase};
use super::super::message::{HandOver, ShellMessage, Unread};
use super::super::steering::Entrance;
use super::Station;
use crate::core::contract::{ConnectionId, CoreIndex};
use crate::core::time::Moment;
use bytes::BytesMut;
use std::os::fd::OwnedFd;

/// Where a connection belongs, as far as its octets say.
enum Place {
    Unknown,
    Here,
    At(CoreIndex),
}

impl<E: Engine> Station<E> {
    /// Whether a client's connection waits for its bind before an engine hears of it.
    pub(super) fn awaits_binds(&mut self) -> bool {
        if !self.steering.is_by_account() {
            return false;
        }
        let has_room = self.binds_awaited < BINDS_AWAITED_MAX;
        if !has_room {
            self.report.account_moves_refused += 1;
        }
        has_room
    }

    /// Octets of a connection that waits for its bind: `bytes` is all that came.
    #[cold]
    pub(super) fn look_for_bind(&mut self, now: Moment, id: LinkId, bytes: &[u8]) {
        let place = self.place_of(id, bytes);
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if let Place::Here = place {
            self.leftovers.keep(&mut link.leftover, &[]);
            if self.open_greeted(now, id).is_some() {
                self.received(now, id, bytes);
            }
            return;
        }
        self.leftovers.keep(&mut link.leftover, bytes);
        self.go_to(id, &place);
    }

    /// The same for a connection with TLS, whose session keeps what came.
    pub(super) fn look_for_secured_bind(&mut self, now: Moment, id: LinkId) {
        let session = self.links.get_mut(id).and_then(|link| link.tls.as_mut());
        let Some(received) = session.map(|session| session.take_received()) else {
            return;
        };
        let place = self.place_of(id, &received);
        if let Some(session) = self.links.get_mut(id).and_then(|link| link.tls.as_mut()) {
            session.keep_received(received, 0);
        }
        if let Place::Here = place {
            if self.open_greeted(now, id).is_some() {
                self.show_received(now, id);
            }
        } else {
            self.go_to(id, &place);
        }
    }

    fn place_of(&mut self, id: LinkId, octets: &[u8]) -> Place {
        let Some(Phase::Greeting(greeting)) = self.links.get_mut(id).map(|link| &link.phase) else {
            return Place::Unknown;
        };
        if greeting.stage != Stage::AwaitingBind {
            return Place::Unknown;
        }
        match first_pdu(octets) {
            FirstPdu::Incomplete => Place::Unknown,
            FirstPdu::Other => Place::Here,
            FirstPdu::Bind(system_id) => {
                let core = self.steering.choose_for_account(system_id, greeting.pin);
                if core == self.core {
                    Place::Here
                } else {
                    Place::At(core)
                }
            }
        }
    }

    fn go_to(&mut self, id: LinkId, place: &Place) {
        if let Place::At(core) = place
            && let Some(Phase::Greeting(greeting)) = self.links.get_mut(id).map(|link| &mut link.phase)
        {
            greeting.stage = Stage::Moving(*core);
            self.moving.push(id);
        }
    }

    /// At the end of a turn: connections that belong to another core leave, once nothing is being written to them.
    pub(super) fn settle_moves(&mut self, now: Moment, driver: &mut impl Driver) {
        if self.moving.is_empty() {
            return;
        }
        let mut moving = std::mem::take(&mut self.moving);
        moving.retain(|id| !self.begin_to_leave(now, driver, *id));
        self.moving.append(&mut moving);
    }

    /// False: it cannot be yet.
    fn begin_to_leave(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId) -> bool {
        let Some(link) = self.links.get_mut(id) else {
            return true;
        };
        let Phase::Greeting(greeting) = &mut link.phase else {
            return true;
        };
        let Stage::Moving(core) = greeting.stage else {
            return true;
        };
        if link.transmitting {
            // Nobody takes what would come meanwhile.
            driver.pause_reading(id);
            return false;
        }
        greeting.stage = Stage::Leaving(core);
        match driver.detach(id) {
            Detached::Now(socket) => self.detached(now, driver, id, socket),
            Detached::Later => {}
            Detached::Never => {
                self.report.account_moves_refused += 1;
                driver.resume_reading(id);
                self.open_unplaced(now, id);
            }
        }
        true
    }

    /// The driver has given up the socket that [`Driver::detach`] asked for.
    pub(crate) fn detached(&mut self, now: Moment, driver: &mut impl Driver, id: LinkId, socket: OwnedFd) {
        let Some(leaving) = self.links.get_mut(id) else {
            return;
        };
        let core = match &leaving.phase {
            Phase::Greeting(greeting) => match greeting.stage {
                Stage::Leaving(core) => core,
                _ => return,
            },
            // It was cut off meanwhile, and its socket closes here.
            _ => {
                leaving.in_driver = false;
                return;
            }
        };
        let Some(mut link) = self.links.remove(id) else {
            return;
        };
        let Phase::Greeting(greeting) = &link.phase else {
            return;
        };
        self.uncount_greeting(greeting.stage);
        if link.counts_as_flow {
            self.steering.count_closed();
        }
        let tls_has_ended = |link: &Link| link.tls.as_ref().is_some_and(|tls| tls.peer_has_finished());
        let unread = Unread {
            read_finished: link.read_finished || tls_has_ended(&link),
            octets: std::mem::take(&mut link.leftover),
            tls: link.tls.take(),
            bind_deadline: link.deadline,
        };
        let hand_over = HandOver {
            socket,
            entrance: Entrance::Clients(greeting.vserver),
            peer: greeting.peer,
            is_tls: greeting.is_tls,
            pin: greeting.pin,
            ticket: link.ticket.take(),
            unread: Some(Box::new(unread)),
        };
        match self.endpoint.try_request(core, ShellMessage::HandOver(hand_over)) {
            Ok(()) => self.report.moved_to_account += 1,
            Err(refused) => {
                if let ShellMessage::HandOver(hand_over) = refused.message {
                    self.take_back(now, driver, hand_over);
                }
            }
        }
    }

    /// The core of its account does not take a connection: it is served here.
    pub(super) fn take_back(&mut self, now: Moment, driver: &mut impl Driver, hand_over: HandOver) {
        match self.take_in(now, driver, hand_over) {
            Ok(()) => self.report.account_moves_refused += 1,
            Err(_) => self.report.not_admitted += 1,
        }
    }

    /// A connection whose bind has come is this core's from now on, and its engine reads what came.
    ///
    /// # Errors
    /// Gives it back where nothing new is wanted.
    pub(super) fn take_in(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        mut hand_over: HandOver,
    ) -> Result<(), HandOver> {
        let (Entrance::Clients(vserver), Some(unread)) = (hand_over.entrance, hand_over.unread.take()) else {
            return Err(hand_over);
        };
        let deadline = unread.bind_deadline;
        let taken = if self.wants_connections() {
            self.engine
                .handle_handed_over(now, vserver, hand_over.peer, deadline)
        } else {
            None
        };
        let Some(connection) = taken else {
            hand_over.unread = Some(unread);
            return Err(hand_over);
        };
        let Unread {
            octets,
            tls,
            read_finished,
            ..
        } = *unread;
        let mut link = Link::new(Phase::Open(connection));
        link.in_driver = true;
        link.counts_as_flow = true;
        link.ticket = hand_over.ticket;
        link.tls = tls;
        if let Some(id) = self.insert_open(now, connection, link) {
            self.steering.count_opened();
            driver.adopt(id, hand_over.socket);
            self.show_unread(now, id, connection, octets);
            if read_finished {
                self.read_finished(now, driver, id);
            }
        }
        Ok(())
    }

    /// The engine is shown what a connection brought along.
    fn show_unread(&mut self, now: Moment, id: LinkId, connection: ConnectionId, octets: BytesMut) {
        let has_tls = self.show_certificate(now, id, connection);
        if has_tls {
            self.mark_unflushed(id);
            self.show_received(now, id);
        } else {
            self.received(now, id, &octets);
        }
        self.leftovers.give_back(octets);
    }

    /// A connection whose core nobody will know any more is served here, with what came of it.
    pub(super) fn open_unplaced(&mut self, now: Moment, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let octets = std::mem::take(&mut link.leftover);
        let has_tls = link.tls.is_some();
        if self.open_greeted(now, id).is_some() {
            if has_tls {
                self.show_received(now, id);
            } else if !octets.is_empty() {
                self.received(now, id, &octets);
            }
        }
        self.leftovers.give_back(octets);
        if let Some(link) = self.links.get_mut(id)
            && link.read_finished
            && let Some(connection) = link.connection()
        {
            self.engine.handle_read_closed(now, connection);
        }
    }

    /// A greeting is over, in whichever way.
    pub(super) fn uncount_greeting(&mut self, stage: Stage) {
        match stage {
            Stage::Introducing => self.greetings -= 1,
            Stage::AwaitingBind | Stage::Moving(_) | Stage::Leaving(_) => self.binds_awaited -= 1,
        }
    }

    /// Nothing new is taken any more: who is not bound has nothing to lose.
    pub(super) fn end_greetings(&mut self, now: Moment) {
        if self.greetings + self.binds_awaited == 0 {
            return;
        }
        for id in self.links.ids() {
            self.cut_off(now, id);
        }
    }
}
