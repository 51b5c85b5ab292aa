//! `smppmux esme`: simulated ESMEs that load a message centre and check everything it answers and sends.
//!
//! [`EsmeSimulator::start`] runs them on threads of their own; the handle shows live figures, stops them, and joins them
//! into an [`EsmeReport`]. The command line is [`EsmeArguments`] and [`run_esme`].

mod arguments;
mod counts;
mod lifecycle;
mod plan;
mod receive;
mod report;
mod send;
mod session;
#[cfg(test)]
mod tests;

pub use arguments::{BindKind, EsmeArguments, InterfaceVersion};
pub use counts::ConnectionCounts;
pub use report::EsmeReport;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::channel::Channel;
use super::connection::drive;
use super::control::{Shared, Snapshot};
use super::latency::Recorded;
use super::progress::{self, Simulator};
use plan::Plan;
use session::EsmeSession;

/// The longest that a stopped simulator waits between looks at the wish to stop.
const STOP_TICK: Duration = Duration::from_millis(50);
/// Waiting for a TCP connection is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts simulated ESMEs.
#[derive(Debug)]
pub struct EsmeSimulator;

/// Simulated ESMEs that run. Dropping it leaves them running; [`Self::stop`] and [`Self::join`] end them.
pub struct EsmeHandle {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<EsmeSession>>>,
}

impl EsmeSimulator {
    /// Checks the arguments and starts the connections.
    ///
    /// # Errors
    /// `InvalidInput` with a sentence on the argument at fault, or what the operating system says about threads.
    pub fn start(arguments: EsmeArguments) -> io::Result<EsmeHandle> {
        let plan =
            Plan::new(arguments).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let plan = Arc::new(plan);
        let threads = usize::from(plan.arguments.threads);
        let shared = Arc::new(Shared::new(threads));
        let threads = (0..threads).map(|thread| spawn(&plan, &shared, thread));
        Ok(EsmeHandle {
            threads: threads.collect::<io::Result<_>>()?,
            plan,
            shared,
        })
    }
}

impl EsmeHandle {
    /// A look at the counters; response times are those since the last look.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The same, with the response times added to those of other simulators.
    pub(crate) fn snapshot_into(&self, total: &mut Recorded) -> Snapshot {
        self.shared.snapshot_into(total)
    }

    /// Ends sending; sessions stay bound and go on receiving.
    pub fn stop_sending(&self) {
        self.shared.stop_sending();
    }

    /// Ends the run: no further messages, wait for the answers, unbind, close.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Whether every connection has ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end of the run and adds everything up.
    pub fn join(self) -> EsmeReport {
        let elapsed = self.shared.clock;
        let mut sessions = Vec::new();
        for thread in self.threads {
            match thread.join() {
                Ok(driven) => sessions.extend(driven),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        EsmeReport::of(&self.plan, &self.shared, sessions, elapsed.now_us())
    }
}

impl Simulator for EsmeHandle {
    fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn stop(&self) {
        self.shared.stop();
    }

    fn expected(&self) -> Option<u64> {
        let segments = self.plan.shape.payload.segments() as u64;
        self.plan.arguments.count.map(|count| count * segments)
    }
}

/// Runs `smppmux esme`: progress on standard error, the report on standard output. Exit 0 only if nothing was lost,
/// duplicated or mismatched; 64 for arguments that do not fit together, 69 when nothing could be bound.
pub fn run_esme(arguments: EsmeArguments) -> ExitCode {
    let (json, quiet) = (arguments.json, arguments.quiet);
    let handle = match EsmeSimulator::start(arguments) {
        Ok(handle) => handle,
        Err(error) => return progress::refuse("esme", &error),
    };
    progress::watch("esme", &handle, quiet);
    let report = handle.join();
    progress::print(&report, json);
    report.exit_code()
}

fn spawn(plan: &Arc<Plan>, shared: &Arc<Shared>, thread: usize) -> io::Result<JoinHandle<Vec<EsmeSession>>> {
    let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let threads = usize::from(plan.arguments.threads);
    std::thread::Builder::new()
        .name(format!("esme-{thread}"))
        .spawn(move || {
            runtime.block_on(async {
                let mine =
                    (0..plan.arguments.connections).filter(|index| *index as usize % threads == thread);
                let mut tasks = Vec::new();
                for index in mine {
                    // Every identity was checked when the plan was made.
                    let Ok(identity) = plan.identity(index) else {
                        continue;
                    };
                    let session = EsmeSession::new(Arc::clone(&plan), Arc::clone(&shared), identity, thread);
                    tasks.push(tokio::spawn(run_connection(session)));
                }
                let mut sessions = Vec::with_capacity(tasks.len());
                for task in tasks {
                    match task.await {
                        Ok(session) => sessions.push(session),
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    }
                }
                sessions
            })
        })
}

/// Connects, and connects again, until the session has done everything, gave up, or the run is stopped.
async fn run_connection(mut session: EsmeSession) -> EsmeSession {
    let never = Notify::new();
    let clock = session.shared.clock;
    let mut failures = 0;
    while !session.shared.is_stopped() {
        let bound_before = session.counts.bound;
        match connect(&session.plan, &session.identity.target).await {
            Ok(mut channel) => {
                session.handle_connected(clock.now_us());
                let end = drive(&mut channel, &mut session, clock, &never).await;
                tracing::debug!("connection {}: {end}", session.identity.index + 1);
                session.handle_closed(&end);
            }
            Err(error) => {
                tracing::debug!("connection {}: {error}", session.identity.index + 1);
                session.counts.connect_failures += 1;
            }
        }
        failures = if session.counts.bound > bound_before {
            0
        } else {
            failures + 1
        };
        let gives_up = session.plan.arguments.attempts > 0 && failures >= session.plan.arguments.attempts;
        let pause = session.plan.arguments.reconnect;
        if session.is_finished(clock.now_us()) || gives_up || pause.is_zero() {
            break;
        }
        wait_unless_stopped(&session.shared, pause).await;
    }
    session
}

async fn connect(plan: &Plan, target: &str) -> io::Result<Channel> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await;
    let stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    let Some(tls) = &plan.tls else {
        return Ok(Channel::plain(stream));
    };
    let name = tls.name_for(target).map_err(io::Error::other)?;
    Channel::connect(stream, tls.config(), name).await
}

async fn wait_unless_stopped(shared: &Shared, pause: Duration) {
    let mut left = pause;
    while !left.is_zero() && !shared.is_stopped() {
        let step = left.min(STOP_TICK);
        tokio::time::sleep(step).await;
        left -= step;
    }
}
