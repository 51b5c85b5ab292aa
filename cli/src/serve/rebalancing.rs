//! The control core looks at the load of the engines, and publishes a new indirection table when they are uneven for long enough.
//!
//! The decision is [`Balancer`]'s; here are the clock, the figures and the log. A table is a state, not an event: an engine that uses
//! an older one at a look, because its mailbox was full, gets it again.
//!
//! Must never decide on the figures of some engines only.

use super::control::{ControlCore, REPORT_LIMIT};
use crate::admin::control::Balance;
use crate::config::ProcessSettings;
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::shell::CoreReport;
use smppmux_flow_distributor::{Balancer, CoreWork, Look, Policy};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Looks in a row that must find the cores uneven.
const LOOKS: u32 = 3;

/// So many looks after a rewrite nothing is rewritten.
const RESTING_LOOKS: u32 = 6;

/// What the control core knows of the table, and when it looks at the load.
#[derive(Debug)]
pub(super) struct Rebalancing {
    balancer: Balancer,
    /// `None`: the table stays as it is.
    interval: Option<Duration>,
    started_at: Instant,
    last: Option<Totals>,
}

/// What all engines had counted at one moment.
#[derive(Debug)]
struct Totals {
    at: Instant,
    cores: Vec<CoreWork>,
    arrivals: Vec<u64>,
}

impl Rebalancing {
    /// `None` where `distribution` has no buckets.
    pub(super) fn new(process: &ProcessSettings, now: Instant) -> Option<Self> {
        let distribution = &process.shell.distribution;
        if !distribution.scheme.has_buckets() {
            return None;
        }
        let policy = Policy {
            tolerance: process.rebalance_tolerance,
            looks: LOOKS,
            rest: process.rebalance_interval.unwrap_or_default() * RESTING_LOOKS,
        };
        Some(Self {
            balancer: Balancer::new(policy, distribution.table().ok()?),
            interval: process.rebalance_interval,
            started_at: now,
            last: None,
        })
    }

    /// What is shown of it.
    pub(super) fn balance(&self, now: Instant) -> Balance {
        let since_start = now.saturating_duration_since(self.started_at);
        let rewritten_at = self.balancer.rewritten_at();
        Balance {
            table: Arc::clone(self.balancer.table()),
            is_automatic: self.interval.is_some(),
            loads: (0..self.balancer.table().cores())
                .map(|core| self.balancer.load_percent(core))
                .collect(),
            rewrites: self.balancer.rewrites(),
            moved_buckets: self.balancer.moved_buckets(),
            since_rewrite: rewritten_at.map(|at| since_start.saturating_sub(at)),
        }
    }

    /// Whether it wants to see figures now.
    fn is_due(&self, now: Instant) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };
        let last = self.last.as_ref();
        last.is_none_or(|last| now.saturating_duration_since(last.at) >= interval)
    }

    /// Not all engines reported: there is nothing to compare, now and at the next look.
    fn look_without_figures(&mut self, now: Instant) {
        self.last = Some(Totals::of(now, &[], 0));
    }

    /// Looks at what all engines reported. True: there is a new table.
    fn look(&mut self, now: Instant, reports: &[CoreReport]) -> bool {
        let totals = Totals::of(now, reports, self.balancer.table().buckets());
        let Some(before) = self.last.replace(totals) else {
            return false;
        };
        if before.cores.len() != reports.len() {
            // It had not seen them all: this look is what the next one is compared with.
            return false;
        }
        let Some(totals) = &self.last else { return false };
        let (cores, arrivals) = totals.since(&before);
        let look = Look {
            at: now.saturating_duration_since(self.started_at),
            elapsed: now.saturating_duration_since(before.at),
            cores: &cores,
            arrivals: &arrivals,
        };
        let moves = self.balancer.look(&look);
        if moves.is_empty() {
            return false;
        }
        let table = self.balancer.table();
        let loads: Vec<u64> = (0..table.cores())
            .map(|core| self.balancer.load_percent(core).unwrap_or_default())
            .collect();
        let buckets: Vec<usize> = (0..table.cores()).map(|core| table.buckets_of(core)).collect();
        info!(
            moved = moves.len(),
            load_percent = ?loads,
            ?buckets,
            "the cores are uneven: new connections are spread anew"
        );
        true
    }
}

impl Totals {
    fn of(at: Instant, reports: &[CoreReport], buckets: usize) -> Self {
        let mut arrivals = vec![0; buckets];
        for report in reports {
            for (sum, arrived) in arrivals.iter_mut().zip(&report.steering.arrivals) {
                *sum += arrived;
            }
        }
        let work = |report: &CoreReport| CoreWork {
            busy: report.shell.turn_times.sum(),
            messages: report.engine.counters.client_requests + report.engine.counters.mobile_originated,
            connections: report.engine.client_connections,
        };
        Self {
            at,
            cores: reports.iter().map(work).collect(),
            arrivals,
        }
    }

