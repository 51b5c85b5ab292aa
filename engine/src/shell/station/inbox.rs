//! What other threads sent: engines, the control core, the resolver.

use super::super::driver::Driver;
use super::super::engine::Engine;
use super::super::message::{HandOver, ShellMessage};
use super::super::report::CoreReport;
use super::{Lifecycle, Station};
use crate::core::contract::{Command, CoreIndex};
use crate::core::report::Wanted;
use crate::core::time::Moment;
use crate::store::StoreClient;
use smppmux_c2c::Lane;
use std::sync::Arc;
use std::time::Duration;

/// Messages that one turn takes at most, so that sockets get their share.
const MESSAGES_PER_TURN: usize = 512;
/// How long a stop waits for last answers to be written and peers to close.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// What [`Station::take_inbox`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    /// There was a message.
    pub(crate) any: bool,
    /// There is more, for the next turn.
    pub(crate) more: bool,
}

impl<E: Engine> Station<E> {
    /// Takes what lies in the mailbox, at most so much that other work gets its share.
    pub(crate) fn take_inbox(&mut self, now: Moment, driver: &mut impl Driver) -> Inbox {
        let mut inbox = std::mem::take(&mut self.inbox);
        let taken = self.endpoint.drain(MESSAGES_PER_TURN, |from, _lane, message| {
            inbox.push((from, message));
        });
        for (from, message) in inbox.drain(..) {
            self.take_message(now, driver, from, message);
        }
        self.inbox = inbox;
        while let Some(resolved) = self.resolver.poll() {
            self.resolved(now, driver, resolved);
        }
        while let Some((question, verdict)) = self.passwords.poll() {
            self.engine.handle_password(now, question, verdict);
        }
        while let Some(events) = self.store.as_ref().and_then(StoreClient::poll) {
            for event in events {
                self.engine.handle_store(now, event);
            }
        }
        while let Some(departed) = self.endpoint.poll_departed() {
            self.departed(now, departed);
        }
        Inbox {
            any: taken > 0,
            more: taken == MESSAGES_PER_TURN,
        }
    }

    fn take_message(
        &mut self,
        now: Moment,
        driver: &mut impl Driver,
        from: CoreIndex,
        message: ShellMessage,
    ) {
        match message {
            ShellMessage::Engine(message) => {
                self.report.core_messages_received += 1;
                self.engine.handle_core_message(now, from, message);
            }
            ShellMessage::HandOver(hand_over) => {
                let answer = self.handed_over(now, driver, hand_over);
                self.endpoint.answer(from, answer);
            }
            ShellMessage::HandedBack(hand_over) => self.take_back(now, driver, hand_over),
            ShellMessage::Command(command) => {
                self.obey(now, command);
                self.endpoint.answer(from, ShellMessage::CommandTaken);
            }
            ShellMessage::Table(table) => {
                self.steering.install(table);
                self.endpoint.answer(from, ShellMessage::CommandTaken);
            }
            ShellMessage::ReportRequest(token, wanted) => {
                let report = Box::new(self.report(wanted));
                self.endpoint.answer(from, ShellMessage::Report(token, report));
            }
            ShellMessage::Load(connections) => {
                self.steering.learn_load(from, connections);
                // Room is certain: there is one acknowledgement for one number, and one number at a time.
                drop(self.endpoint.try_control(from, ShellMessage::LoadHeard));
            }
            ShellMessage::LoadHeard => self.steering.load_acknowledged(from),
            // Their work is done: the credit is back.
            ShellMessage::HandedOver | ShellMessage::CommandTaken | ShellMessage::Report(..) => {}
        }
    }

    /// Takes a connection from another core; gives the answer.
    fn handed_over(&mut self, now: Moment, driver: &mut impl Driver, hand_over: HandOver) -> ShellMessage {
        if hand_over.unread.is_none() {
            self.report.received_by_hand_over += 1;
            self.admit(now, driver, hand_over);
            return ShellMessage::HandedOver;
        }
        match self.take_in(now, driver, hand_over) {
            Ok(()) => {
                self.report.received_for_account += 1;
                ShellMessage::HandedOver
            }
            Err(hand_over) => ShellMessage::HandedBack(hand_over),
        }
    }

    fn obey(&mut self, now: Moment, command: Command) {
        self.lifecycle = match (&command, self.lifecycle) {
            (Command::Stop, Lifecycle::Stopping(until)) => Lifecycle::Stopping(until),
            (Command::Stop, _) => Lifecycle::Stopping(now + STOP_LIMIT),
            (Command::Drain, Lifecycle::Running) => Lifecycle::Draining,
            (_, unchanged) => unchanged,
        };
        if !self.wants_connections() {
            self.end_greetings(now);
        }
        if let Command::Reconfigure(settings) = &command {
            self.settings = Arc::clone(&settings.0);
        }
        self.engine.handle_command(now, command);
    }

    /// A peer of the mesh has stopped and nothing more comes from it. Without the control core nobody could stop us.
    fn departed(&mut self, now: Moment, departed: CoreIndex) {
        if departed.as_usize() + 1 == self.endpoint.cores() {
            self.obey(now, Command::Stop);
        } else {
            self.engine.handle_core_gone(now, departed);
        }
    }

    fn report(&self, wanted: Wanted) -> CoreReport {
        let mut shell = self.report;
        shell.links_open = self.links.len() as u64;
        let lanes = [Lane::Request, Lane::Answer, Lane::Control];
        let waiting: usize = lanes.map(|lane| self.endpoint.depth(lane)).iter().sum();
        shell.mailbox_messages = waiting as u64;
        shell.core_wakes = self.endpoint.counters().wakes();
        CoreReport {
            engine: self.engine.report(wanted),
            shell,
            steering: self.steering.report(),
        }
    }
}
