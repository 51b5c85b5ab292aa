//! SMSCs that open connections themselves (outbind), with what they must say or something else.
//!
//! Who says the wrong thing must hear nothing; who says the right one, while all is well, must be bound. Drawn beside the other
//! chances, so that a seed without calls is the run that it would be if there were none.

use crate::event::Input;
use crate::link::{End, Peer};
use crate::pdu::{Pdu, command};
use crate::random::Random;
use crate::scenario::PASSWORD;
use crate::world::World;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{OutbindSettings, ServerSettings};

/// How a connection began that an SMSC opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The outbind says what it must.
    pub(crate) is_right: bool,
    /// Nothing goes wrong any more: it must be bound in the end.
    pub(crate) must_bind: bool,
}

/// Sessions that an SMSC may have open on each core.
const CONNECTIONS: u32 = 2;

/// How often SMSCs call in this run, in a thousand of their acts; mostly never.
pub(crate) fn weight(random: &Random) -> u32 {
    let mut aside = Random::new(random.clone().next() ^ 0x006F_7574_6269_6E64);
    if aside.chance(300) {
        aside.between(5, 100) as u32
    } else {
        0
    }
}

/// Lets the servers call.
pub(crate) fn allow(servers: &mut [ServerSettings]) {
    for (index, server) in servers.iter_mut().enumerate() {
        server.outbind = Some(OutbindSettings {
            listen: "192.0.2.9:2775".parse().expect("an address"),
            system_id: Some(format!("smsc{index}")),
            password: Some(Secret::new(PASSWORD)),
            allow: Vec::new(),
            connections: CONNECTIONS,
        });
    }
}

impl World {
    /// One of the SMSC's own connections, with an outbind that is mostly right.
    pub(crate) fn smsc_calls(&mut self, index: usize) {
        let serving: Vec<usize> = (0..self.hosts.len())
            .filter(|core| self.hosts[*core].serves())
            .collect();
        if self.smscs[index].down_until > self.now || serving.is_empty() {
            return;
        }
        let core = *self.random.pick(&serving);
        let is_right = self.random.chance(700);
        self.call(index, core, is_right, false);
    }

    /// All is well: every core that serves is called once more, if it takes one more.
    pub(crate) fn call_while_all_is_well(&mut self, index: usize) {
        for core in 0..self.hosts.len() {
            let is_there = |link: &&crate::link::Link| {
                let is_called = link.peer == Peer::Smsc(index) && link.session.call.is_some();
                is_called && link.engine == core && link.engine_end != End::Closed
            };
            let there = self.links.iter().filter(is_there).count();
            if self.hosts[core].serves() && there < CONNECTIONS as usize {
                self.call(index, core, true, true);
            }
        }
    }

    fn call(&mut self, index: usize, core: usize, is_right: bool, must_bind: bool) {
        self.exercised.server_calls += 1;
        let id = self.new_link(core, Peer::Smsc(index));
        self.links[id].peer_end = End::Open;
        self.links[id].session.call = Some(Call { is_right, must_bind });
        let delay = self.network_delay();
        self.input_after(delay, core, Input::Accepted(id));
        let right = (format!("smsc{index}"), PASSWORD);
        let (system_id, password) = match self.random.below(3) {
            _ if is_right => right,
            0 => (right.0, "wrong"),
            1 => ("nobody".to_owned(), right.1),
            _ => (String::new(), ""),
        };
        let sequence = self.random.next() as u32;
        let outbind = Pdu::new(command::OUTBIND, 0, sequence)
            .text(system_id.as_bytes())
            .text(password.as_bytes());
        self.peer_writes(id, &outbind);
    }

    /// A bind has come on a connection that an SMSC has opened.
    pub(crate) fn check_bind_of_call(&self, id: usize, pdu: &Pdu) {
        if let Some(call) = self.links[id].session.call {
            assert!(call.is_right, "link {id}: a bind in answer to a wrong outbind");
            assert_eq!(
                pdu.command,
                command::BIND_RECEIVER,
                "link {id}: an outbind asks for a receiver"
            );
        }
    }

    /// What was called while all was well is bound.
    pub(crate) fn check_calls(&self) {
        for (id, link) in self.links.iter().enumerate() {
            let must_bind = link.session.call.is_some_and(|call| call.must_bind);
            assert!(
                !must_bind || link.session.bound.is_some() || !self.hosts[link.engine].serves(),
                "link {id}: not bound after an outbind, though all is well"
            );
        }
    }
}