    fn since(&self, before: &Self) -> (Vec<CoreWork>, Vec<u64>) {
        let cores = self.cores.iter().zip(&before.cores);
        let cores = cores.map(|(now, before)| CoreWork {
            busy: now.busy.saturating_sub(before.busy),
            messages: now.messages.saturating_sub(before.messages),
            connections: now.connections,
        });
        let arrivals = self.arrivals.iter().zip(&before.arrivals);
        let arrivals = arrivals.map(|(now, before)| now.saturating_sub(*before));
        (cores.collect(), arrivals.collect())
    }
}

impl ControlCore {
    /// Looks at the load of the engines when it is time, and publishes what comes of it.
    pub(super) fn look_at_load(&mut self, now: Instant) {
        let Some(rebalancing) = &mut self.rebalancing else {
            return;
        };
        if self.drain.is_some() || !rebalancing.is_due(now) {
            return;
        }
        let reports = self.engines.report(REPORT_LIMIT);
        if reports.len() != usize::from(self.engines.cores()) {
            rebalancing.look_without_figures(now);
            return;
        }
        rebalancing.look(now, &reports);
        let table = rebalancing.balancer.table();
        for report in &reports {
            if report.steering.table_version < table.version() {
                let core = CoreIndex(report.engine.core);
                if let Err(unreachable) = self.engines.use_table(core, Arc::clone(table)) {
                    warn!(%unreachable, "it spreads new connections as before");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::report::{Counters, Report};
    use smppmux_engine::shell::SteeringReport;

    fn report(core: u16, messages: u64, connections: u64, first_bucket: u64) -> CoreReport {
        let mut arrivals = vec![0; 128];
        arrivals[0] = first_bucket;
        CoreReport {
            engine: Report {
                core,
                client_connections: connections,
                counters: Counters {
                    client_requests: messages,
                    ..Counters::default()
                },
                ..Report::default()
            },
            steering: SteeringReport {
                table_version: 0,
                arrivals,
            },
            ..CoreReport::default()
        }
    }

    fn rebalancing(interval: &str) -> Option<Rebalancing> {
        let text = format!(
            "[engine]\ncores = \"0-1\"\n{interval}\n[[vserver]]\nname = \"sms\"\nlisten = [\"127.0.0.1:0\"]\n\
             [[server]]\nname = \"a\"\nuid = \"0A\"\naddress = \"127.0.0.1:1\"\nsystem-id = \"mux\"\npassword = \"secret\"\n\
             [[client]]\nsystem-id = \"esme\"\npassword = \"secret\"\n"
        );
        let (configuration, problems) = crate::config::Configuration::parse(&text).expect("this is TOML");
        let settled = crate::config::settle(&configuration, problems, &[0, 1]);
        let effective = settled.effective.expect("it is right");
        Rebalancing::new(&effective.process, Instant::now())
    }

    /// Goal: differences of counters are looked at, connections as they are; the third uneven look rewrites, once.
    #[test]
    fn the_third_uneven_look_rewrites() {
        let mut rebalancing = rebalancing("rebalance = \"auto\"").expect("rss has buckets");
        let start = rebalancing.started_at;
        let mut rewritten = Vec::new();
        for number in 0..8 {
            let now = start + Duration::from_secs(5) * number;
            assert!(rebalancing.is_due(now));
            // The second core had all the messages before.
            let reports = [
                report(0, u64::from(number) * 1000, 30, u64::from(number)),
                report(1, 1_000_000, 10, 0),
            ];
            if rebalancing.look(now, &reports) {
                rewritten.push(number);
            }
            assert!(!rebalancing.is_due(now + Duration::from_secs(4)));
        }
        assert_eq!(rewritten, [3]);
        let balance = rebalancing.balance(start + Duration::from_secs(35));
        assert_eq!(balance.since_rewrite, Some(Duration::from_secs(20)));
        assert!(balance.table.buckets_of(0) < 64);
        assert_eq!(balance.loads, [Some(175), Some(25)]);
    }

    /// Goal: a look without figures neither counts nor makes forgotten what the looks before have seen.
    #[test]
    fn a_look_without_figures_does_not_count() {
        let mut rebalancing = rebalancing("rebalance = \"auto\"").expect("rss has buckets");
        let start = rebalancing.started_at;
        let mut rewritten = Vec::new();
        for number in 0..8 {
            let now = start + Duration::from_secs(5) * number;
            let reports = [
                report(0, u64::from(number) * 1000, 30, u64::from(number)),
                report(1, 0, 10, 0),
            ];
            if number == 3 {
                rebalancing.look_without_figures(now);
            } else if rebalancing.look(now, &reports) {
                rewritten.push(number);
            }
            let is_known = rebalancing.balance(now).loads[0].is_some();
            assert_eq!(is_known, number > 0, "look {number}");
        }
        // Uneven at 1, 2 and 5; 4 is what 5 is compared with.
        assert_eq!(rewritten, [5]);
    }

    /// Goal: where it is off nothing is looked at, and where there are no buckets there is nothing to show.
    #[test]
    fn without_it_nothing_is_looked_at() {
        let off = rebalancing("").expect("rss has buckets");
        assert!(!off.is_due(off.started_at + Duration::from_secs(3600)));
        assert!(!off.balance(off.started_at).is_automatic);
        assert!(rebalancing("distribution = \"least-loaded\"").is_none());
    }
}
