//! `[engine]`: checked, and turned into what engines and process take.

use super::limits::{CONNECTIONS_MAX, DAY, MILLISECOND, WINDOW_MAX};
use super::{AdminSettings, Settling, blame};
use crate::config::choices::{Rebalance, Store};
use crate::config::engine::EngineSection;
use crate::config::key::Key;
use crate::config::texts::Octets;
use crate::message_log::MessageLogSettings;
use smppmux_engine::core::settings::EngineSettings;
use smppmux_engine::shell::ShellSettings;
use smppmux_flow_distributor::{PinRule, PinSubject, RssBits, Settings as DistributorSettings, Tolerance};
use std::time::Duration;

/// Largest command_length that may be configured.
const MAX_PDU_OCTETS: u64 = 16 << 20;

/// What the process around the engines takes.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// CPUs, buffers and distribution of the engines.
    pub shell: ShellSettings,
    /// CPU of the control core, if it is pinned.
    pub control_cpu: Option<u16>,
    /// How often the control core looks at the load, if it rewrites the table of new connections.
    pub rebalance_interval: Option<Duration>,
    /// How far above the mean the busiest engine may be.
    pub rebalance_tolerance: Tolerance,
    /// Where metrics, health and control are offered.
    pub admin: AdminSettings,
    /// How messages are logged; `None`: they are not.
    pub message_log: Option<MessageLogSettings>,
}

