//! `/metrics`: a snapshot of the engines' figures in the formats that Prometheus reads.
//!
//! Base units, and labels of few values: a core, vserver, server or account by its configured name, a command, a status.
//! Accounts beyond [`ACCOUNTS_MAX`] are summed up. Nothing is kept between two calls.

mod clients;
mod cores;
mod family;
mod message_log;
mod process;
mod queue;
mod servers;
mod vservers;

use super::control::Snapshot;
use family::Families;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;
use smppmux_engine::store::{StoreReport, StoreUnreachable};
use std::fmt;
use std::sync::Arc;

/// Accounts with series of their own: the first of the configuration.
pub(super) const ACCOUNTS_MAX: usize = 1000;

/// How the figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The figures of the queue's store, where there is one.
pub(crate) type QueueFigures = Option<Result<StoreReport, StoreUnreachable>>;

/// Writes all figures.
///
/// # Errors
///
/// None that a string could cause.
pub(crate) fn write(
    snapshot: Arc<Snapshot>,
    queue: QueueFigures,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("smppmux");
    registry.register_collector(Box::new(Figures { snapshot, queue }));
    let mut written = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut written, &registry)?,
        Format::Prometheus => prometheus_text::encode(&mut written, &registry)?,
    }
    Ok(written)
}

#[derive(Debug)]
struct Figures {
    snapshot: Arc<Snapshot>,
    queue: QueueFigures,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut families = Families::new(encoder);
        process::write(&mut families, &self.snapshot)?;
        cores::write(&mut families, &self.snapshot)?;
        vservers::write(&mut families, &self.snapshot)?;
        servers::write(&mut families, &self.snapshot)?;
        clients::write(&mut families, &self.snapshot)?;
        if let Some(figures) = &self.snapshot.message_log {
            message_log::write(&mut families, figures)?;
        }
        match &self.queue {
            Some(queue) => queue::write(&mut families, queue),
            None => Ok(()),
        }
    }
}
