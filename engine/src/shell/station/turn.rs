//! The end of a turn: what the engine wants done, in the order that it documents.

use super::super::driver::{Driver, Transmission};
use super::super::engine::Engine;
use super::super::event::Event;
use super::super::link::Phase;
use super::super::message::ShellMessage;
use super::Station;
use super::opening::Wanted;
use crate::core::contract::{Action, ClosedBy, ConnectionId, CoreIndex, Transmit};
use crate::core::core_message::CoreMessage;
use crate::core::figures::count;
use crate::core::time::Moment;
use smppmux_c2c::Lane;

/// Carrying out a wish may bring up the next one (a buffer that came back, a message that was refused). After so many
/// rounds the rest waits for the next turn.
const ROUNDS_MAX: usize = 16;

impl<E: Engine> Station<E> {
    /// Polls the engine, tells the driver what to do, and wakes the cores that were sent something. True: the engine
    /// still has wishes, so another turn must follow at once.
    pub(crate) fn end_turn(&mut self, now: Moment, driver: &mut impl Driver) -> bool {
        count(&mut self.report.turns, 1);
        let handshakes_wait = self.settle_secured(now, driver);
        self.settle_moves(now, driver);
        let mut rounds = 0;
        while self.carry_out_wishes(now, driver) {
            rounds += 1;
            if rounds == ROUNDS_MAX {
                break;
            }
        }
        while let Some((core, connections)) = self.steering.poll_load() {
            // A core that has stopped needs no number.
            drop(self.endpoint.try_control(core, ShellMessage::Load(connections)));
        }
        self.endpoint.ring_bells();
        if let (Some(log), Some(records)) = (&self.message_log, self.engine.poll_message_log()) {
            log.hand_over(records);
        }
        rounds == ROUNDS_MAX || handshakes_wait
    }

    /// One round in the engine's order of calls. False when it had no wish.
    fn carry_out_wishes(&mut self, now: Moment, driver: &mut impl Driver) -> bool {
        let mut any = false;
        // First what counts against an address: who hears of a refusal, or sees the end, may be at another core's door at once.
        while let Some(notice) = self.engine.poll_notice() {
            self.note_conduct(now, &notice);
            let core = self.core;
            self.tell(Event::Notice { core, notice });
        }
        while let Some(transmit) = self.engine.poll_transmit() {
            any = true;
            self.transmit(now, driver, transmit);
        }
        while let Some((to, message)) = self.engine.poll_core_message() {
            any = true;
            self.send_to_core(now, to, message);
        }
        if let Some(store) = &mut self.store {
            while let Some(command) = self.engine.poll_store() {
                store.order(command);
            }
            store.send();
        }
        while let Some(action) = self.engine.poll_action() {
            any = true;
            self.act(now, driver, action);
        }
        while let Some(records) = self.engine.poll_receipt_log() {
            let emptied = match &self.receipt_log {
                Some(log) => log.send(records),
                None => Some(records),
            };
            if let Some(buffer) = emptied {
                self.engine.handle_log_buffer(buffer);
            }
        }
        any
    }

    fn transmit(&mut self, now: Moment, driver: &mut impl Driver, transmit: Transmit) {
        let Transmit { connection, octets } = transmit;
        debug_assert!(!octets.is_empty(), "nothing to transmit");
        let Some(id) = self.link_of(connection) else {
            return;
        };
        let octets = if self.tls.is_some() {
            match self.transmit_secured(now, driver, id, octets) {
                Some(octets) => octets,
                None => return,
            }
        } else {
            octets
        };
        match driver.transmit(id, octets) {
            Transmission::Complete(buffer) => self.engine.handle_transmitted(now, connection, buffer),
            Transmission::Pending => {
                if let Some(link) = self.links.get_mut(id) {
                    link.transmitting = true;
                }
            }
            Transmission::Lost(error, unsent) => {
                self.release(driver, id);
                self.engine
                    .handle_closed(now, connection, ClosedBy::Error(error), Some(unsent));
            }
        }
    }

    fn send_to_core(&mut self, now: Moment, to: CoreIndex, message: CoreMessage) {
        let lane = message.lane();
        let message = ShellMessage::Engine(message);
        let sent = match lane {
            Lane::Request => self.endpoint.try_request(to, message),
            Lane::Control => self.endpoint.try_control(to, message),
            Lane::Answer => {
                self.endpoint.answer(to, message);
                Ok(())
            }
        };
        if let Err(refused) = sent {
            self.report.core_messages_refused += 1;
            if let ShellMessage::Engine(message) = refused.message {
                self.engine.handle_core_refused(now, to, message);
            }
        } else {
            count(&mut self.report.core_messages_sent, 1);
        }
    }

    fn act(&mut self, now: Moment, driver: &mut impl Driver, action: Action) {
        match action {
            Action::Connect {
                connection,
                server,
                transport,
                address,
                local_address,
                timeout,
            } => {
                let wanted = Wanted {
                    connection,
                    server,
                    transport,
                    address,
                    local_address,
                    timeout,
                };
                self.connect(now, driver, wanted);
            }
            Action::Close {
                connection,
                after_writing,
            } => self.close(now, driver, connection, after_writing),
            Action::PauseReading(connection) => self.pause_reading(driver, connection),
            Action::ResumeReading(connection) => self.resume_reading(now, driver, connection),
            Action::VerifyPassword {
                question,
                password,
                hash,
            } => {
                if let Some(verdict) = self.passwords.ask(question, password, hash) {
                    self.engine.handle_password(now, question, verdict);
                }
            }
            Action::Drained { settled } => {
                let core = self.core;
                self.tell(Event::Drained { core, settled });
            }
        }
    }

    fn pause_reading(&mut self, driver: &mut impl Driver, connection: ConnectionId) {
        let Some(id) = self.link_of(connection) else {
            return;
        };
        if let Some(link) = self.links.get_mut(id)
            && !link.paused
        {
            link.paused = true;
            if matches!(link.phase, Phase::Open(_)) {
                driver.pause_reading(id);
            }
        }
    }

    fn resume_reading(&mut self, now: Moment, driver: &mut impl Driver, connection: ConnectionId) {
        let Some(id) = self.link_of(connection) else {
            return;
        };
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if !std::mem::take(&mut link.paused) || !matches!(link.phase, Phase::Open(_)) {
            return;
        }
        if !link.leftover.is_empty() {
            // The engine sees what it left before anything new is read.
            let kept = std::mem::take(&mut link.leftover);
            let outcome = self.engine.handle_bytes(now, connection, &kept);
            let rest = kept.get(outcome.consumed_octets..).unwrap_or_default();
            link.missing_octets = outcome.missing_octets;
            self.leftovers.keep(&mut link.leftover, rest);
            self.leftovers.give_back(kept);
        }
        let (has_tls, read_finished) = (link.tls.is_some(), link.read_finished);
        if has_tls {
            self.show_received(now, id);
        }
        if !read_finished {
            driver.resume_reading(id);
        }
    }

    /// Tells the control core something; a reader that is too slow misses it, and the miss is counted.
    pub(super) fn tell(&mut self, event: Event) {
        if !self.events.tell(event) {
            self.report.events_dropped += 1;
        }
    }
}
