//! SMSCs that take no octet any more, or lose their step in the stream: an engine must be through with such a connection before it
//! makes the next one, or the server counts one too many (`totals.rs`).
//!
//! Drawn beside the other chances, so that a seed without them is the run that it would be if there were none.

use crate::event::{Event, LinkId};
use crate::link::{Link, Peer, PeerSession};
use crate::pdu::{Pdu, command};
use crate::random::Random;
use crate::world::World;
use smppmux_engine::core::time::Moment;

/// For long enough that an unbind is given up meanwhile.
const STUCK_MS_MAX: usize = 14_000;
/// What its kernel takes afterwards.
const CAPACITY: usize = 100_000;
const ESME_RINVCMDLEN: u32 = 0x02;

/// How often SMSCs get stuck in this run, in a thousand of their acts; mostly never.
pub(crate) fn weight(random: &Random) -> u32 {
    let mut aside = Random::new(random.clone().next() ^ 0x0073_7475_636B_2121);
    if aside.chance(250) {
        aside.between(5, 60) as u32
    } else {
        0
    }
}

impl World {
    /// A session that an engine has made gets stuck: the SMSC reads nothing more for a while and its kernel takes nothing either, or
    /// writes what is no PDU, or both. Where an operator is at work, the sessions are left meanwhile now and then.
    pub(crate) fn smsc_gets_stuck(&mut self, id: LinkId) {
        if self.links[id].session.call.is_some() {
            return;
        }
        let turn = self.random.below(3);
        if turn > 0 {
            let time = self.random.milliseconds(1_000, STUCK_MS_MAX);
            self.make_deaf(id, time);
            let link = &mut self.links[id];
            (link.capacity, link.was_slow) = (0, true);
            self.exercised.stuck_servers += 1;
            self.after(time, Event::ReadsAgain(id));
            if let Peer::Smsc(index) = self.links[id].peer
                && self.scenario.faults.operator > 0
                && self.random.chance(300)
            {
                self.login_changes(index);
            }
        }
        if turn < 2 {
            self.loses_step(id);
        }
    }

    /// It takes octets again, unless it got stuck once more.
    pub(crate) fn reads_again(&mut self, id: LinkId) {
        let now = self.now;
        let link = &mut self.links[id];
        if link.is_broken {
            return;
        }
        if link.is_stuck(now) {
            let wait = link.session.deaf_until.since(now);
            return self.after(wait, Event::ReadsAgain(id));
        }
        link.capacity = link.capacity.max(CAPACITY);
        self.schedule_writable(id);
        self.schedule_peer(id);
    }

    /// Writes a command_length that cannot be. Behind that it has nothing to say: nobody would listen.
    fn loses_step(&mut self, id: LinkId) {
        self.trace.line(self.now, || {
            format!("link {id} {:?} loses its step", self.links[id].peer)
        });
        let link = &mut self.links[id];
        if link.to_engine.is_finished || link.is_broken {
            return;
        }
        let length = *self.random.pick(&[0, 15, 0x7FFF_FFFF_u32]);
        let octets = [length.to_be_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        let link = &mut self.links[id];
        link.written_octets += octets.len() as u64;
        link.to_engine.octets.extend(octets);
        let session = &mut link.session;
        session.has_lost_step = true;
        // What is under way may be lost, and the engine may have ended the session before we hear of it.
        session.is_excused = true;
        session.was_deaf = true;
        self.exercised.lost_steps += 1;
        self.schedule_readable(id);
    }
}

impl Link {
    /// It takes no octet for the time being.
    pub(crate) fn is_stuck(&self, now: Moment) -> bool {
        self.capacity == 0 && !self.is_broken && self.session.deaf_until > now
    }
}

impl PeerSession {
    /// A PDU tells us that we have lost our step, once.
    pub(crate) fn is_told_of_lost_step(&mut self, pdu: &Pdu) -> bool {
        let is_told = self.has_lost_step
            && (pdu.command, pdu.status, pdu.sequence) == (command::GENERIC_NACK, ESME_RINVCMDLEN, 0);
        assert!(!is_told || !self.was_told, "told of a bad length twice");
        self.was_told |= is_told;
        is_told
    }
}
