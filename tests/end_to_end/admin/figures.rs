//! What the interface says is what has happened.

use super::Administered;
use serde_json::Value;
use smppmux_engine::core::wire::Status;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use std::thread;
use std::time::Duration;

/// Longer than figures may be old.
const FRESH: Duration = Duration::from_millis(120);

/// Goal: the figures of status, servers and cores are those of the messages that were sent, and `ctl` shows the same.
#[test]
fn figures_are_those_of_the_messages() {
    const MESSAGES: usize = 20;
    let (one, two) = (AnsweringSmsc::start("smsc-a"), AnsweringSmsc::start("smsc-b"));
    let configuration = Configuration::with_engines(2)
        .server("smsc-a", "0A", one.address(), "weight = 3")
        .server("smsc-b", "0B", two.address(), "priority = 1")
        .client("esme1", "address-ranges = [\"44.*\"]");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    for _ in 0..MESSAGES {
        assert_eq!(esme.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
    thread::sleep(FRESH);
    let status = administered.get("/api/v1/status").json();
    assert_eq!(status["counters"]["client_requests"], MESSAGES);
    assert_eq!(status["counters"]["client_answers"], MESSAGES);
    assert_eq!(
        (&status["servers_bound"], &status["client_sessions"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        (&status["phase"], &status["not_ready"]),
        (&"serving".into(), &Value::Null)
    );

    let servers = administered.get("/api/v1/servers").json();
    let first = &servers["servers"][0];
    assert_eq!(
        (&first["name"], &first["uid"], &first["weight"]),
        (&"smsc-a".into(), &"0A".into(), &3.into())
    );
    assert_eq!(
        (&first["requests"], &first["answers"], &first["sessions"]),
        (&MESSAGES.into(), &MESSAGES.into(), &2.into())
    );
    assert_eq!(servers["servers"][1]["requests"], 0, "it is in the second group");
    let cores = administered.get("/api/v1/cores").json();
    let of_cores = cores["cores"].as_array().expect("a list").iter();
    assert_eq!(
        of_cores
            .map(|core| core["client_requests"].as_u64().unwrap_or(0))
            .sum::<u64>(),
        MESSAGES as u64
    );

    let pools = administered.get("/api/v1/pools").json();
    let rows = pools["pools"].as_array().expect("a list");
    assert_eq!(
        (rows.len(), &pools["total"]),
        (1, &1.into()),
        "the account's own pool is no range"
    );

    let table = administered.ctl_text(&["servers"]);
    let line = table
        .lines()
        .find(|line| line.starts_with("smsc-a"))
        .expect("a row");
    assert!(line.split_whitespace().any(|cell| cell == "20"), "{table}");
    let json: Value = serde_json::from_str(&administered.ctl_text(&["servers", "--json"])).expect("JSON");
    assert_eq!(json["servers"][0]["requests"], MESSAGES);
    assert!(administered.ctl_text(&["status"]).contains("ready"));
    assert_eq!(administered.ctl_text(&["cores"]).lines().count(), 3);
}

/// Goal: every GET of the served description answers 200 with JSON or text, and the description is the committed one.
#[test]
fn every_described_call_is_there() {
    let smsc = AnsweringSmsc::start("smsc-a");
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    thread::sleep(FRESH);
    let description = administered.get("/api/v1/openapi.json");
    assert_eq!(
        description.body.trim_end(),
        include_str!("../../../docs/openapi.json").trim_end()
    );
    let description = description.json();
    let mut called = 0;
    for (path, item) in description["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            if method == "get" && !path.contains('{') {
                // It would go on for ever.
                let is_endless = path == "/api/v1/events";
                let path = if is_endless {
                    "/api/v1/events?count=1"
                } else {
                    path
                };
                let answer = administered.get(path);
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                called += 1;
            } else {
                // Without the token it is refused; a path that is not there would be 404.
                let path = path.replace("{name}", "x").replace("{system_id}", "x");
                let method = method.to_uppercase();
                let answer = smppmux_tests::http::call(administered.address, &method, &path, &[]);
                assert!(
                    [200, 401, 404].contains(&answer.status),
                    "{method} {path}: {}",
                    answer.status
                );
                assert_ne!(answer.json()["error"], "there is nothing here", "{path}");
            }
        }
    }
    assert!(called >= 5);
}

/// Goal: readiness follows the servers and a drain, health follows neither.
#[test]
fn readiness_follows_the_servers() {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme1", "");
    let mut administered = Administered::start(&configuration);
    let starting = administered.get("/readyz");
    assert_eq!(starting.status, 503);
    assert!(
        starting.json()["error"]
            .as_str()
            .is_some_and(|error| error.contains("starting"))
    );
    assert_eq!(administered.get("/healthz").status, 200);
    let (server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    thread::sleep(FRESH);
    assert_eq!(administered.get("/readyz").body, "ready\n");
    drop(server);
    administered.smppmux.wait_for_log("server lost");
    thread::sleep(FRESH);
    let answer = administered.get("/readyz");
    assert!(
        answer.json()["error"]
            .as_str()
            .is_some_and(|error| error.contains("no server"))
    );
    assert_eq!(administered.get("/healthz").status, 200);
}
