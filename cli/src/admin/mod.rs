//! The admin interface: metrics, health and control over HTTP, on a TCP address and on a Unix socket.
//!
//! It runs on a thread of its own, so that a slow reader or a large answer delays neither an engine nor the control core. It
//! owns no state: whatever it shows or changes it asks of the control core (`control`), which speaks to the engines by
//! messages. `docs/ARCHITECTURE.md` says how a call is added.
//!
//! Invariants:
//! - A call that changes something is served on the Unix socket, or with the token (`access`).
//! - Connections, headers, bodies and the time of a call are bounded.
//! - No password is ever shown, and the content of messages only by a trace, which is guarded like a change.

mod access;
pub(crate) mod api;
pub(crate) mod control;
mod dashboard;
mod doors;
pub(crate) mod live;
mod metrics;
mod serve;
mod token;
pub(crate) mod trace;

pub(crate) use doors::{Doors, SocketFileGuard, open_doors};

/// The description of the interface by OpenAPI 3.1, as it is served at `/api/v1/openapi.json` and committed as
/// `docs/openapi.json`.
pub fn openapi_json() -> String {
    let (_, description) = api::router_and_description();
    // Plain data without maps of odd keys: it can always be written.
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
