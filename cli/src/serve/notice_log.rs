//! Notices of the engines as log lines, so many of each kind in a second and no more.
//!
//! A client that reconnects in a circle must not fill the disk. What is left out is counted and told.

use smppmux_engine::core::contract::{CloseReason, ClosedBy, CoreIndex, Notice, OutbindFault};
use smppmux_engine::core::health::EjectionReason;
use smppmux_engine::core::settings::{ServerIndex, Settings, VserverIndex};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Lines of one kind in one second at most.
const LINES_PER_SECOND_MAX: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of notices that are counted apart.
const KINDS: [&str; 9] = [
    "server bound",
    "server lost",
    "server refused bind",
    "client bound",
    "client refused",
    "client lost",
    "address banned",
    "outbind",
    "server health",
];

/// Writes notices to the log.
#[derive(Debug)]
pub(super) struct NoticeLog {
    settings: Arc<Settings>,
    lines: LinesPerSecond,
}

impl NoticeLog {
    /// A log for engines with these settings.
    pub(super) fn new(settings: Arc<Settings>, now: Instant) -> Self {
        Self {
            settings,
            lines: LinesPerSecond::new(now),
        }
    }

    /// Names come from these settings from now on.
    pub(super) fn use_settings(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Logs a notice, unless there were too many of its kind in this second.
    pub(super) fn log(&mut self, now: Instant, core: CoreIndex, notice: &Notice) {
        self.turn_second(now);
        if self.lines.admit(kind(notice)) {
            self.write(core.0, notice);
        }
    }

    /// Tells what was left out, once a second.
    pub(super) fn turn_second(&mut self, now: Instant) {
        for (kind, lines) in KINDS.iter().zip(self.lines.turn_second(now)) {
            if lines > 0 {
                warn!(kind, lines, "lines left out of the log");
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
            Notice::ServerEjected { .. } | Notice::ServerOnTrial { .. } | Notice::ServerWell { .. } => {
                self.write_health(core, notice);
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
                peer,
                system_id,
                status,
            } => {
                let vserver = self.vserver(*vserver);
                warn!(core, vserver, %peer, system_id, %status, "client refused");
            }
            Notice::ClientLost {
                vserver,
                peer,
                system_id,
                reason,
            } => {
                let vserver = self.vserver(*vserver);
                info!(core, vserver, %peer, system_id, reason = %words(*reason), "client gone");
            }
            Notice::AddressBanned { vserver, peer, ban } => {
                let vserver = self.vserver(*vserver);
                warn!(core, vserver, %peer, ban_ms = milliseconds(*ban), "address banned");
            }
            Notice::OutbindBound { server, peer } => {
                info!(core, server = self.server(*server), %peer, "server bound by outbind");
            }
            Notice::OutbindEnded { server, peer, reason } => {
                let server = self.server(*server);
                info!(core, server, %peer, reason = %words(*reason), "session by outbind over");
            }
            Notice::OutbindRefused {
                server,
                peer,
                fault,
                others,
            } => {
                let server = self.server(*server);
                warn!(core, server, %peer, reason = fault_words(*fault), others, "outbind refused");
            }
            // It is for who asked for it.
            Notice::Traced(_) => {}
        }
    }

    fn write_health(&self, core: u16, notice: &Notice) {
        match notice {
            Notice::ServerEjected {
                server,
                reason,
                lasts,
            } => {
                let (server, reason) = (self.server(*server), ejection_words(*reason));
                warn!(
                    core,
                    server,
                    reason,
                    lasts_ms = milliseconds(*lasts),
                    "server ejected"
                );
            }
            Notice::ServerOnTrial { server } => info!(core, server = self.server(*server), "server on trial"),
            Notice::ServerWell { server } => info!(core, server = self.server(*server), "server well again"),
            _ => {}
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

/// Counts the lines of each kind in the second that runs.
#[derive(Debug)]
struct LinesPerSecond {
    second_start: Instant,
    counts: [u32; KINDS.len()],
}

impl LinesPerSecond {
    const fn new(now: Instant) -> Self {
        Self {
            second_start: now,
            counts: [0; KINDS.len()],
        }
    }

    /// Whether one more line of this kind may be written.
    const fn admit(&mut self, kind: usize) -> bool {
        self.counts[kind] = self.counts[kind].saturating_add(1);
        self.counts[kind] <= LINES_PER_SECOND_MAX
    }

    /// Starts a new second when the old one is over; how many lines of each kind were left out in it.
    fn turn_second(&mut self, now: Instant) -> [u32; KINDS.len()] {
        if now.duration_since(self.second_start) < SECOND {
            return [0; KINDS.len()];
        }
        self.second_start = now;
        std::mem::take(&mut self.counts).map(|count| count.saturating_sub(LINES_PER_SECOND_MAX))
    }
}

const fn kind(notice: &Notice) -> usize {
    match notice {
        Notice::ServerBound { .. } => 0,
        Notice::ServerLost { .. } => 1,
        Notice::ServerRefusedBind { .. } => 2,
        Notice::ClientBound { .. } => 3,
        Notice::ClientRefused { .. } => 4,
        Notice::ClientLost { .. } | Notice::Traced(_) => 5,
        Notice::AddressBanned { .. } => 6,
        Notice::OutbindBound { .. } | Notice::OutbindEnded { .. } | Notice::OutbindRefused { .. } => 7,
        Notice::ServerEjected { .. } | Notice::ServerOnTrial { .. } | Notice::ServerWell { .. } => 8,
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
        CloseReason::OutbindRefused => "the outbind was refused".into(),
    }
}

/// Why a server is left out.
const fn ejection_words(reason: EjectionReason) -> &'static str {
    match reason {
        EjectionReason::Timeouts => "requests in a row had no answer",
        EjectionReason::Errors => "too many of its answers said that it is ill, or did not come",
        EjectionReason::Trial => "it was not well in its trial",
    }
}

/// What is wrong with somebody who comes as a server that opens connections itself.
const fn fault_words(fault: OutbindFault) -> &'static str {
    match fault {
        OutbindFault::Address => "it does not come from outbind-allow",
        OutbindFault::TooMany => "there are outbind-connections of it already",
        OutbindFault::Missing => "no outbind came",
        OutbindFault::Malformed => "the outbind cannot be read",
        OutbindFault::SystemId => "another system_id than outbind-system-id",
        OutbindFault::Password => "another password than outbind-password",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each kind of line has its own bound in each second, and what was left out is known.
    #[test]
    fn lines_are_bounded_by_kind_and_second() {
        let start = Instant::now();
        let mut lines = LinesPerSecond::new(start);
        let admitted = (0..LINES_PER_SECOND_MAX + 5).filter(|_| lines.admit(4)).count();
        assert_eq!(admitted, LINES_PER_SECOND_MAX as usize);
        assert!(lines.admit(0), "another kind");
        assert_eq!(lines.turn_second(start + SECOND / 2), [0; KINDS.len()]);
        assert_eq!(lines.turn_second(start + SECOND), [0, 0, 0, 0, 5, 0, 0, 0, 0]);
        assert!(lines.admit(4), "another second");
    }
}
