//! Who looks at whose PDUs: the engines' copies are handed on to the readers.
//!
//! Invariant: a reader that is too slow misses something and is told how much; it holds up nobody. An engine copies nothing
//! any more once the last reader is gone or its time is over, whether it reads or not.

use super::control::ControlCore;
use crate::admin::control::{Refusal, TraceOf};
use crate::admin::trace::{LaneIn, Traced, lane};
use smppmux_engine::core::contract::{Command, CoreIndex, TraceSubject, TracedPdus};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc::Receiver;
use tracing::info;

/// Readers at most.
const TRACES_MAX: usize = 16;

/// All readers.
#[derive(Debug, Default)]
pub(super) struct Traces(Vec<Trace>);

#[derive(Debug)]
struct Trace {
    subject: TraceSubject,
    reader: LaneIn,
    ends: Instant,
}

impl Traces {
    /// Hands on what an engine has copied.
    pub(super) fn pass(&mut self, core: CoreIndex, pdus: &TracedPdus) {
        let mut readers = self.0.iter_mut().filter(|trace| trace.subject == pdus.subject);
        let Some(first) = readers.next() else { return };
        let (at, pdus) = (SystemTime::now(), Arc::new(pdus.clone()));
        first.reader.put(at, core, &pdus);
        readers.for_each(|trace| trace.reader.put(at, core, &pdus));
    }

    /// Forgets readers that are gone, or whose time is over; gives the subjects that nobody looks at any more.
    fn sweep(&mut self, now: Instant) -> Vec<TraceSubject> {
        let mut left = Vec::new();
        // One look at each: a reader that goes away in between is found by the next sweep.
        self.0.retain(|trace| {
            let is_read = now < trace.ends && !trace.reader.is_closed();
            if !is_read {
                left.push(trace.subject);
            }
            is_read
        });
        left.sort_unstable();
        left.dedup();
        left.retain(|subject| self.0.iter().all(|trace| trace.subject != *subject));
        left
    }
}

impl ControlCore {
    /// Begins a trace.
    pub(super) fn start_trace(
        &mut self,
        now: Instant,
        of: &TraceOf,
        limit: Duration,
    ) -> Result<Receiver<Traced>, Refusal> {
        let subject = match of {
            TraceOf::Server(name) => TraceSubject::Server(self.server(name)?),
            TraceOf::Client(system_id) => TraceSubject::Client(self.client(system_id)?),
        };
        self.end_unread_traces(now);
        if self.traces.0.len() >= TRACES_MAX {
            let error = format!("there are {TRACES_MAX} traces already");
            return Err(Refusal::NotNow(error));
        }
        info!(?of, "a trace begins");
        let (reader, traced) = lane();
        self.traces.0.push(Trace {
            subject,
            reader,
            ends: now + limit,
        });
        let command = Command::Trace { subject, is_on: true };
        self.engines.command_all(&command);
        Ok(traced)
    }

    /// Ends the traces that nobody reads any more, and those whose time is over.
    pub(super) fn end_unread_traces(&mut self, now: Instant) {
        for subject in self.traces.sweep(now) {
            info!(?subject, "a trace ends");
            let command = Command::Trace {
                subject,
                is_on: false,
            };
            self.engines.command_all(&command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::settings::{ClientIndex, ServerIndex};

    /// Goal: a subject is given back exactly when its last reader has gone or its time is over, also where the reader is there
    /// and does not read.
    #[test]
    fn a_subject_is_left_with_its_last_reader() {
        let start = Instant::now();
        let [server, client] = [
            TraceSubject::Server(ServerIndex(0)),
            TraceSubject::Client(ClientIndex(0)),
        ];
        let mut traces = Traces::default();
        let mut readers = Vec::new();
        for (subject, seconds) in [(server, 10), (server, 20), (server, 30), (client, 10)] {
            let (reader, traced) = lane();
            let ends = start + Duration::from_secs(seconds);
            traces.0.push(Trace {
                subject,
                reader,
                ends,
            });
            readers.push(traced);
        }
        assert_eq!(traces.sweep(start), vec![]);
        drop(readers.remove(2));
        assert_eq!(traces.sweep(start), vec![]);
        assert_eq!(traces.sweep(start + Duration::from_secs(10)), vec![client]);
        drop(readers);
        assert_eq!(traces.sweep(start + Duration::from_secs(11)), vec![server]);
        assert!(traces.0.is_empty());
    }
}
