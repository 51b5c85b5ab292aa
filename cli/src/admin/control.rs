//! What the admin interface may ask of the control core, and how: a bounded mailbox, a wake, an answer.
//!
//! Must never wait for the control core without a limit: a call that is not answered in time fails.

use super::trace::Traced;
use crate::message_log::LogFigures;
use smppmux_engine::core::report::{ServerReport, Wanted};
use smppmux_engine::core::settings::{ServerIndex, Settings};
use smppmux_engine::shell::{CoreReport, EventWaker, Listening};
use smppmux_engine::store::StoreControl;
use smppmux_flow_distributor::IndirectionTable;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for the control core.
const CALLS_MAX: usize = 64;

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// One question or order, with where its answer goes.
#[derive(Debug)]
pub(crate) enum Call {
    /// The figures of all engines, with at least these details.
    Snapshot(Wanted, Reply<Arc<Snapshot>>),
    /// A change.
    Order(Order, Reply<Result<String, Refusal>>),
    /// The PDUs of somebody, from now on for so long, or until the receiver is dropped.
    Trace(TraceOf, Duration, Reply<Result<mpsc::Receiver<Traced>, Refusal>>),
}

/// Whose PDUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TraceOf {
    /// Those of the server with this name.
    Server(String),
    /// Those of the account with this system_id.
    Client(String),
}

/// Where an answer goes. Dropping it says that there will be none.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// Something to change. The answer is a sentence on what has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The same as SIGTERM.
    DrainAll,
    /// Read the configuration again, as SIGHUP does.
    Reload,
    /// No new submits to a server, or submits again.
    DrainServer {
        /// Its name.
        name: String,
        /// False: again.
        drains: bool,
    },
    /// The end of an account's sessions, or that it may bind again.
    DrainClient {
        /// The account.
        system_id: String,
        /// False: it may bind again.
        drains: bool,
    },
    /// A server's share among its equals.
    SetWeight {
        /// Its name.
        name: String,
        /// From 1.
        weight: u32,
    },
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It cannot be done in the state that smppmux is in.
    NotNow(String),
    /// What it names is not there.
    NoSuchThing(String),
    /// It asks for something that cannot be.
    Wrong(String),
}

/// The figures of all engines at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The configuration that holds.
    pub(crate) settings: Arc<Settings>,
    /// Where the vservers listen.
    pub(crate) listening: Vec<Listening>,
    /// What smppmux is doing.
    pub(crate) phase: Phase,
    /// Since the engines started.
    pub(crate) uptime: Duration,
    /// How the message log stands, once there was one.
    pub(crate) message_log: Option<LogFigures>,
    /// How many engines there are.
    pub(crate) cores: u16,
    /// Those that answered in time.
    pub(crate) reports: Vec<CoreReport>,
    /// How new connections are spread, where that goes by buckets.
    pub(crate) balance: Option<Balance>,
    /// The details that the reports have.
    pub(crate) wanted: Wanted,
}

/// How new connections are spread over the engines.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    /// Which engine gets the connections of each bucket.
    pub(crate) table: Arc<IndirectionTable>,
    /// Whether the control core rewrites it.
    pub(crate) is_automatic: bool,
    /// The load of each engine in percent of the mean, where it was looked at and there was any.
    pub(crate) loads: Vec<Option<u64>>,
    /// How often the table was rewritten.
    pub(crate) rewrites: u64,
    /// How many buckets were moved by that.
    pub(crate) moved_buckets: u64,
    /// How long ago the last rewrite was.
    pub(crate) since_rewrite: Option<Duration>,
}

impl Snapshot {
    /// What the engines say of a server.
    pub(crate) fn reports_of(&self, ServerIndex(server): ServerIndex) -> impl Iterator<Item = &ServerReport> {
        let engines = self.reports.iter().map(|report| &report.engine);
        engines.filter_map(move |engine| engine.servers.get(usize::from(server)))
    }

    /// Whether a server has a bound session on some core.
    pub(crate) fn is_server_bound(&self, server: ServerIndex) -> bool {
        self.reports_of(server).any(|report| report.bound_sessions > 0)
    }

    /// Whether an operator drains a server.
    pub(crate) fn is_server_draining(&self, server: ServerIndex) -> bool {
        self.reports_of(server).any(|report| report.is_draining)
    }
}

#[cfg(test)]
impl Snapshot {
    /// What a serving process would give whose configuration is `text`, but for the first servers, which are retired.
    pub(crate) fn of(text: &str, retired: u16, reports: Vec<smppmux_engine::core::report::Report>) -> Self {
        let (configuration, problems) = crate::config::Configuration::parse(text).expect("this is TOML");
        let settled = crate::config::settle(&configuration, problems, &[0, 1]);
        let settings = settled.effective.expect("it is right").settings;
        let settings = Arc::into_inner(settings).expect("nobody else has them");
        let reports = reports.into_iter().map(|engine| CoreReport {
            engine,
            ..CoreReport::default()
        });
        let reports: Vec<_> = reports.collect();
        Self {
            settings: Arc::new(settings.with_retired((0..retired).map(ServerIndex).collect(), vec![])),
            listening: Vec::new(),
            phase: Phase::Serving,
            uptime: Duration::ZERO,
            message_log: None,
            cores: u16::try_from(reports.len()).unwrap_or(u16::MAX),
            reports,
            balance: None,
            wanted: Wanted::default(),
        }
    }
}

/// What smppmux is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Its servers are not bound yet, and there was not time enough.
    Starting,
    /// It serves.
    Serving,
    /// It ends: no new sessions and requests.
    Draining,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        })
    }
}

/// The caller's end.
#[derive(Clone, Debug)]
pub(crate) struct ControlHandle {
    calls: SyncSender<Call>,
    waker: EventWaker,
    store: Option<StoreControl>,
}

/// The control core has too much to do, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer;

impl ControlHandle {
    /// The figures of all engines, at most a moment old, with at least these details.
    pub(crate) async fn snapshot(&self, wanted: Wanted) -> Result<Arc<Snapshot>, NoAnswer> {
        self.ask(|reply| Call::Snapshot(wanted, reply)).await
    }

    /// Has something changed.
    pub(crate) async fn order(&self, order: Order) -> Result<Result<String, Refusal>, NoAnswer> {
        self.ask(|reply| Call::Order(order, reply)).await
    }

    /// Begins a trace.
    pub(crate) async fn trace(
        &self,
        of: TraceOf,
        limit: Duration,
    ) -> Result<Result<mpsc::Receiver<Traced>, Refusal>, NoAnswer> {
        self.ask(|reply| Call::Trace(of, limit, reply)).await
    }

    /// The queue's store, which answers by itself; `None` when nothing is queued.
    pub(crate) fn store(&self) -> Option<StoreControl> {
        self.store.clone()
    }

    async fn ask<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.calls.try_send(call(reply)).map_err(|_| NoAnswer)?;
        self.waker.wake();
        match tokio::time::timeout(CALL_LIMIT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(NoAnswer),
        }
    }
}

/// A mailbox for calls; the control core takes them out when `waker` has woken it.
pub(crate) fn call_channel(
    waker: EventWaker,
    store: Option<StoreControl>,
) -> (ControlHandle, Receiver<Call>) {
    let (calls, receiver) = sync_channel(CALLS_MAX);
    (ControlHandle { calls, waker, store }, receiver)
}
