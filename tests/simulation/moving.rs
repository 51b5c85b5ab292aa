//! `distribution = "account"`: the core that accepted a client keeps it until its bind has come, and gives it to the core of its account.
//!
//! That is the shell's work, so a model of it stands here: what the client has written waits, the time to bind goes on, and a core
//! that takes nothing new sends the client back.

use crate::event::{Input, LinkId};
use crate::link::Peer;
use crate::world::World;
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// Of a client that was moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) accepted_by: usize,
    pub(crate) bind_deadline: Moment,
}

impl World {
    /// True: the client goes to the core of its account.
    pub(crate) fn moves_to_account(&mut self, core: usize, id: LinkId) -> bool {
        let Peer::Esme(index) = self.links[id].peer else {
            return false;
        };
        if !self.scenario.is_by_account || self.links[id].kept.is_some() {
            return false;
        }
        let system_id = self.esmes[index].plan.system_id.bytes();
        let home = system_id.map(usize::from).sum::<usize>() % self.hosts.len();
        if home == core || self.hosts[home].is_gone {
            return false;
        }
        let link = &mut self.links[id];
        link.kept = Some(Kept {
            accepted_by: core,
            bind_deadline: self.now + self.scenario.settings.vservers[0].bind_timeout,
        });
        link.engine = home;
        // Some binds are late.
        let longest_us = if self.random.chance(50) { 1_500_000 } else { 5_000 };
        let wait = self.random.microseconds(50, longest_us);
        self.trace.line(self.now, || {
            format!("link {id} goes from core {core} to core {home}")
        });
        self.input_after(wait, home, Input::Accepted(id));
        true
    }

    /// A core takes no client any more. True: it came from another one, which gets it back.
    pub(crate) fn hands_back(&mut self, core: usize, id: LinkId) -> bool {
        let Some(Kept { accepted_by, .. }) = self.links[id].kept else {
            return false;
        };
        if accepted_by == core {
            return false;
        }
        self.links[id].engine = accepted_by;
        self.input_after(Duration::from_micros(50), accepted_by, Input::Accepted(id));
        true
    }
}
