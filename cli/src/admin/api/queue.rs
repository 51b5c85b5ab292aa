//! `/api/v1/queue`: what waits for clients, what they refused for good, and what the operator makes of both.
#![allow(
    unused_qualifications,
    reason = "the macro that describes parameters writes them in full"
)]

use super::ApiState;
use super::change::Changed;
use super::problem::{Asked, NoParameters, Problem, ProblemBody};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use smppmux_engine::store::{DeadLetter, LineReport, StoreControl, StoreReport, StoreUnreachable};
use utoipa::{IntoParams, ToSchema};

/// Destinations, or dead letters, that one answer shows at most.
const ROWS_MAX: usize = 1_000;

/// The queue as a whole, and its longest lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Queue {
    /// Messages that wait.
    pub(crate) messages: u64,
    /// Their octets.
    pub(crate) octets: u64,
    /// Destinations that have any.
    pub(crate) destinations: u64,
    /// How long the oldest message has waited.
    pub(crate) oldest_age_seconds: u64,
    /// Messages kept that a client refused for good.
    pub(crate) dead_letters: u64,
    /// Messages taken in.
    pub(crate) stored: u64,
    /// Messages that a client took.
    pub(crate) delivered: u64,
    /// Messages whose time was over.
    pub(crate) expired: u64,
    /// Messages that a client refused for good.
    pub(crate) buried: u64,
    /// Messages that found no room.
    pub(crate) refused: u64,
    /// Nothing can be queued until the file was opened again.
    pub(crate) is_broken: bool,
    /// The longest lines, at most 1000.
    pub(crate) lines: Vec<LineRow>,
}

/// The messages of one destination, or an account's receipts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LineRow {
    /// At which vserver.
    pub(crate) vserver: String,
    /// The address, or the account's system_id.
    pub(crate) destination: String,
    /// Its type of number; none for an account.
    pub(crate) ton: Option<u8>,
    /// Its numbering plan; none for an account.
    pub(crate) npi: Option<u8>,
    /// Messages that wait.
    pub(crate) messages: u64,
    /// Their octets.
    pub(crate) octets: u64,
    /// How long the oldest has waited.
    pub(crate) oldest_age_seconds: u64,
}

/// Messages that a client refused for good, oldest first, at most 1000.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// One for each.
    pub(crate) dead_letters: Vec<DeadLetterRow>,
}

/// A message that a client refused for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetterRow {
    /// Its number, by which it is re-driven.
    pub(crate) number: u64,
    /// At which vserver.
    pub(crate) vserver: String,
    /// The address, or the account's system_id.
    pub(crate) destination: String,
    /// What the client said: the name of the command_status, or its number.
    pub(crate) status: String,
    /// Octets of the PDU.
    pub(crate) octets: u64,
    /// How long ago it was refused.
    pub(crate) age_seconds: u64,
}

/// Which dead letters.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichLetter {
    /// Only those with a higher number are listed; of the changes, the only one that is meant. All without it.
    number: Option<u64>,
}

/// Which messages.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichLine {
    /// Those of this address (or system_id).
    destination: Option<String>,
    /// All; nothing is forgotten without one of the two.
    #[serde(default)]
    all: bool,
}

/// What waits for clients.
#[utoipa::path(
    get, path = "/api/v1/queue", tag = "queue",
    responses((status = OK, body = Queue), (status = NOT_FOUND, body = ProblemBody))
)]
pub(super) async fn queue(State(state): State<ApiState>, _: NoParameters) -> Result<Json<Queue>, Problem> {
    let (report, lines) = ask(&state, |store| Ok((store.report()?, store.lines(ROWS_MAX)?))).await?;
    Ok(Json(Queue::of(&report, lines)))
}

/// Messages that a client refused for good.
#[utoipa::path(
    get, path = "/api/v1/queue/dead-letters", tag = "queue", params(WhichLetter),
    responses((status = OK, body = DeadLetters), (status = NOT_FOUND, body = ProblemBody))
)]
pub(super) async fn dead_letters(
    State(state): State<ApiState>,
    Asked(Query(which)): Asked<Query<WhichLetter>>,
) -> Result<Json<DeadLetters>, Problem> {
    let after = which.number.unwrap_or(0);
    let letters = ask(&state, move |store| store.dead_letters(after, ROWS_MAX)).await?;
    Ok(Json(DeadLetters {
        dead_letters: letters.into_iter().map(DeadLetterRow::of).collect(),
    }))
}

