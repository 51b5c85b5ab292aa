//! What is on stage: how many engines, connections and requests, and the limits that follow from them.
//!
//! Invariant: the limits are so wide that nothing has to be refused for want of room, so every error is a fault.

use super::arguments::DemoArguments;
use crate::exit::{self, Failure};
use std::time::Duration;

/// The address ranges, each with its clients.
pub(super) const RANGES: [&str; 3] = ["888765", "24457", "11144"];
/// Clients (accounts) of each range.
pub(super) const CLIENTS_PER_RANGE: u32 = 2;
/// The SMSCs: name and uid.
pub(super) const SERVERS: [(&str, &str); 2] = [("smsc-a", "0A"), ("smsc-b", "0B")];
/// What every ESME and smppmux itself bind with.
pub(super) const PASSWORD: &str = "secret";
/// What smppmux binds as at the SMSCs.
pub(super) const SERVER_SYSTEM_ID: &str = "smppmux";

/// Requests in flight that the settings may allow on one session and between two cores.
const WINDOW_MAX: u64 = 65_535;
/// The settings' own defaults, which small demos keep.
const WINDOW_MIN: u64 = 1000;
/// The slowest that a demo is expected to settle: a debug build on a busy machine.
const ANSWERS_PER_SECOND_MIN: u64 = 2000;

/// A demo that can be played.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    /// One engine for each entry.
    pub(super) cpus: Vec<u16>,
    /// ESME connections in all.
    pub(super) connections: u32,
    /// Unanswered requests on each connection.
    pub(super) window: u32,
    /// Messages per second in each direction.
    pub(super) rate: Option<f64>,
    /// How long the load lasts.
    pub(super) duration: Duration,
}

impl Scenario {
    /// # Errors
    /// Exit code 64 when the arguments ask for more requests in flight than the settings can allow.
    pub(super) fn new(arguments: &DemoArguments, available_cpus: &[u16]) -> Result<Self, Failure> {
        let cpus = match (&arguments.cores, available_cpus) {
            (Some(list), _) => list.0.clone(),
            // Two engines in any case, so that messages can cross.
            (None, [only]) => vec![*only; 2],
            (None, all) => all.to_vec(),
        };
        let engines = cpus.len() as u32;
        let scenario = Self {
            connections: arguments.connections.unwrap_or((2 * engines).max(12)),
            window: arguments.window,
            rate: arguments.rate,
            duration: arguments.duration,
            cpus,
        };
        let in_flight = scenario.mt_in_flight().max(scenario.mo_in_flight());
        if in_flight > WINDOW_MAX {
            let reason = format!(
                "smppmux demo: {} connections, {engines} engines and a window of {} make {in_flight} requests in flight, \
                 but no more than {WINDOW_MAX} fit one session; lower --window or --connections",
                scenario.connections, scenario.window,
            );
            return Err(Failure::new(exit::USAGE, reason));
        }
        Ok(scenario)
    }

    /// How many engines there are.
    pub(super) fn engines(&self) -> u32 {
        self.cpus.len() as u32
    }

    /// ESME connections of range number `range`.
    pub(super) fn connections_of(&self, range: usize) -> u32 {
        let ranges = RANGES.len() as u32;
        self.connections / ranges + u32::from((range as u32) < self.connections % ranges)
    }

    /// Sessions that smppmux binds at the SMSCs: one on each engine for each SMSC.
    pub(super) fn server_sessions(&self) -> u32 {
        self.engines() * SERVERS.len() as u32
    }

    /// Threads of each simulator: few, since they share the CPUs with the engines.
    pub(super) fn simulator_threads(&self) -> u16 {
        self.engines().div_ceil(4).clamp(1, 16) as u16
    }

    /// Requests in flight on one server session at most: all of them, if the others are down.
    pub(super) fn server_window(&self) -> u64 {
        self.mt_in_flight().max(WINDOW_MIN)
    }

    /// Requests in flight on one client session at most: all MO, if it is the only one.
    pub(super) fn client_window(&self) -> u64 {
        self.mo_in_flight().max(u64::from(self.window)).max(WINDOW_MIN)
    }

    /// Requests under way from one engine to another at most.
    pub(super) fn core_requests(&self) -> u64 {
        self.mo_in_flight().max(1024)
    }

    /// How long answers that are due at the end of the load may take.
    pub(super) fn settle_limit(&self) -> Duration {
        let in_flight = self.mt_in_flight() + self.mo_in_flight();
        Duration::from_secs(3 + in_flight / ANSWERS_PER_SECOND_MIN)
    }

    /// Longer than all else: what is lost is seen at the end, and nothing is given up before.
    pub(super) fn response_timeout(&self) -> Duration {
        self.settle_limit() * 2 + Duration::from_secs(20)
    }

    fn mt_in_flight(&self) -> u64 {
        u64::from(self.connections) * u64::from(self.window)
    }

    fn mo_in_flight(&self) -> u64 {
        u64::from(self.server_sessions()) * u64::from(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::texts::CpuList;

    fn arguments(connections: Option<u32>, window: u32, cores: Option<CpuList>) -> DemoArguments {
        DemoArguments {
            duration: Duration::from_secs(10),
            connections,
            window,
            cores,
            rate: None,
            json: false,
        }
    }

    /// Goal: an engine on every CPU, two on a machine with one; each engine has two connections, each range its share.
    #[test]
    fn every_cpu_has_an_engine() {
        let one = Scenario::new(&arguments(None, 20, None), &[3]).expect("it fits");
        assert_eq!((one.cpus.as_slice(), one.connections), (&[3, 3][..], 12));
        let many: Vec<u16> = (0..16).collect();
        let many = Scenario::new(&arguments(None, 20, None), &many).expect("it fits");
        assert_eq!(
            (many.engines(), many.connections, many.server_sessions()),
            (16, 32, 32)
        );
        assert_eq!([0, 1, 2].map(|range| many.connections_of(range)), [11, 11, 10]);
        let named = Scenario::new(&arguments(Some(6), 20, Some(CpuList(vec![1]))), &[0, 1]).expect("it fits");
        assert_eq!((named.cpus.as_slice(), named.connections), (&[1][..], 6));
    }

    /// Goal: what cannot be without refusals is refused at the start, with the exit code for wrong arguments.
    #[test]
    fn too_many_requests_in_flight_are_refused() {
        let refused =
            Scenario::new(&arguments(Some(10_000), 100, None), &[0, 1]).expect_err("a million in flight");
        assert!(
            refused.to_string().contains("1000000 requests in flight"),
            "{refused}"
        );
        assert!(Scenario::new(&arguments(Some(1000), 50, None), &[0, 1]).is_ok());
    }
}
