//! The calls: one file for each group, with the shape of its answers and how they are made of a snapshot.
//!
//! A handler and its description are one item (`#[utoipa::path]`), and [`router_and_description`] makes the routes and the
//! OpenAPI description of the same list: neither can have what the other lacks.

mod access;
pub(crate) mod change;
pub(crate) mod clients;
pub(crate) mod cores;
mod description;
mod events;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod pools;
pub(crate) mod problem;
pub(crate) mod queue;
mod route;
pub(crate) mod servers;
pub(crate) mod status;
pub(crate) mod trace;

use super::control::ControlHandle;
use super::live::Feed;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use description::Description;
use problem::Problem;
use utoipa::{Modify as _, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every handler gets.
#[derive(Clone, Debug)]
pub(crate) struct ApiState {
    /// The way to the control core.
    pub(crate) control: ControlHandle,
    /// The figures of every second.
    pub(crate) feed: Feed,
}

/// The routes and their description.
pub(crate) fn router_and_description() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(status::status))
        .routes(routes!(servers::servers))
        .routes(routes!(clients::clients))
        .routes(routes!(pools::pools))
        .routes(routes!(cores::cores))
        .routes(routes!(events::events))
        .routes(routes!(access::access, access::try_access))
        .routes(routes!(route::route))
        .routes(routes!(queue::queue))
        .routes(routes!(queue::dead_letters))
        .routes(routes!(queue::redrive))
        .routes(routes!(queue::purge_dead_letters))
        .routes(routes!(queue::purge))
        .routes(routes!(change::drain))
        .routes(routes!(change::reload))
        .routes(routes!(change::drain_server))
        .routes(routes!(change::undrain_server))
        .routes(routes!(change::set_weight))
        .routes(routes!(change::drain_client))
        .routes(routes!(change::undrain_client))
        .routes(routes!(trace::trace_server))
        .routes(routes!(trace::trace_client))
        .split_for_parts();
    Description.modify(&mut description);
    let served = description.to_pretty_json().unwrap_or_default();
    let serve_description =
        move || std::future::ready(([(CONTENT_TYPE, "application/json")], served.clone()));
    let router = router
        .route("/api/v1/openapi.json", get(serve_description))
        .fallback(|| std::future::ready(Problem::not_found("there is nothing here")))
        .method_not_allowed_fallback(|| std::future::ready(Problem::method_not_allowed()));
    (router, description)
}