impl Settling<'_> {
    /// Checks the per-core keys and gives what the process takes.
    pub(super) fn process_settings(&mut self, available_cpus: &[u16]) -> ProcessSettings {
        let engine = &self.configuration.engine.section;
        let cpus = match &engine.cores.value {
            Some(list) => list.0.clone(),
            None => available_cpus.to_vec(),
        };
        self.check_cpus(engine, &cpus, available_cpus);
        self.number("ring-depth", &engine.ring_depth, &(1..=4096));
        if !engine.ring_depth.value.is_power_of_two() {
            let message = format!(
                "`ring-depth` is {}, which is not a power of two",
                engine.ring_depth.value
            );
            self.problem(engine.ring_depth.origin(), message);
        }
        self.octets("io-memory", &engine.io_memory, &(16_384..=(1 << 30)));
        self.octets("read-buffer", &engine.read_buffer, &(1024..=MAX_PDU_OCTETS));
        self.octets("turn-budget", &engine.turn_budget, &(1024..=(1 << 30)));
        if engine.turn_budget.value < engine.read_buffer.value {
            let message = format!(
                "`turn-budget` ({}) must not be less than `read-buffer` ({}), or one read exceeds it",
                engine.turn_budget.value.0, engine.read_buffer.value.0
            );
            self.problem(blame(&engine.turn_budget, &engine.read_buffer), message);
        }
        self.period(
            "spin-before-park",
            &engine.spin_before_park,
            &(Duration::ZERO..=Duration::from_secs(1)),
        );
        self.period(
            "rebalance-interval",
            &engine.rebalance_interval,
            &(Duration::from_millis(100)..=Duration::from_secs(3600)),
        );
        self.number("rebalance-threshold", &engine.rebalance_threshold, &(5..=1000));
        let distribution = self.distribution(engine, cpus.len());
        let store = self.store_settings();
        ProcessSettings {
            shell: ShellSettings {
                cpus: cpus.into_iter().map(usize::from).collect(),
                io_driver: engine.io.value,
                spin_before_park: engine.spin_before_park.value,
                ring_depth: engine.ring_depth.value as usize,
                io_memory_octets: size(engine.io_memory.value),
                read_buffer_octets: size(engine.read_buffer.value),
                turn_budget_octets: size(engine.turn_budget.value),
                core_requests_max: engine.c2c_capacity.value as usize,
                distribution,
                tls: self.tls_settings(),
                receipt_log: None,
                message_log: None,
                store,
            },
            control_cpu: engine.control_core.value,
            rebalance_interval: (engine.rebalance.value == Rebalance::Auto)
                .then_some(engine.rebalance_interval.value),
            rebalance_tolerance: Tolerance {
                percent: engine.rebalance_threshold.value,
            },
            admin: self.admin_settings(),
            message_log: self.message_log_settings(),
        }
    }

    /// Checks the limits of an engine and gives them.
    pub(super) fn engine_settings(&mut self) -> EngineSettings {
        let engine = &self.configuration.engine.section;
        self.octets("max-pdu", &engine.max_pdu, &(512..=MAX_PDU_OCTETS));
        self.number(
            "first-sequence-number",
            &engine.first_sequence_number,
            &(1..=0x7FFF_FFFF),
        );
        self.period("drain-timeout", &engine.drain_timeout, &(MILLISECOND..=DAY));
        self.number("c2c-capacity", &engine.c2c_capacity, &(1..=65_536));
        self.number("max-sessions", &engine.max_sessions, &(1..=1_000_000));
        self.octets("output-buffer", &engine.output_buffer, &(4096..=(1 << 30)));
        self.optional_octets(
            "server-output-buffer",
            &engine.server_output_buffer,
            &(4096..=(1 << 30)),
        );
        self.number(
            "connections-per-server",
            &engine.connections_per_server,
            &(1..=CONNECTIONS_MAX),
        );
        self.number("window", &engine.window, &(1..=WINDOW_MAX));
        if engine.output_buffer.value.0 < 2 * engine.max_pdu.value.0 {
            let message = format!(
                "`output-buffer` ({}) must be at least twice `max-pdu` ({}), so that a large PDU does not fill it alone",
                engine.output_buffer.value.0, engine.max_pdu.value.0
            );
            self.problem(blame(&engine.output_buffer, &engine.max_pdu), message);
        }
        EngineSettings {
            has_queue: self.configuration.queue.section.store.value != Store::Off,
            max_pdu_octets: u32::try_from(engine.max_pdu.value.0).unwrap_or(u32::MAX),
            first_sequence_number: engine.first_sequence_number.value,
            drain_timeout: engine.drain_timeout.value,
            core_requests_max: engine.c2c_capacity.value,
            sessions_max: engine.max_sessions.value,
            output_octets_max: size(engine.output_buffer.value),
            server_output_octets_max: size(self.server_output_buffer(engine)),
            strict_lengths: engine.strict_lengths.value,
        }
    }

    /// What may wait for a server: a usual request for each place of the largest window, as long as that is not much.
    fn server_output_buffer(&self, engine: &EngineSection) -> Octets {
        const REQUEST_OCTETS: u64 = 256;
        const BY_DEFAULT_MAX: u64 = 8 << 20;
        let servers = self.configuration.servers.iter();
        let windows = servers.map(|server| server.section.window.value.unwrap_or(engine.window.value));
        let by_window = u64::from(windows.max().unwrap_or_default()) * REQUEST_OCTETS;
        let by_default = Octets(by_window.min(BY_DEFAULT_MAX));
        engine
            .server_output_buffer
            .value
            .unwrap_or(by_default)
            .max(engine.output_buffer.value)
    }

    /// CPUs that are not here are no error: a file may be checked on another machine than it runs on.
    fn check_cpus(&mut self, engine: &EngineSection, cpus: &[u16], available_cpus: &[u16]) {
        if let Some(missing) = cpus.iter().find(|cpu| !available_cpus.contains(cpu)) {
            let message =
                format!("CPU {missing} of `cores` is not available to this process on this machine");
            self.warn(engine.cores.origin(), message);
        }
        if let Some(missing) = engine
            .control_core
            .value
            .filter(|cpu| !available_cpus.contains(cpu))
        {
            let message =
                format!("CPU {missing} (`control-core`) is not available to this process on this machine");
            self.warn(engine.control_core.origin(), message);
        }
    }

    fn distribution(&mut self, engine: &EngineSection, engines: usize) -> DistributorSettings {
        self.number("rss-bits", &engine.rss_bits, &(1..=7));
        let bits = RssBits::new(engine.rss_bits.value).unwrap_or(RssBits::MAX);
        if engines > bits.buckets() {
            let message = format!(
                "`rss-bits` is {}: a table of {} places cannot name {engines} cores",
                engine.rss_bits.value,
                bits.buckets()
            );
            self.problem(blame(&engine.rss_bits, &engine.cores), message);
        }
        for pin in &engine.pins.value {
            self.check_pin(pin, engines);
        }
        let hash = engine.rss_hash.value;
        DistributorSettings {
            cores: engines,
            scheme: engine.distribution.value,
            hash,
            key: engine.rss_key.value.unwrap_or_else(|| hash.default_key()),
            bits,
            pins: engine.pins.value.iter().map(|pin| pin.value.clone()).collect(),
        }
    }

    fn check_pin(&mut self, pin: &Key<PinRule>, engines: usize) {
        if pin.value.cores.highest() >= engines {
            let message = format!(
                "the pin names engine {}, but they are numbered 0 to {}",
                pin.value.cores.highest(),
                engines.saturating_sub(1)
            );
            self.problem(pin.origin(), message);
        }
        if let PinSubject::Listener(name) = &pin.value.subject {
            let mut vservers = self.configuration.vservers.iter();
            if !vservers.any(|item| item.section.name.value.as_ref() == Some(name)) {
                self.problem(pin.origin(), format!("there is no vserver \"{name}\""));
            }
        }
    }
}

fn size(octets: Octets) -> usize {
    usize::try_from(octets.0).unwrap_or(usize::MAX)
}
