//! The frame of the OpenAPI description, and the answers that follow from what a call is and not from what it does.

use super::problem::ProblemBody;
use crate::admin::access::is_guarded;
use axum::http::{Method, StatusCode};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, ResponseBuilder};
use utoipa::{Modify, ToSchema as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "smppmux",
        description = "Health and control of a running smppmux. Every GET is open; what changes something is served on the \
                       control socket, or with the token of `token-file` as `Authorization: Bearer TOKEN`. Counters run \
                       from the start of the process.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemBody))
)]
pub(super) struct Description;

impl Modify for Description {
    /// Adds what every call can answer, what every call can that looks at its parameters, and what the guard answers to changes.
    fn modify(&self, description: &mut OpenApi) {
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in [
                (Method::GET, &mut item.get),
                (Method::POST, &mut item.post),
                (Method::PUT, &mut item.put),
                (Method::PATCH, &mut item.patch),
                (Method::DELETE, &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    complete(operation, path, &method);
                }
            }
        }
    }
}

fn complete(operation: &mut Operation, path: &str, method: &Method) {
    let unavailable = "The control core does not answer: it is busy, or smppmux is ending";
    add(operation, StatusCode::SERVICE_UNAVAILABLE, unavailable);
    // Whatever asks for health and metrics may bring parameters of its own; all else takes those that it knows.
    if path.starts_with("/api/") {
        add(
            operation,
            StatusCode::BAD_REQUEST,
            "What is asked is not understood; how",
        );
    }
    if is_guarded(method) {
        let unauthorized = "This door needs the token, and it is missing or wrong";
        add(operation, StatusCode::UNAUTHORIZED, unauthorized);
        add(operation, StatusCode::FORBIDDEN, "This door takes no changes");
    }
}

/// What the call says of such an answer itself goes before.
fn add(operation: &mut Operation, status: StatusCode, words: &str) {
    let answers = &mut operation.responses.responses;
    answers.entry(status.as_str().to_owned()).or_insert_with(|| {
        let body = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
        let answer = ResponseBuilder::new().description(words);
        answer.content("application/json", body).build().into()
    });
}
