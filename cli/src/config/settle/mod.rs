//! Checks a whole configuration and makes the engines' settings of it.
//!
//! Invariant: there are settings if and only if there is no problem; then names are unique, every index
//! points at something, and every limit fits its neighbours.

mod admin;
mod admission;
mod clients;
mod ejection;
mod engine;
mod limits;
mod message_log;
mod names;
mod no_effect;
mod outbind;
mod queue;
mod receipts;
mod relations;
mod routes;
mod servers;
mod tls;
mod vservers;

pub use admin::AdminSettings;
pub use engine::ProcessSettings;
pub use limits::WEIGHT_MAX;

use super::Configuration;
use super::key::{Key, Origin};
use super::problem::Problem;
use names::Names;
use smppmux_engine::core::settings::{Connections, ServerBind, ServerSettings, Settings};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// A configuration that is ready to run.
#[derive(Clone, Debug)]
pub struct Effective {
    /// What the packet engines take.
    pub settings: Arc<Settings>,
    /// What the process around them takes.
    pub process: ProcessSettings,
}

impl Effective {
    /// How many sessions a server will see: `(in all, how they come about)`.
    pub fn binds(&self, server: &ServerSettings) -> (u64, String) {
        let cores = self.process.shell.cpus.len() as u64;
        let kinds = if server.bind == ServerBind::Both { 2 } else { 1 };
        let each = if kinds == 2 {
            ", a transmitter and a receiver each"
        } else {
            ""
        };
        let called = server.outbind.as_ref().map_or_else(String::new, |outbind| {
            format!(
                ", and up to {} on each core that it opens itself",
                outbind.connections
            )
        });
        match server.connections {
            Connections::PerCore(connections) => {
                let cores_word = if cores == 1 { "core" } else { "cores" };
                (
                    u64::from(connections) * cores * kinds,
                    format!("{connections} on each of {cores} {cores_word}{each}{called}"),
                )
            }
            Connections::Total(connections) => (
                u64::from(connections) * kinds,
                format!("{connections} spread over the cores{each}{called}"),
            ),
        }
    }
}

/// What came of a configuration.
#[derive(Debug)]
pub struct Settled {
    /// The settings, unless something is wrong.
    pub effective: Option<Effective>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is right but will not do what it says, or hardly what was meant.
    pub warnings: Vec<Problem>,
}

/// Checks everything and makes the settings. `problems` are those of reading, `available_cpus` the CPUs that
/// this process may use.
pub fn settle(configuration: &Configuration, problems: Vec<Problem>, available_cpus: &[u16]) -> Settled {
    settle_beside(configuration, problems, available_cpus, None)
}

/// The same to continue settings that run already: with their seed, and with their store of receipts as it was opened at the
/// start.
pub fn settle_continuing(
    configuration: &Configuration,
    problems: Vec<Problem>,
    available_cpus: &[u16],
    running: &Settings,
) -> Settled {
    settle_beside(configuration, problems, available_cpus, Some(running))
}

fn settle_beside(
    configuration: &Configuration,
    problems: Vec<Problem>,
    available_cpus: &[u16],
    running: Option<&Settings>,
) -> Settled {
    let mut settling = Settling {
        configuration,
        problems,
        warnings: Vec::new(),
    };
    let names = Names::collect(&mut settling);
    let process = settling.process_settings(available_cpus);
    let engine = settling.engine_settings();
    let vservers = settling.vservers(&names);
    let servers = settling.servers(&names, &vservers);
    let clients = settling.clients(&names, &vservers);
    let receipts = settling.receipts();
    let routes = settling.routes(&names, &vservers);
    let groups = settling.route_groups(&routes, running);
    settling.check_relations(&vservers, &servers);
    settling.warn_of_no_effect();
    let Settling {
        problems, warnings, ..
    } = settling;
    let effective = problems.is_empty().then(|| {
        let (seed, receipts) = match running {
            Some(running) => (running.seed(), running.receipts.clone()),
            None => (random_seed(), receipts),
        };
        let (retired_servers, retired_clients) = configuration.retired();
        let settings = Settings::new(engine, vservers, servers, clients, seed)
            .with_receipts(receipts)
            .with_message_log(process.message_log.is_some())
            .with_routes_in(routes, groups)
            .with_retired(retired_servers, retired_clients);
        Effective {
            settings: Arc::new(settings),
            process,
        }
    });
    Settled {
        effective,
        problems,
        warnings,
    }
}

/// The standard library's keys come from the operating system's random numbers.
fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// The state of one check.
struct Settling<'c> {
    configuration: &'c Configuration,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Settling<'_> {
    fn problem(&mut self, at: &Origin, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn problem_with_hint(&mut self, at: &Origin, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(at, message).hint(hint));
    }

    /// A problem for each of these keys that is set: it does nothing without another one.
    fn blame_keys_without<const N: usize>(&mut self, needed: &str, keys: [(&str, &Origin); N]) {
        for (name, origin) in keys {
            if *origin != Origin::Default {
                self.problem(origin, format!("`{name}` needs `{needed}`"));
            }
        }
    }

    fn warn(&mut self, at: &Origin, message: impl Into<String>) {
        self.warnings.push(Problem::new(at, message));
    }
}

/// The key to blame when two do not fit: the first, unless only the second was set.
fn blame<'k, T, U>(first: &'k Key<T>, second: &'k Key<U>) -> &'k Origin {
    if first.is_set() || !second.is_set() {
        first.origin()
    } else {
        second.origin()
    }
}
