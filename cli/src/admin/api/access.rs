//! `/api/v1/access`: whether changes are possible by this door, so that a page can say so before somebody tries.

use super::change::Changed;
use super::problem::NoParameters;
use crate::admin::access::Door;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What this door asks of who wants to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Access {
    /// What changes need.
    pub(crate) changes: Changes,
}

/// What changes need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Changes {
    /// Nothing more: this is the control socket.
    Allowed,
    /// The token.
    Token,
    /// There are none by this door: no token is configured.
    Refused,
}

/// What changes need by this door.
#[utoipa::path(
    get, path = "/api/v1/access", tag = "figures",
    responses((status = OK, body = Access))
)]
pub(super) async fn access(Extension(door): Extension<Door>, _: NoParameters) -> Json<Access> {
    let changes = match door {
        Door::Socket => Changes::Allowed,
        Door::Tcp { token: Some(_) } => Changes::Token,
        Door::Tcp { token: None } => Changes::Refused,
    };
    Json(Access { changes })
}

/// Whether changes would be taken, with this token. Changes nothing.
#[utoipa::path(
    post, path = "/api/v1/access", tag = "changes",
    responses((status = OK, body = Changed))
)]
pub(super) async fn try_access(_: NoParameters) -> Json<Changed> {
    // The guard has let it pass.
    let done = "changes are taken".into();
    Json(Changed { done })
}
