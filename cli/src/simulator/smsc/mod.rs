//! `smppmux smsc`: a simulated message centre that answers, delivers, injects faults, and checks what it is sent.
//!
//! [`SmscSimulator::start`] runs it on threads of its own; the handle tells its addresses, shows live figures, and joins
//! into an [`SmscReport`]. The command line is [`SmscArguments`] and [`run_smsc`].

mod accounts;
mod ancillary;
mod answer;
mod arguments;
mod bind;
mod centre;
mod choice;
mod counts;
mod deliver;
mod lifecycle;
mod message_id;
mod mobile_originated;
mod receipt;
mod report;
mod sequence_check;
mod session;
mod store;
mod submit;
#[cfg(test)]
mod tests;

pub use arguments::SmscArguments;
pub use choice::{
    Account, FinalState, MessageIdFormat, MobileOriginated, ReceiptForm, ReceiptIdFormat, ReceiptSession,
};
pub use counts::SessionCounts;
pub use report::{SessionReport, SmscReport};

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::channel::Channel;
use super::connection::drive;
use super::control::Snapshot;
use super::latency::Recorded;
use super::progress::{self, Simulator};
use super::value::micros;
use centre::Centre;
use session::SmscSession;

/// How often a thread looks at the wish to stop, and for its sessions to end.
const STOP_TICK: Duration = Duration::from_millis(20);
/// Pause after the operating system refused a connection (too many open files), so that it is not asked in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 4096;

/// Starts a simulated message centre.
#[derive(Debug)]
pub struct SmscSimulator;

/// A simulated message centre that runs. Dropping it leaves it running; [`Self::stop`] and [`Self::join`] end it.
pub struct SmscHandle {
    centre: Arc<Centre>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

impl SmscSimulator {
    /// Checks the arguments, listens, and starts.
    ///
    /// # Errors
    /// `InvalidInput` with a sentence on the argument at fault, or what the operating system says about addresses.
    pub fn start(arguments: SmscArguments) -> io::Result<SmscHandle> {
        let centre =
            Centre::new(arguments).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let centre = Arc::new(centre);
        let listeners = centre.arguments.listen.iter().map(|address| listen(*address));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners
            .iter()
            .map(std::net::TcpListener::local_addr)
            .collect::<io::Result<_>>()?;
        let threads =
            (0..usize::from(centre.arguments.threads)).map(|thread| spawn(&centre, &listeners, thread));
        Ok(SmscHandle {
            threads: threads.collect::<io::Result<_>>()?,
            addresses,
            centre,
        })
    }
}

impl SmscHandle {
    /// Where it listens, in the order of the arguments.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A look at the counters; `sent` and `answered` are MO, response times are those since the last look.
    pub fn snapshot(&self) -> Snapshot {
        self.centre.shared.snapshot()
    }

    /// The same, with the response times added to those of other simulators.
    pub(crate) fn snapshot_into(&self, total: &mut Recorded) -> Snapshot {
        self.centre.shared.snapshot_into(total)
    }

    /// Lets MO go that [`SmscArguments::mo_held`] held back.
    pub fn release_mobile_originated(&self) {
        self.centre
            .start_mobile_originated(self.centre.shared.clock.now_us());
    }

    /// Bound sessions that receive.
    pub fn receiving_sessions(&self) -> u32 {
        self.centre.receiving.load(Ordering::Relaxed)
    }

    /// Ends MO; answers and receipts go on.
    pub fn stop_sending(&self) {
        self.centre.shared.stop_sending();
    }

    /// Ends the run: no further MO, wait for the answers, unbind, close.
    pub fn stop(&self) {
        self.centre.shared.stop();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end of the run and adds everything up.
    pub fn join(self) -> SmscReport {
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        SmscReport::of(&self.centre)
    }
}

impl Simulator for SmscHandle {
    fn snapshot(&self) -> Snapshot {
        self.centre.shared.snapshot()
    }

    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn stop(&self) {
        self.centre.shared.stop();
    }

    fn expected(&self) -> Option<u64> {
        None
    }
}

/// Runs `smppmux smsc`: progress on standard error, the report on standard output. Exit 0 only if every MO message got its
/// one answer and the clients kept the rules; 64 for arguments that do not fit together, 69 when it cannot listen.
pub fn run_smsc(arguments: SmscArguments) -> ExitCode {
    let (json, quiet) = (arguments.json, arguments.quiet);
    let handle = match SmscSimulator::start(arguments) {
        Ok(handle) => handle,
        Err(error) => return progress::refuse("smsc", &error),
    };
    for address in handle.addresses() {
        progress::say("smsc", &format!("listening on {address}"), quiet);
    }
    progress::watch("smsc", &handle, quiet);
    let report = handle.join();
    progress::print(&report, json);
    report.exit_code()
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP)).map_err(named)?;
    socket.set_reuse_address(true).map_err(named)?;
    socket.bind(&address.into()).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)?;
    socket.set_nonblocking(true).map_err(named)?;
    Ok(socket.into())
}

fn spawn(
    centre: &Arc<Centre>,
    listeners: &[std::net::TcpListener],
    thread: usize,
) -> io::Result<JoinHandle<()>> {
    let centre = Arc::clone(centre);
    let listeners = listeners
        .iter()
        .map(std::net::TcpListener::try_clone)
        .collect::<io::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(format!("smsc-{thread}"))
        .spawn(move || {
            runtime.block_on(async {
                let mut acceptors = Vec::new();
                for listener in listeners {
                    match TcpListener::from_std(listener) {
                        Ok(listener) => {
                            acceptors.push(tokio::spawn(accept(Arc::clone(&centre), listener, thread)));
                        }
                        Err(error) => tracing::error!("listener: {error}"),
                    }
                }
                run_until_stopped(&centre, thread).await;
                acceptors.iter().for_each(tokio::task::JoinHandle::abort);
                drain(&centre, thread).await;
            });
        })
}

async fn run_until_stopped(centre: &Centre, thread: usize) {
    let end_us = centre.arguments.duration.map(micros);
    while !centre.shared.is_stopped() {
        tokio::time::sleep(STOP_TICK).await;
        if thread == 0 && end_us.is_some_and(|end_us| centre.shared.clock.now_us() >= end_us) {
            centre.shared.stop();
        }
    }
}

/// Waits for the sessions of this thread to end; each does so by itself within two response timeouts.
async fn drain(centre: &Centre, thread: usize) {
    while centre.open[thread].load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(STOP_TICK).await;
    }
}

async fn accept(centre: Arc<Centre>, listener: TcpListener, thread: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                centre.open[thread].fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(Arc::clone(&centre), stream, peer, thread));
            }
            Err(error) => {
                tracing::warn!("accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(centre: Arc<Centre>, stream: TcpStream, peer: SocketAddr, thread: usize) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("{peer}: {error}");
    }
    let channel = match &centre.tls {
        Some(config) => Channel::accept(stream, Arc::clone(config)).await,
        None => Ok(Channel::plain(stream)),
    };
    match channel {
        Ok(mut channel) => {
            let mut session = SmscSession::new(Arc::clone(&centre), thread, peer);
            let inbox = Arc::clone(&session.inbox);
            let end = drive(&mut channel, &mut session, centre.shared.clock, &inbox.wake).await;
            tracing::debug!("{peer}: {end}");
            session.handle_closed(&end);
        }
        // Nobody was there who could have bound.
        Err(error) => tracing::debug!("{peer}: {error}"),
    }
    centre.open[thread].fetch_sub(1, Ordering::Relaxed);
}
