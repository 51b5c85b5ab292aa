//! `/api/v1/status`: the whole at a glance.

use super::ApiState;
use super::health::obstacle;
use super::problem::{NoParameters, Problem};
use crate::admin::control::{Phase, Snapshot};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::{Counters, Wanted};
use std::net::SocketAddr;
use utoipa::ToSchema;

/// The whole at a glance, over all cores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    /// Version of smppmux.
    pub(crate) version: String,
    /// What it is doing.
    pub(crate) phase: Phase,
    /// Why new clients are not welcome; none when they are.
    pub(crate) not_ready: Option<String>,
    /// Seconds since the engines started.
    pub(crate) uptime_seconds: f64,
    /// Packet engines.
    pub(crate) cores: u64,
    /// Engines that answered in time.
    pub(crate) cores_answering: u64,
    /// Where it listens.
    pub(crate) vservers: Vec<VserverStatus>,
    /// Configured servers.
    pub(crate) servers: u64,
    /// Servers with a bound session on some core.
    pub(crate) servers_bound: u64,
    /// Configured accounts.
    pub(crate) clients: u64,
    /// Connections from clients, bound or not.
    pub(crate) client_connections: u64,
    /// Bound sessions of clients.
    pub(crate) client_sessions: u64,
    /// Requests of clients that wait in a hold.
    pub(crate) held_requests: u64,
    /// Events since the start.
    pub(crate) counters: StatusCounters,
}

/// A vserver and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct VserverStatus {
    /// Its name.
    pub(crate) name: String,
    /// Its addresses.
    pub(crate) listen: Vec<String>,
    /// The names of its servers.
    pub(crate) servers: Vec<String>,
}

/// Events since the start, over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct StatusCounters {
    /// Requests from clients that a server must answer.
    pub(crate) client_requests: u64,
    /// Answers to those.
    pub(crate) client_answers: u64,
    /// Answers among them that smppmux made itself.
    pub(crate) client_answers_own: u64,
    /// deliver_sm and data_sm from servers.
    pub(crate) mobile_originated: u64,
    /// Answers to those.
    pub(crate) mobile_originated_answers: u64,
    /// Answers among them that smppmux made itself.
    pub(crate) mobile_originated_answers_own: u64,
    /// Requests answered ESME_RTHROTTLED.
    pub(crate) throttled: u64,
    /// Requests that the far side did not answer in time.
    pub(crate) timeouts: u64,
    /// Answers that came after their request's timeout.
    pub(crate) late_answers: u64,
    /// Answers that match no request.
    pub(crate) unmatched_answers: u64,
    /// PDUs that broke a rule.
    pub(crate) violations: u64,
    /// Binds of clients that were accepted.
    pub(crate) binds_accepted: u64,
    /// Binds of clients that were refused.
    pub(crate) binds_refused: u64,
}

/// The whole at a glance.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "figures",
    responses((status = OK, body = Status))
)]
pub(super) async fn status(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Status>, Problem> {
    Ok(Json(Status::of(
        &*state.control.snapshot(Wanted::default()).await?,
    )))
}

impl Status {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let engines = || snapshot.reports.iter().map(|report| &report.engine);
        let settings = &snapshot.settings;
        let servers = settings.configured_servers();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            phase: snapshot.phase,
            not_ready: obstacle(snapshot),
            uptime_seconds: snapshot.uptime.as_secs_f64(),
            cores: snapshot.cores.into(),
            cores_answering: snapshot.reports.len() as u64,
            vservers: vservers(snapshot),
            servers: servers.clone().count() as u64,
            servers_bound: servers
                .filter(|(server, _)| snapshot.is_server_bound(*server))
                .count() as u64,
            clients: settings.accounts() as u64,
            client_connections: engines().map(|engine| engine.client_connections).sum(),
            client_sessions: engines().map(|engine| engine.client_sessions).sum(),
            held_requests: engines().map(|engine| engine.held_requests).sum(),
            counters: engines()
                .map(|engine| &engine.counters)
                .fold(StatusCounters::default(), StatusCounters::plus),
        }
    }
}

impl StatusCounters {
    fn plus(self, core: &Counters) -> Self {
        Self {
            client_requests: self.client_requests + core.client_requests,
            client_answers: self.client_answers + core.client_answers,
            client_answers_own: self.client_answers_own + core.client_answers_own,
            mobile_originated: self.mobile_originated + core.mobile_originated,
            mobile_originated_answers: self.mobile_originated_answers + core.mobile_originated_answers,
            mobile_originated_answers_own: self.mobile_originated_answers_own
                + core.mobile_originated_answers_own,
            throttled: self.throttled + core.throttled,
            timeouts: self.timeouts + core.timeouts,
            late_answers: self.late_answers + core.late_answers,
            unmatched_answers: self.unmatched_answers + core.unmatched_answers,
            violations: self.violations + core.violations,
            binds_accepted: self.binds_accepted + core.binds_accepted,
            binds_refused: self.binds_refused + core.binds_refused,
        }
    }
}

fn vservers(snapshot: &Snapshot) -> Vec<VserverStatus> {
    let settings = &snapshot.settings;
    let of = |(index, vserver): (u16, &smppmux_engine::core::settings::VserverSettings)| {
        let listening = snapshot
            .listening
            .iter()
            .filter(|listening| listening.vserver.0 == index);
        let servers = vserver
            .servers
            .iter()
            .filter_map(|server| settings.servers.get(usize::from(server.0)));
        VserverStatus {
            name: vserver.name.clone(),
            listen: listening
                .map(|listening| SocketAddr::to_string(&listening.address))
                .collect(),
            servers: servers.map(|server| server.name.clone()).collect(),
        }
    };
    (0..).zip(&settings.vservers).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use smppmux_engine::core::report::{Report, ServerReport};
    use smppmux_engine::core::settings::ServerIndex;

    /// Goal: a server that was removed and still has a session is none that could take a message.
    #[test]
    fn retired_servers_are_not_counted() {
        let server = |name: &str, uid: &str| {
            format!(
                "[[server]]\nname = \"{name}\"\nuid = \"{uid}\"\naddress = \"h:1\"\nsystem-id = \"m\"\npassword = \"x\"\n"
            )
        };
        let text = "[[vserver]]\nname = \"v\"\nlisten = [\"127.0.0.1:2775\"]\n".to_owned()
            + &server("gone", "0A")
            + &server("left", "0B");
        let with_sessions = |sessions: [u64; 2]| Report {
            servers: (0..)
                .map(ServerIndex)
                .zip(sessions)
                .map(|(server, bound_sessions)| ServerReport {
                    server,
                    bound_sessions,
                    ..ServerReport::default()
                })
                .collect(),
            ..Report::default()
        };
        for (sessions, bound, not_ready) in [
            ([[1, 0], [0, 0]], 0, Some("no server is bound")),
            ([[1, 0], [0, 1]], 1, None),
        ] {
            let snapshot = Snapshot::of(&text, 1, sessions.map(with_sessions).to_vec());
            let status = Status::of(&snapshot);
            assert_eq!((status.servers, status.servers_bound), (1, bound));
            assert_eq!(status.not_ready.as_deref(), not_ready);
        }
    }
}
