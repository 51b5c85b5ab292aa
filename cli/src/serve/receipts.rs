//! Opens the durable store of receipts before the engines start.

use crate::config::choices::Store;
use crate::config::{Configuration, Effective};
use crate::exit::{self, Failure};
use smppmux_engine::core::receipts::IdKeys;
use smppmux_engine::shell::{LogLimits, ReceiptLog};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the receipts are kept; `None`: not on disk. A path that is not absolute starts at the configuration file's folder,
/// so that it does not depend on where the program was started.
pub(super) fn folder(configuration: &Configuration, file: Option<&Path>) -> Option<PathBuf> {
    let section = &configuration.receipts.section;
    (section.store.value == Store::Durable).then(|| beside(file, Path::new(&section.path.value)))
}

/// A path of the configuration: one that is not absolute starts at the folder of its file.
fn beside(file: Option<&Path>, path: &Path) -> PathBuf {
    file.and_then(Path::parent).unwrap_or(Path::new("")).join(path)
}

/// Puts the queue's file beside the configuration's, too.
pub(super) fn place_queue(effective: &mut Effective, file: Option<&Path>) {
    let store = effective.process.shell.store.as_mut();
    if let Some(path) = store.and_then(|store| store.path.as_mut()) {
        *path = beside(file, path);
    }
}

/// And the folder of the message log.
pub(super) fn place_message_log(effective: &mut Effective, file: Option<&Path>) {
    if let Some(log) = &mut effective.process.message_log {
        log.start_at(file.and_then(Path::parent).unwrap_or(Path::new("")));
    }
}

/// Opens the log and gives its key to the engines.
///
/// # Errors
///
/// Exit code 69 when another process has the folder, or it cannot be used.
pub(super) fn open(effective: &mut Effective, folder: Option<&Path>) -> Result<Option<ReceiptLog>, Failure> {
    let (Some(folder), Some(settings)) = (folder, Arc::get_mut(&mut effective.settings)) else {
        return Ok(None);
    };
    let limits = LogLimits {
        entries_max: settings.receipts.entries_max,
        age_max: settings.receipts.age_max,
    };
    let log = ReceiptLog::open(folder, limits)
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("smppmux: {error}")))?;
    settings.receipts.keys = IdKeys::new(log.key());
    settings.receipts.is_logged = true;
    effective.process.shell.receipt_log = Some(log.clone());
    Ok(Some(log))
}
