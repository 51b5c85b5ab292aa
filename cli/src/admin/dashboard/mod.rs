//! The dashboard: a page of plain HTML, CSS and modules, built into the program, so that it needs no other host.
//!
//! The page shows what `/api/v1/events` says and orders what the API takes; there is nothing here that the API has not. It may
//! load, and speak with, nothing but the door that it came from (`POLICY`).

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::IntoResponse as _;
use axum::routing::get;

/// No script, style or picture of another place, none written into the page, and no page of others around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the page: path, media type, content.
type Asset = (&'static str, &'static str, &'static str);

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        (
            concat!("/dashboard/", $name),
            $media_type,
            include_str!(concat!("page/", $name)),
        )
    };
}

/// Everything in `page` but the page itself.
const ASSETS: &[Asset] = &[
    asset!("style.css", STYLE),
    asset!("tables.css", STYLE),
    asset!("icon.svg", PICTURE),
    asset!("app.js", SCRIPT),
    asset!("access.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("cores.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("feed.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("orders.js", SCRIPT),
    asset!("overview.js", SCRIPT),
    asset!("parties.js", SCRIPT),
    asset!("queue.js", SCRIPT),
    asset!("search.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("topology.js", SCRIPT),
];

/// The routes of the page, beside those of the API.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new().route("/", get(|| serve(("/", HTML, include_str!("page/index.html")))));
    for asset in ASSETS {
        router = router.route(asset.0, get(|| serve(*asset)));
    }
    router
}

async fn serve((_, media_type, content): Asset) -> impl axum::response::IntoResponse {
    let head: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version may be behind this address a moment later.
        (CACHE_CONTROL, "no-cache"),
    ];
    (head, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Goal: each file of the page is served, and nothing in the page names one that is not, or another host.
    #[test]
    fn the_page_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard/page");
        let files = fs::read_dir(&folder).expect("the folder is there");
        let names: BTreeSet<String> = files
            .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
            .filter(|name| name != "index.html")
            .map(|name| format!("/dashboard/{name}"))
            .collect();
        let served: BTreeSet<String> = ASSETS.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(names, served);
        for name in names.iter().map(String::as_str).chain(["/dashboard/index.html"]) {
            let text = fs::read_to_string(folder.join(&name["/dashboard/".len()..])).expect("text");
            // The name of a namespace is no address, though it looks like one.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{name} names another place");
            for dangerous in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                " style=\"",
            ] {
                assert!(!text.contains(dangerous), "{name}: {dangerous}");
            }
            for quoted in text.split(['"', '\'']) {
                let imported = quoted.strip_prefix("./").map(|file| format!("/dashboard/{file}"));
                let named = imported.or_else(|| quoted.starts_with("/dashboard/").then(|| quoted.to_owned()));
                assert!(
                    named.is_none_or(|path| served.contains(&path)),
                    "{name}: {quoted}"
                );
            }
        }
    }
}
