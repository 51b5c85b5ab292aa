//! Reading the configuration again: SIGHUP, `ctl reload`, the API.
//!
//! All or nothing: a file with a problem, or with a change that needs a restart, changes nothing at all.

use super::control::ControlCore;
use super::receipts::place_message_log;
use super::{Loaded, load};
use crate::admin::control::Refusal;
use crate::arguments::ServeArguments;
use crate::check::available_cpus;
use crate::config::problem::{Problem, Source};
use crate::config::reload::Merged;
use crate::config::{Configuration, Effective, settle_continuing};
use crate::message_log::MessageLog;
use smppmux_engine::core::contract::{Command, CoreIndex, NewSettings};
use smppmux_engine::core::settings::Settings;
use smppmux_engine::shell::ReceiptLog;
use std::sync::Arc;
use tracing::{error, info, warn};

/// Where the configuration comes from, and the one that runs: with the places of all that was ever there.
#[derive(Debug)]
pub(super) struct Reloader {
    arguments: ServeArguments,
    running: Configuration,
    receipt_log: Option<ReceiptLog>,
    pub(super) message_log: MessageLog,
}

impl Reloader {
    pub(super) fn new(
        arguments: ServeArguments,
        running: Configuration,
        receipt_log: Option<ReceiptLog>,
        message_log: MessageLog,
    ) -> Self {
        Self {
            arguments,
            running,
            receipt_log,
            message_log,
        }
    }

    /// Reads, checks and merges; nothing is changed yet.
    fn prepare(&self, settings: &Settings) -> Result<(Merged, Effective, Vec<String>), Refusal> {
        if self.arguments.config.is_none() {
            return Err(Refusal::NotNow(
                "smppmux was started by flags: there is no file to read again".into(),
            ));
        }
        let wrong = |failure: crate::exit::Failure| Refusal::Wrong(failure.to_string());
        let loaded: Loaded = load(&self.arguments).map_err(wrong)?;
        let (_, warnings) = loaded.settle().map_err(wrong)?;
        let merged = self
            .running
            .merged_with(&loaded.configuration)
            .map_err(|obstacles| needs_restart(&loaded.source, &obstacles))?;
        let settled = settle_continuing(&merged.configuration, Vec::new(), &available_cpus(), settings);
        match settled.effective {
            Some(mut effective) => {
                place_message_log(&mut effective, self.arguments.config.as_deref());
                Ok((merged, effective, warnings))
            }
            None => {
                // The file alone is good, so what is in the way is what it must stand beside.
                Err(needs_restart(&loaded.source, &settled.problems))
            }
        }
    }
}

/// What only a restart can change, each with its place in the file.
fn needs_restart(source: &Source, obstacles: &[Problem]) -> Refusal {
    let obstacles = obstacles.iter().map(|obstacle| source.describe_briefly(obstacle));
    let obstacles: Vec<_> = obstacles.collect();
    Refusal::NotNow(format!("this needs a restart: {}", obstacles.join("; ")))
}

impl ControlCore {
    /// Reads the configuration again and has the engines go on with it.
    pub(super) fn reload(&mut self) -> Result<String, Refusal> {
        let is_serving = self.readiness.is_told() && self.drain.is_none();
        if is_serving {
            self.supervisor.tell_reloading();
        }
        let outcome = self.try_reload();
        if outcome.is_ok() {
            self.await_obeyed();
        }
        if is_serving {
            self.supervisor.tell_ready();
        }
        match &outcome {
            Ok(changes) => info!(%changes, "configuration read again"),
            Err(Refusal::NotNow(reason) | Refusal::NoSuchThing(reason) | Refusal::Wrong(reason)) => {
                error!(%reason, "the configuration was not taken: nothing has changed");
            }
        }
        outcome
    }

    fn try_reload(&mut self) -> Result<String, Refusal> {
        if self.drain.is_some() {
            return Err(Refusal::NotNow("smppmux drains".into()));
        }
        let (merged, effective, warnings) = self.reloader.prepare(&self.settings)?;
        let tls = self
            .engines
            .read_tls(&effective.process.shell.tls)
            .map_err(|error| Refusal::NotNow(format!("TLS: {error}")))?;
        let settings = effective.settings;
        let message_log = self.reloader.message_log.prepare(effective.process.message_log);
        let message_log = message_log.map_err(|error| Refusal::NotNow(error.to_string()))?;
        // Before the engines make records of new accounts.
        let log = self.reloader.receipt_log.as_ref();
        if log.is_some_and(|log| !log.use_settings(&settings)) {
            let reason = "the log of receipts is behind and takes nothing new; try again";
            return Err(Refusal::NotNow(reason.into()));
        }
        let message_log = self.reloader.message_log.use_prepared(message_log, &settings);
        message_log.map_err(|error| Refusal::NotNow(error.to_string()))?;
        if let Some(store) = self.engines.store() {
            store.use_settings(&settings);
        }
        for warning in warnings {
            warn!("{warning}");
        }
        if let Some(tls) = tls {
            self.engines.use_tls(tls);
        }
        for core in (0..self.engines.cores()).map(CoreIndex) {
            let command = Command::Reconfigure(NewSettings(Arc::clone(&settings)));
            if let Err(unreachable) = self.engines.command(core, command) {
                error!(%unreachable, "it goes on with its old settings");
            }
        }
        self.use_settings(&settings);
        self.reloader.running = merged.configuration;
        Ok(merged.changes.to_string())
    }
}
