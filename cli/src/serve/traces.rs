//! Who looks at whose PDUs: the engines' copies are handed on to the readers.
//!
//! Invariant: a reader that is too slow misses something and is told how much; it holds up nobody. An engine copies nothing
//! any more once the last reader is gone.

use super::control::ControlCore;
use crate::admin::control::{Refusal, TraceOf};
use crate::admin::trace::Traced;
use smppmux_engine::core::contract::{Command, CoreIndex, TraceSubject, TracedPdus};
use std::time::SystemTime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::info;

/// Readers at most.
const TRACES_MAX: usize = 16;
/// Reads and writes that may wait for one reader.
const WAITING_MAX: usize = 4096;

/// All readers.
#[derive(Debug, Default)]
pub(super) struct Traces(Vec<Trace>);

#[derive(Debug)]
struct Trace {
    subject: TraceSubject,
    reader: Sender<Traced>,
    lost: u64,
}

impl Traces {
    /// Hands on what an engine has copied.
    pub(super) fn pass(&mut self, core: CoreIndex, pdus: &TracedPdus) {
        let at = SystemTime::now();
        for trace in self.0.iter_mut().filter(|trace| trace.subject == pdus.subject) {
            let traced = Traced {
                at,
                core,
                pdus: pdus.clone(),
                lost_before: trace.lost,
            };
            match trace.reader.try_send(traced) {
                Ok(()) => trace.lost = 0,
                Err(TrySendError::Full(_)) => trace.lost += 1,
                // It is found by the next sweep.
                Err(TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Forgets readers that are gone; gives the subjects that nobody looks at any more.
    fn sweep(&mut self) -> Vec<TraceSubject> {
        let gone: Vec<_> = self.0.iter().filter(|trace| trace.reader.is_closed()).collect();
        let mut left: Vec<_> = gone.iter().map(|trace| trace.subject).collect();
        if left.is_empty() {
            return left;
        }
        self.0.retain(|trace| !trace.reader.is_closed());
        left.retain(|subject| self.0.iter().all(|trace| trace.subject != *subject));
        left
    }
}

impl ControlCore {
    /// Begins a trace.
    pub(super) fn start_trace(&mut self, of: &TraceOf) -> Result<Receiver<Traced>, Refusal> {
        let subject = match of {
            TraceOf::Server(name) => TraceSubject::Server(self.server(name)?),
            TraceOf::Client(system_id) => TraceSubject::Client(self.client(system_id)?),
        };
        self.end_unread_traces();
        if self.traces.0.len() >= TRACES_MAX {
            let error = format!("there are {TRACES_MAX} traces already");
            return Err(Refusal::NotNow(error));
        }
        info!(?of, "a trace begins");
        let (reader, traced) = channel(WAITING_MAX);
        self.traces.0.push(Trace {
            subject,
            reader,
            lost: 0,
        });
        let command = Command::Trace { subject, is_on: true };
        self.engines.command_all(&command);
        Ok(traced)
    }

    /// Ends the traces that nobody reads any more.
    pub(super) fn end_unread_traces(&mut self) {
        for subject in self.traces.sweep() {
            info!(?subject, "a trace ends");
            let command = Command::Trace {
                subject,
                is_on: false,
            };
            self.engines.command_all(&command);
        }
    }
}
