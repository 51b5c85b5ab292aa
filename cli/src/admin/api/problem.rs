//! What a call that fails answers, and taking apart a request so that what is wrong with it is answered like that.

use crate::admin::control::{NoAnswer, Refusal};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// In words.
    pub(crate) error: String,
}

/// A failed call: its status and its words.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
        }
    }

    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not take this method",
        )
    }
}

/// A part of the request, such as `Asked<Query<…>>`: one that is not as it must be fails the call with a [`Problem`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<E>(pub(crate) E);

impl<S: Send + Sync, E: FromRequestParts<S, Rejection: Into<Problem>>> FromRequestParts<S> for Asked<E> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        E::from_request_parts(parts, state)
            .await
            .map(Self)
            .map_err(Into::into)
    }
}

impl<S: Send + Sync, E: FromRequest<S, Rejection: Into<Problem>>> FromRequest<S> for Asked<E> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        E::from_request(request, state)
            .await
            .map(Self)
            .map_err(Into::into)
    }
}

/// A part of every call that has no parameters: one that is given all the same fails the call, for whoever gave it meant something
/// else than what the call would do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(query) => Err(Problem::bad_request(format!(
                "this call takes no parameters: `{query}`"
            ))),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<NoAnswer> for Problem {
    fn from(NoAnswer: NoAnswer) -> Self {
        let error = "the control core does not answer: it is busy, or smppmux is ending";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotNow(error) => Self::new(StatusCode::CONFLICT, error),
            Refusal::NoSuchThing(error) => Self::not_found(error),
            Refusal::Wrong(error) => Self::bad_request(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(ProblemBody { error: self.error })).into_response()
    }
}
