//! Notices of the engines as log lines, so many of each kind in a second and no more.
//!
//! A client that reconnects in a circle must not fill the disk. What is left out is counted and told.

use smppmux_engine::core::contract::{CloseReason, ClosedBy, CoreIndex, Notice};
use smppmux_engine::core::settings::{ServerIndex, Settings, VserverIndex};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Lines of one kind in one second at most.
const LINES_PER_SECOND_MAX: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of notices that are counted apart.
const KINDS: [&str; 6] = [
    "server bound",
    "server lost",
    "server refused bind",
    "client bound",
    "client refused",
    "client lost",
];

/// Writes notices to the log.
#[derive(Debug)]
pub(super) struct NoticeLog {
    settings: Arc<Settings>,
    second_start: Instant,
    counts: [u32; KINDS.len()],
}

impl NoticeLog {
    /// A log for engines with these settings.
    pub(super) fn new(settings: Arc<Settings>, now: Instant) -> Self {
        Self {
            settings,
            second_start: now,
            counts: [0; KINDS.len()],
        }
    }

    /// Logs a notice, unless there were too many of its kind in this second.
    pub(super) fn log(&mut self, now: Instant, core: CoreIndex, notice: &Notice) {
        self.turn_second(now);
        let count = &mut self.counts[kind(notice)];
        *count += 1;
        if *count <= LINES_PER_SECOND_MAX {
            self.write(core.0, notice);
        }
    }

    /// Tells what was left out, once a second.
    pub(super) fn turn_second(&mut self, now: Instant) {
        if now.duration_since(self.second_start) < SECOND {
            return;
        }
        self.second_start = now;
        for (kind, count) in KINDS.iter().zip(std::mem::take(&mut self.counts)) {
            if let Some(left_out) = count.checked_sub(LINES_PER_SECOND_MAX + 1) {
                warn!(kind, lines = left_out + 1, "lines left out of the log");
            }
        }
    }

    fn write(&self, core: u16, notice: &Notice) {
        match notice {
            Notice::ServerBound { server } => info!(core, server = self.server(*server), "server bound"),
            Notice::ServerLost {
                server,
                reason,
                retry_after,
            } => {
                let server = self.server(*server);
                warn!(core, server, reason = %words(*reason), retry_after_ms = milliseconds(*retry_after), "server lost");
            }
            Notice::ServerRefusedBind {
                server,
                status,
                retry_after,
            } => {
                let server = self.server(*server);
                warn!(core, server, %status, retry_after_ms = milliseconds(*retry_after), "server refused our bind");
            }
            Notice::ClientBound {
                vserver,
                system_id,
                bind,
            } => info!(core, vserver = self.vserver(*vserver), system_id, %bind, "client bound"),
            Notice::ClientRefused {
                vserver,
                system_id,
                status,
            } => warn!(core, vserver = self.vserver(*vserver), system_id, %status, "client refused"),
            Notice::ClientLost {
                vserver,
                system_id,
                reason,
            } => {
                let vserver = self.vserver(*vserver);
                info!(core, vserver, system_id, reason = %words(*reason), "client gone");
            }
        }
    }

    fn server(&self, server: ServerIndex) -> &str {
        self.settings
            .servers
            .get(usize::from(server.0))
            .map_or("?", |server| &server.name)
    }

    fn vserver(&self, vserver: VserverIndex) -> &str {
        self.settings
            .vservers
            .get(usize::from(vserver.0))
            .map_or("?", |vserver| &vserver.name)
    }
}

const fn kind(notice: &Notice) -> usize {
    match notice {
        Notice::ServerBound { .. } => 0,
        Notice::ServerLost { .. } => 1,
        Notice::ServerRefusedBind { .. } => 2,
        Notice::ClientBound { .. } => 3,
        Notice::ClientRefused { .. } => 4,
        Notice::ClientLost { .. } => 5,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a session ended, for people.
fn words(reason: CloseReason) -> String {
    match reason {
        CloseReason::PeerUnbound => "the peer unbound".into(),
        CloseReason::Connection(ClosedBy::PeerClosed) => "the peer closed the connection".into(),
        CloseReason::Connection(ClosedBy::Error(error)) => format!("the connection broke: {error}"),
        CloseReason::Connection(ClosedBy::ConnectFailed(error)) => format!("cannot connect: {error}"),
        CloseReason::BadCommandLength { command_length } => {
            format!("impossible command_length {command_length}")
        }
        CloseReason::BindTimeout => "no bind came in time".into(),
        CloseReason::BindRefused(status) => format!("the bind was refused with {status}"),
        CloseReason::EnquireLinkTimeout => "enquire_links went unanswered".into(),
        CloseReason::OutputFull => "the peer does not read what it is sent".into(),
        CloseReason::ProtocolViolations => "the peer kept breaking the protocol".into(),
        CloseReason::WeUnbound => "we unbound".into(),
        CloseReason::AllServersDown => "all servers are down".into(),
    }
}