/// Puts dead letters back behind the messages of their destinations: one, or all.
#[utoipa::path(
    post, path = "/api/v1/queue/redrive", tag = "queue", params(WhichLetter),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody))
)]
pub(super) async fn redrive(
    State(state): State<ApiState>,
    Asked(Query(which)): Asked<Query<WhichLetter>>,
) -> Result<Json<Changed>, Problem> {
    let count = ask(&state, move |store| store.redrive(which.number)).await?;
    changed(count, which.number, "put back into the queue")
}

/// Forgets dead letters: one, or all.
#[utoipa::path(
    post, path = "/api/v1/queue/purge-dead-letters", tag = "queue", params(WhichLetter),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody))
)]
pub(super) async fn purge_dead_letters(
    State(state): State<ApiState>,
    Asked(Query(which)): Asked<Query<WhichLetter>>,
) -> Result<Json<Changed>, Problem> {
    let count = ask(&state, move |store| store.purge_dead_letters(which.number)).await?;
    changed(count, which.number, "forgotten")
}

/// Forgets messages that wait: those of one destination, or all. What an engine has loaded may still be delivered.
#[utoipa::path(
    post, path = "/api/v1/queue/purge", tag = "queue", params(WhichLine),
    responses((status = OK, body = Changed), (status = NOT_FOUND, body = ProblemBody))
)]
pub(super) async fn purge(
    State(state): State<ApiState>,
    Asked(Query(which)): Asked<Query<WhichLine>>,
) -> Result<Json<Changed>, Problem> {
    if which.destination.is_some() == which.all {
        let error = "say which messages: `destination=ADDRESS`, or `all=true`";
        return Err(Problem::bad_request(error));
    }
    let count = ask(&state, move |store| store.purge(which.destination.as_deref())).await?;
    changed(count, None, "forgotten")
}

fn changed(count: u64, number: Option<u64>, what: &str) -> Result<Json<Changed>, Problem> {
    match number {
        Some(number) if count == 0 => Err(Problem::not_found(format!("there is no dead letter {number}"))),
        _ => Ok(Json(Changed {
            done: format!("{count} {what}"),
        })),
    }
}

/// The store's figures; `None` where nothing is queued.
pub(super) async fn figures(state: &ApiState) -> Option<Result<StoreReport, StoreUnreachable>> {
    let store = state.control.store()?;
    let answer = tokio::task::spawn_blocking(move || store.report()).await;
    Some(answer.unwrap_or(Err(StoreUnreachable)))
}

/// The store answers behind its next commit, so it is asked on a thread that may wait.
async fn ask<T: Send + 'static>(
    state: &ApiState,
    question: impl FnOnce(&StoreControl) -> Result<T, StoreUnreachable> + Send + 'static,
) -> Result<T, Problem> {
    let Some(store) = state.control.store() else {
        return Err(Problem::not_found(
            "nothing is queued here: `[queue] store` is \"off\"",
        ));
    };
    let answer = tokio::task::spawn_blocking(move || question(&store)).await;
    let unreachable = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, StoreUnreachable.to_string());
    answer.map_err(|_| unreachable())?.map_err(|_| unreachable())
}

impl Queue {
    pub(crate) fn of(report: &StoreReport, lines: Vec<LineReport>) -> Self {
        Self {
            messages: report.messages,
            octets: report.octets,
            destinations: report.lines,
            oldest_age_seconds: report.oldest_age.as_secs(),
            dead_letters: report.dead_letters,
            stored: report.stored,
            delivered: report.delivered,
            expired: report.expired,
            buried: report.buried,
            refused: report.refused,
            is_broken: report.is_broken,
            lines: lines.into_iter().map(LineRow::of).collect(),
        }
    }
}

impl LineRow {
    fn of(line: LineReport) -> Self {
        Self {
            vserver: line.vserver,
            destination: line.name,
            ton: line.numbering.map(|(ton, _)| ton),
            npi: line.numbering.map(|(_, npi)| npi),
            messages: line.messages,
            octets: line.octets,
            oldest_age_seconds: line.oldest_age.as_secs(),
        }
    }
}

impl DeadLetterRow {
    fn of(letter: DeadLetter) -> Self {
        Self {
            number: letter.number,
            vserver: letter.vserver,
            destination: letter.name,
            status: letter.status.to_string(),
            octets: letter.pdu.len() as u64,
            age_seconds: letter.age.as_secs(),
        }
    }
}
