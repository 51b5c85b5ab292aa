//! `smppmux serve`: starts the engines and stays beside them as the control core.
//!
//! The control core takes signals, answers the admin interface and writes the log. It speaks to the engines by messages only and never
//! makes one wait.

mod answering;
mod control;
mod notice_log;
mod readiness;
mod rebalancing;
mod receipts;
mod reload;
mod supervisor;
mod traces;

use crate::admin::open_doors;
use crate::arguments::ServeArguments;
use crate::check::{effective_or_failure, parsed_or_failure};
use crate::config::flags::{AdminFlags, EngineFlags};
use crate::config::problem::{Problem, Source};
use crate::config::{self, Configuration, Effective};
use crate::exit::{self, Failure};
use crate::logging;
use crate::message_log::MessageLog;
use control::ControlCore;
use reload::Reloader;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smppmux_engine::shell::{RunningEngines, StartError, run_engines};
use std::sync::Arc;
use tracing::{info, warn};

/// Runs until a signal ends it.
///
/// # Errors
///
/// Exit code 66 for a file that cannot be read, 78 for a wrong configuration, 69 when a port is taken or the
/// system lacks something, 70 when an engine failed, 75 when a second signal ended it with messages under
/// way.
pub(crate) fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let (log_format, log_level) = (arguments.log_format, arguments.log_level);
    let loaded = load(&arguments)?;
    let (mut effective, warnings) = loaded.settle()?;
    receipts::place_queue(&mut effective, arguments.config.as_deref());
    receipts::place_message_log(&mut effective, arguments.config.as_deref());
    let receipts_folder = receipts::folder(&loaded.configuration, arguments.config.as_deref());
    logging::start(log_format, log_level);
    for warning in warnings {
        warn!("{warning}");
    }
    // Before the engines start, so that no signal ends the process half-way.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("signals cannot be received: {error}")))?;
    let doors = open_doors(&effective.process.admin)?;
    let receipt_log = receipts::open(&mut effective, receipts_folder.as_deref())?;
    let message_log = start_message_log(&mut effective)?;
    let reloader = Reloader::new(arguments, loaded.configuration, receipt_log.clone(), message_log);
    let engines = run_engines(effective.process.shell.clone(), Arc::clone(&effective.settings))
        .map_err(|error| start_failure(&error))?;
    announce(&effective, &engines);
    if let Some(cpu) = effective.process.control_cpu {
        pin_to(cpu);
    }
    let outcome = ControlCore::new(effective, engines, signals, doors, reloader).run();
    if let Some(log) = receipt_log {
        log.finish();
    }
    outcome
}

/// Opens the message log, if there is to be one; a reload may want one later.
fn start_message_log(effective: &mut Effective) -> Result<MessageLog, Failure> {
    let mut log = MessageLog::new(effective.process.shell.cpus.len());
    let prepared = log.prepare(effective.process.message_log.clone());
    prepared
        .and_then(|prepared| log.use_prepared(prepared, &effective.settings))
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("smppmux: {error}")))?;
    effective.process.shell.message_log = Some(log.lanes());
    Ok(log)
}

/// A configuration as it was read, with the flags laid over it.
#[derive(Debug)]
struct Loaded {
    source: Source,
    configuration: Configuration,
    problems: Vec<Problem>,
}

/// The configuration by file or flags.
fn load(arguments: &ServeArguments) -> Result<Loaded, Failure> {
    let (source, mut configuration, problems) = match &arguments.config {
        Some(path) => {
            let source = config::read_source(path)?;
            let (configuration, problems) = parsed_or_failure(&source)?;
            (source, configuration, problems)
        }
        None => {
            let (listen, servers) = (arguments.listen.clone(), arguments.server.clone());
            let configuration = Configuration::by_flags(listen, servers, arguments.client.clone());
            (Source::default(), configuration, Vec::new())
        }
    };
    configuration.apply(EngineFlags::from(arguments.engine.clone()));
    configuration.apply_admin(AdminFlags {
        listen: arguments.admin_listen,
        socket: arguments.admin_socket.clone(),
    });
    Ok(Loaded {
        source,
        configuration,
        problems,
    })
}

impl Loaded {
    /// What it comes to, and its warnings.
    fn settle(&self) -> Result<(Effective, Vec<String>), Failure> {
        let (effective, warnings) =
            effective_or_failure(&self.source, &self.configuration, self.problems.clone())?;
        let warnings = warnings
            .iter()
            .map(|warning| self.source.describe_briefly(warning))
            .collect();
        Ok((effective, warnings))
    }
}

fn announce(effective: &Effective, engines: &RunningEngines) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        cpus = ?effective.process.shell.cpus,
        servers = effective.settings.servers.len(),
        clients = effective.settings.clients.len(),
        "engines are running"
    );
    for listening in engines.listening() {
        let vserver = effective.settings.vservers.get(usize::from(listening.vserver.0));
        info!(vserver = vserver.map(|vserver| vserver.name.as_str()), address = %listening.address, tls = listening.is_tls, "listening");
    }
}

fn pin_to(cpu: u16) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: usize::from(cpu) }) {
        warn!(cpu, "the control core could not be pinned");
    }
}

/// The exit code and words for engines that could not be started.
pub(crate) fn start_failure(error: &StartError) -> Failure {
    let code = match error {
        StartError::NoEngine | StartError::NoSuchCpu { .. } | StartError::Distribution(_) => {
            exit::CONFIGURATION
        }
        StartError::CannotPin { .. }
        | StartError::AddressTaken { .. }
        | StartError::CannotListen { .. }
        | StartError::IoUringUnavailable(_)
        | StartError::ReceiptLog(_)
        | StartError::Tls(_)
        | StartError::Store(_)
        | StartError::System(_) => exit::UNAVAILABLE,
    };
    Failure::new(code, format!("smppmux: {error}"))
}
