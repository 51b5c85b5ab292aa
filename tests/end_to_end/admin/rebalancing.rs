//! `rebalance = "auto"`: new connections leave an engine that has more to do than the others.

use super::Administered;
use smppmux_engine::core::wire::Status;
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::smsc::AnsweringSmsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than figures may be old.
const FRESH: Duration = Duration::from_millis(120);
/// Hosts beyond the engines: no rule pins their connections.
const FIRST_HOST: usize = 10;
const HOSTS: usize = 5;
const CONNECTIONS_OF_HOST: usize = 4;

fn start(smsc: &AnsweringSmsc, lines: &str) -> Administered {
    let configuration = Configuration::with_engines(2)
        .distribution("rss-2-tuple")
        .engine(lines)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("esme", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    administered
}

fn bind(administered: &Administered, host: usize) -> Esme {
    let request = BindRequest::of("esme").at_engine(host);
    Esme::bind_with(administered.smppmux.address(), request)
}

/// Clients' connections of each engine.
fn connections(administered: &Administered) -> Vec<u64> {
    thread::sleep(FRESH);
    let cores = administered.get("/api/v1/cores").json();
    let rows = cores["cores"].as_array().expect("a list").iter();
    rows.map(|row| row["client_connections"].as_u64().expect("a number"))
        .collect()
}

/// Several clients from each of several hosts whose address leads to the first engine, with these hosts.
fn clients_at_first_engine(administered: &Administered) -> (Vec<usize>, Vec<Esme>) {
    let (mut hosts, mut clients) = (Vec::new(), Vec::new());
    let mut elsewhere = Vec::new();
    for host in FIRST_HOST..FIRST_HOST + 100 {
        let client = bind(administered, host);
        if connections(administered)[1] > elsewhere.len() as u64 {
            elsewhere.push(client);
            continue;
        }
        hosts.push(host);
        clients.push(client);
        if hosts.len() == HOSTS {
            break;
        }
    }
    drop(elsewhere);
    for host in &hosts {
        clients.extend((1..CONNECTIONS_OF_HOST).map(|_| bind(administered, *host)));
    }
    (hosts, clients)
}

fn send_from_each(clients: &mut [Esme]) {
    for client in clients {
        assert_eq!(client.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
}

/// Goal: while all load is on one engine, connections of the hosts that make it come to the other engine after a rewrite; the
/// sessions that are there stay where they are and work; log, `ctl` and metrics tell.
#[test]
fn new_connections_leave_the_busy_engine() {
    let smsc = AnsweringSmsc::start("one");
    let mut administered = start(&smsc, "rebalance = \"auto\"\nrebalance-interval = \"500ms\"");
    let (hosts, mut clients) = clients_at_first_engine(&administered);
    let deadline = Instant::now() + PATIENCE;
    loop {
        send_from_each(&mut clients);
        let cores = administered.get("/api/v1/cores").json();
        if cores["buckets"]["rewrites"].as_u64() > Some(0) {
            break;
        }
        assert!(Instant::now() < deadline, "{cores}");
    }
    let told = administered
        .smppmux
        .wait_for_log("the cores are uneven: new connections are spread anew");
    assert!(told["moved"].as_u64() >= Some(HOSTS as u64), "{told:?}");
    let before = connections(&administered);
    assert_eq!(before, [clients.len() as u64, 0]);
    let new: Vec<Esme> = hosts.iter().map(|host| bind(&administered, *host)).collect();
    assert_eq!(
        connections(&administered),
        [clients.len() as u64, new.len() as u64]
    );
    send_from_each(&mut clients);
    let shown = administered.ctl_text(&["cores"]);
    assert!(shown.contains("buckets rewritten"), "{shown}");
    let metrics = administered.get("/metrics").body;
    for sample in [
        "smppmux_rebalance_rewrites_total",
        "smppmux_core_buckets{core=\"1\"}",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
}

/// Goal: without the key the table stays, however uneven the engines are; it is shown.
#[test]
fn the_table_stays_by_default() {
    let smsc = AnsweringSmsc::start("one");
    let administered = start(&smsc, "rebalance-interval = \"100ms\"");
    let (hosts, mut clients) = clients_at_first_engine(&administered);
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        send_from_each(&mut clients);
    }
    let _new: Vec<Esme> = hosts.iter().map(|host| bind(&administered, *host)).collect();
    assert_eq!(connections(&administered)[1], 0);
    let cores = administered.get("/api/v1/cores").json();
    assert_eq!(cores["buckets"]["rewrites"], 0);
    assert_eq!(cores["buckets"]["is_automatic"], false);
    assert_eq!(cores["cores"][0]["buckets"], 64);
}
