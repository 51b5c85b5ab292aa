//! Who may change something: whoever can open the control socket, and whoever has the token.

use super::api::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use smppmux_engine::core::secret::Secret;
use std::sync::Arc;

/// How a connection came in.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// By the Unix socket: the file's permissions have decided.
    Socket,
    /// By TCP, from anywhere.
    Tcp {
        /// What a change must show. Without one there are no changes by this door.
        token: Option<Arc<Secret>>,
    },
}

/// Whether a call by this method changes something, and so is not for everybody.
pub(super) fn is_guarded(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Lets reading pass, and changes of those who may.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(door.clone());
    let Door::Tcp { token } = &door else {
        return next.run(request).await;
    };
    if !is_guarded(request.method()) {
        return next.run(request).await;
    }
    let Some(token) = token else {
        let words = "changes need the control socket, or a token (`token-file` in [admin])";
        return Problem::new(StatusCode::FORBIDDEN, words).into_response();
    };
    if shown_token(&request).is_some_and(|shown| token.matches(shown)) {
        next.run(request).await
    } else {
        let words = "changes need the token: Authorization: Bearer TOKEN";
        let mut response = Problem::new(StatusCode::UNAUTHORIZED, words).into_response();
        let scheme = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        response
    }
}

/// The credentials of RFC 6750 section 2.1. The scheme's letter case does not matter (RFC 9110 section 11.1).
fn shown_token(request: &Request) -> Option<&[u8]> {
    let credentials = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
