//! Whole engines, fed from both sides by whatever the fuzzer makes of the protocol: two cores behind one vserver, clients and
//! servers that send well-formed, broken and arbitrary PDUs in any order, time that jumps, cores that refuse and drain.
//!
//! Checked after every step: the engines' own invariants; what is written is PDUs, with numbers in range; no request has two
//! answers, and none reaches two servers; a server's answer (ESME_ROK, and two errors that only servers give) goes to the
//! session that asked. In the end, when every answer is overdue: each request that was read on a connection that still stands
//! has one.

mod essence;
mod ledger;
mod link;
mod peers;
mod store;
mod world;

use crate::input::Input;
use world::World;

/// Longer inputs only repeat themselves.
const STEPS_MAX: usize = 400;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(input.octet());
    let mut steps = 0;
    while !input.is_empty() && steps < STEPS_MAX {
        world.step(&mut input);
        steps += 1;
    }
    world.finish();
}
