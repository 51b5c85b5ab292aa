//! `smppmux serve`: starts the engines and stays beside them as the control core.
//!
//! The control core takes signals, answers the admin interface and writes the log. It speaks to the engines by messages only and never
//! makes one wait.

mod answering;
mod control;
mod notice_log;
mod readiness;
mod receipts;

use crate::admin::open_doors;
use crate::arguments::ServeArguments;
use crate::check::{effective_or_failure, parsed_or_failure};
use crate::config::flags::{AdminFlags, EngineFlags};
use crate::config::problem::Source;
use crate::config::{self, Configuration, Effective};
use crate::exit::{self, Failure};
use crate::logging;
use control::ControlCore;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use smppmux_engine::shell::{RunningEngines, StartError, run_engines};
use std::path::PathBuf;
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
    let (mut effective, warnings, receipts_folder) = configure(arguments)?;
    logging::start(log_format, log_level);
    for warning in warnings {
        warn!("{warning}");
    }
    // Before the engines start, so that no signal ends the process half-way.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("signals cannot be received: {error}")))?;
    let doors = open_doors(&effective.process.admin)?;
    let receipt_log = receipts::open(&mut effective, receipts_folder.as_deref())?;
    let engines = run_engines(effective.process.shell.clone(), Arc::clone(&effective.settings))
        .map_err(|error| start_failure(&error))?;
    announce(&effective, &engines);
    if let Some(cpu) = effective.process.control_cpu {
        pin_to(cpu);
    }
    let outcome = ControlCore::new(effective.settings, engines, signals, doors).run();
    if let Some(log) = receipt_log {
        log.finish();
    }
    outcome
}

/// What to run, what to warn of, and where receipts are kept.
type Configured = (Effective, Vec<String>, Option<PathBuf>);

/// The configuration by file or flags, and its warnings.
fn configure(arguments: ServeArguments) -> Result<Configured, Failure> {
    let (source, mut configuration, problems) = match &arguments.config {
        Some(path) => {
            let source = config::read_source(path)?;
            let (configuration, problems) = parsed_or_failure(&source)?;
            (source, configuration, problems)
        }
        None => {
            let configuration = Configuration::by_flags(arguments.listen, arguments.server, arguments.client);
            (Source::default(), configuration, Vec::new())
        }
    };
    configuration.apply(EngineFlags::from(arguments.engine));
    configuration.apply_admin(AdminFlags {
        listen: arguments.admin_listen,
        socket: arguments.admin_socket,
    });
    let (effective, warnings) = effective_or_failure(&source, &configuration, problems)?;
    let warnings = warnings
        .iter()
        .map(|warning| source.describe_briefly(warning))
        .collect();
    let receipts_folder = receipts::folder(&configuration, arguments.config.as_deref());
    Ok((effective, warnings, receipts_folder))
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
        info!(vserver = vserver.map(|vserver| vserver.name.as_str()), address = %listening.address, "listening");
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
        | StartError::Store(_)
        | StartError::System(_) => exit::UNAVAILABLE,
    };
    Failure::new(code, format!("smppmux: {error}"))
}
