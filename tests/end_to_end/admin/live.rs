//! The events of every second, and the page that shows them.

use super::{Administered, TOKEN};
use serde_json::Value;
use smppmux_engine::core::wire::Status;
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::http::{Answer, call, call_socket};
use smppmux_tests::smsc::AnsweringSmsc;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// Who may watch at once.
const WATCHERS_MAX: usize = 32;

fn configuration(smsc: &AnsweringSmsc) -> Configuration {
    Configuration::with_engines(2)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "")
}

/// The events of a finished answer, as name and data. Between them are the heads of HTTP's chunks, which are no lines of ours.
fn events(answer: &Answer) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    let mut name = "";
    for line in answer.body.lines() {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event;
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((name.to_owned(), serde_json::from_str(data).expect("JSON")));
        }
    }
    events
}

/// Goal: events have the figures of the API and the rates of the second between them, and the next watcher gets the history.
#[test]
fn events_are_the_figures_of_every_second() {
    const MESSAGES: u64 = 30;
    let smsc = AnsweringSmsc::start("smsc-a");
    let mut administered = Administered::start(&configuration(&smsc));
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    let address = administered.address;
    let watching = thread::spawn(move || call(address, "GET", "/api/v1/events?count=4", &[]));
    thread::sleep(Duration::from_millis(1500));
    for _ in 0..MESSAGES {
        assert_eq!(esme.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
    let answer = watching.join().expect("it ends");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .to_lowercase()
            .contains("content-type: text/event-stream"),
        "{}",
        answer.head
    );
    let events = events(&answer);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["history", "live", "live", "live", "live"]);
    // An engine of a busy machine that does not answer in time is missing in that event, so one of them must be right.
    let is_right = |live: &Value| {
        live["servers"][0]["requests"] == MESSAGES
            && live["clients"][0]["requests"] == MESSAGES
            && live["status"]["client_sessions"] == 1
            && live["flows"]["servers"][0]["name"] == "smsc-a"
    };
    assert!(events[1..].iter().any(|(_, live)| is_right(live)), "{events:#?}");
    let sum_of = |field: &str| -> f64 {
        let of = |point: &Value| Some(point[field].as_f64()? * point["seconds"].as_f64()?);
        events[1..]
            .iter()
            .filter_map(|(_, live)| of(&live["point"]))
            .sum()
    };
    let counted = sum_of("client_requests_per_second");
    assert!(
        counted > 0.0 && counted < MESSAGES as f64 + 0.5,
        "rates by time are messages: {counted}"
    );
    assert!(
        events[1..]
            .iter()
            .any(|(_, live)| live["servers"][0]["response_seconds_p50"].is_f64())
    );
    let again = call(address, "GET", "/api/v1/events?count=1", &[]);
    let history = &self::events(&again)[0].1["points"];
    assert!(
        history.as_array().is_some_and(|points| points.len() >= 3),
        "{history}"
    );
}

/// Goal: so many may watch and no more; who has gone makes room.
#[test]
fn watchers_are_bounded() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let administered = Administered::start(&configuration(&smsc));
    let watch = || {
        let mut stream = TcpStream::connect(administered.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
            .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("it is read");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        (stream, status == *b"HTTP/1.1 200")
    };
    let watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| watch()).collect();
    assert!(watchers.iter().all(|(_, is_taken)| *is_taken));
    let refused = administered.get("/api/v1/events");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"], "too many watch already");
    drop(watchers);
    let end = Instant::now() + PATIENCE;
    while administered.get("/api/v1/events?count=0").status != 200 {
        assert!(Instant::now() < end, "there is room again");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Goal: each door says what changes need there, and a token can be tried without a change.
#[test]
fn doors_say_what_changes_need() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let administered = Administered::start(&configuration(&smsc));
    assert_eq!(administered.get("/api/v1/access").json()["changes"], "token");
    let socket = administered.socket();
    assert_eq!(
        call_socket(&socket, "GET", "/api/v1/access").json()["changes"],
        "allowed"
    );
    let with = |token: &str| {
        let header = format!("Authorization: Bearer {token}");
        call(administered.address, "POST", "/api/v1/access", &[&header]).status
    };
    assert_eq!((with("wrong"), with(TOKEN)), (401, 200));
}

/// Goal: the page and all that it needs come from the program, with a policy that lets nothing else in.
#[test]
fn the_page_comes_from_the_program() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let administered = Administered::start(&configuration(&smsc));
    let page = administered.get("/");
    assert_eq!(page.status, 200);
    let named = page
        .body
        .split('"')
        .filter(|text| text.starts_with("/dashboard/"));
    let named: Vec<&str> = named.collect();
    assert!(named.len() >= 4, "{named:?}");
    for answer in named
        .iter()
        .map(|path| administered.get(path))
        .chain([page.clone()])
    {
        assert_eq!(answer.status, 200);
        let head = answer.head.to_lowercase();
        for line in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
        ] {
            assert!(head.contains(line), "{line}: {head}");
        }
        assert!(head.contains("frame-ancestors 'none'") && !head.contains("unsafe"));
    }
    assert_eq!(administered.get("/dashboard/nothing.js").status, 404);
}
