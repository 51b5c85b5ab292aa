//! What goes wrong all by itself: connections break, cores stall, drain or vanish, the process is killed.

use crate::event::{Event, Input};
use crate::world::{Phase, World};
use std::time::Duration;

/// How often it may.
const STEP: Duration = Duration::from_millis(20);

impl World {
    pub(crate) fn fault_strikes(&mut self) {
        if self.phase != Phase::Chaos {
            return;
        }
        self.after(STEP, Event::FaultStrikes);
        if self.life.is_over() {
            return;
        }
        self.check_reports();
        let faults = self.scenario.faults.clone();
        if faults.process_restart > 0 && self.random.chance(faults.process_restart) {
            return self.process_is_killed();
        }
        if self.random.chance(faults.reset) {
            let open: Vec<_> = (0..self.links.len())
                .filter(|id| self.links[*id].is_open())
                .collect();
            if !open.is_empty() {
                let id = *self.random.pick(&open);
                self.reset(id);
            }
        }
        if self.random.chance(faults.operator) {
            self.operator_acts();
        }
        let serving: Vec<_> = (0..self.hosts.len())
            .filter(|core| self.hosts[*core].serves())
            .collect();
        let core = *self.random.pick(&serving);
        if self.random.chance(faults.core_stall) {
            let time = self.random.milliseconds(1, 2_000);
            self.hosts[core].has_stalled = true;
            self.stall(core, time);
        } else if serving.len() > 1 && self.random.chance(faults.core_gone) {
            self.lose_core(core);
        } else if serving.len() > 1 && self.random.chance(faults.core_drain) {
            self.exercised.core_drains += 1;
            self.hosts[core].is_draining = true;
            self.engine_input(core, Input::Drain);
        }
    }
}
