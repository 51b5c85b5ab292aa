//! `/metrics`: the right numbers, in formats that Prometheus' own tool accepts.

use super::Administered;
use smppmux_engine::core::wire::Status;
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::http::call;
use smppmux_tests::skip::not_checked_unless_ci;
use smppmux_tests::smsc::AnsweringSmsc;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const RULES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/prometheus/smppmux.rules.yml"
);
const DASHBOARD: &str = include_str!("../../../docs/prometheus/grafana-dashboard.json");

/// A smppmux that has carried `MESSAGES` submits and as many deliveries, and throttled one.
fn with_traffic() -> (Administered, AnsweringSmsc, Esme) {
    let smsc = AnsweringSmsc::start("one");
    let configuration = Configuration::with_engines(2)
        .server("smsc-a", "0A", smsc.address(), "")
        // A name that has to be escaped in every format.
        .client("es\\\"me", "address-ranges = [\".*\"]")
        .section("[message-log]\npath = \"log\"");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "es\"me");
    for _ in 0..MESSAGES {
        assert_eq!(esme.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
        let number = smsc.deliver(0, "4477", "text");
        esme.take_delivery();
        smsc.response_to(number);
    }
    let number = esme.next_sequence_number();
    esme.send(&smppmux_tests::pdu::query_sm(number, "no id of ours", "1000"));
    esme.receive();
    wait_for_figures(&administered);
    (administered, smsc, esme)
}

const MESSAGES: usize = 15;

/// Waits until the figures, which each engine publishes by itself, have all of the traffic.
fn wait_for_figures(administered: &Administered) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = administered.get("/metrics").body;
        let missing = expected()
            .into_iter()
            .find(|(start, value)| find_sample(&text, start).is_none_or(|found| found < *value));
        let Some(missing) = missing else {
            break;
        };
        assert!(Instant::now() < deadline, "never: {missing:?} in\n{text}");
        thread::sleep(Duration::from_millis(20));
    }
    // What is counted twice may be published a little later.
    thread::sleep(Duration::from_millis(120));
}

/// The beginnings of the samples that the traffic makes, and their values.
fn expected() -> Vec<(String, f64)> {
    let mut samples = Vec::new();
    for subject in ["vserver=\"sms\"", "server=\"smsc-a\"", "client=\"es\\\"me\""] {
        let name = subject.split('=').next().unwrap_or_default();
        for labels in [
            "command=\"submit_sm\",direction=\"mt\"",
            "command=\"deliver_sm\",direction=\"mo\"",
        ] {
            let start = |what: &str| format!("smppmux_{name}_{what}_total{{{subject},{labels}");
            samples.push((start("requests"), MESSAGES as f64));
            samples.push((
                format!("{},status=\"ESME_ROK\"", start("answers")),
                MESSAGES as f64,
            ));
        }
    }
    for (start, value) in [
        (
            "smppmux_server_response_seconds_count{server=\"smsc-a\"}",
            MESSAGES as f64,
        ),
        ("smppmux_protocol_violations_total{rule=\"message_id\"}", 1.0),
        ("smppmux_client_sessions{client=\"es\\\"me\"}", 1.0),
        ("smppmux_ready", 1.0),
        ("smppmux_map_entries_lost_total", 0.0),
        ("smppmux_receipt_records_lost_total", 0.0),
        // Each message and its answer.
        ("smppmux_message_log_records_total", 4.0 * MESSAGES as f64),
        ("smppmux_message_log_lost_total{where=\"lane\"}", 0.0),
    ] {
        samples.push((start.to_owned(), value));
    }
    samples
}

/// The value of the sample whose line starts so.
fn sample(text: &str, start: &str) -> f64 {
    find_sample(text, start).unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

fn find_sample(text: &str, start: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
    Some(value.expect("a number"))
}

/// Goal: the samples are the messages that were sent, by command, direction and status, for the vserver, the server and the
/// account, in both formats; a violation stands under its rule.
#[test]
fn samples_are_the_messages() {
    let (administered, _smsc, _esme) = with_traffic();
    let openmetrics = "Accept: application/openmetrics-text; version=1.0.0";
    let text = call(administered.address, "GET", "/metrics", &[openmetrics]);
    assert!(
        text.head
            .to_lowercase()
            .contains("content-type: application/openmetrics-text")
    );
    assert!(text.body.ends_with("# EOF\n"));
    for text in [&text.body, &administered.get("/metrics").body] {
        for (start, value) in expected() {
            assert_eq!(sample(text, &start), value, "{start}");
        }
        // The two formats differ in the order of the labels.
        let mut buckets = text
            .lines()
            .filter(|line| line.starts_with("smppmux_server_response_seconds_bucket{"));
        let last = buckets
            .find(|line| line.contains("le=\"+Inf\""))
            .expect("the last bucket");
        assert!(last.ends_with(&format!(" {MESSAGES}")), "{last}");
        for core in ["0", "1"] {
            // Each core has heard of what the other one knows, so its turns had something to do.
            let turns = sample(
                text,
                &format!("smppmux_core_turn_seconds_count{{core=\"{core}\"}}"),
            );
            let load = sample(text, &format!("smppmux_core_turn_seconds_sum{{core=\"{core}\"}}"));
            let uptime = sample(text, "smppmux_uptime_seconds");
            assert!(
                turns > 0.0 && load > 0.0 && load < uptime,
                "{turns} {load} {uptime}"
            );
            sample(text, &format!("smppmux_core_mailbox_messages{{core=\"{core}\"}}"));
        }
        let spare = [0, 1].map(|core| {
            sample(
                text,
                &format!("smppmux_core_spare_buffer_bytes{{core=\"{core}\"}}"),
            )
        });
        assert!(
            spare.iter().sum::<f64>() > 0.0,
            "what carried the messages is kept"
        );
        assert!(spare.iter().all(|octets| *octets <= 16.0 * 1024.0 * 1024.0));
        assert!(
            sample(text, "smppmux_core_received_bytes_total{core=\"0\"}")
                + sample(text, "smppmux_core_received_bytes_total{core=\"1\"}")
                > 0.0
        );
    }
}

/// Goal: a message that waits is counted, with its octets, as is the one that was delivered; without a queue there are no such
/// samples.
#[test]
fn the_queue_is_measured() {
    let smsc = AnsweringSmsc::start("one");
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("away", "address-ranges = [\"44.*\"]");
    let mut administered = Administered::start(&configuration.clone().queue("store = \"memory\""));
    administered.smppmux.wait_for_log("smppmux ready");
    for address in ["4401", "4402"] {
        let number = smsc.deliver(0, address, "text");
        assert_eq!(smsc.response_to(number).status(), Status::ESME_ROK);
    }
    let mut esme = Esme::bind_with_range(administered.smppmux.address(), "away", "4401");
    esme.take_delivery();
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let text = administered.get("/metrics").body;
        if find_sample(&text, "smppmux_queue_delivered_total") == Some(1.0) {
            break text;
        }
        assert!(Instant::now() < deadline, "{text}");
        thread::sleep(Duration::from_millis(20));
    };
    for (name, value) in [
        ("answering", 1.0),
        ("broken", 0.0),
        ("messages", 1.0),
        ("destinations", 1.0),
        ("dead_letters", 0.0),
        ("stored_total", 2.0),
        ("refused_total", 0.0),
    ] {
        assert_eq!(sample(&text, &format!("smppmux_queue_{name}")), value, "{name}");
    }
    assert!(sample(&text, "smppmux_queue_bytes") > 16.0);

    let without = Administered::start(&configuration.queue("store = \"off\""));
    assert!(!without.get("/metrics").body.contains("smppmux_queue"));
}

/// Goal: promtool finds nothing wrong with the metrics and the alert rules, and rules and dashboard name only metrics that
/// exist. Where promtool is not installed that part is not done, and it is said.
#[test]
fn promtool_accepts_metrics_and_rules() {
    let (administered, _smsc, _esme) = with_traffic();
    let text = administered.get("/metrics").body;
    match Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            not_checked_unless_ci(
                "metrics and rules",
                "promtool (Debian: prometheus) is not installed",
            );
        }
        started => {
            let mut promtool = started.expect("it starts");
            let mut input = promtool.stdin.take().expect("piped");
            input.write_all(text.as_bytes()).expect("it reads");
            drop(input);
            let output = promtool.wait_with_output().expect("it ends");
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{complaints}");
            let rules = Command::new("promtool")
                .args(["check", "rules", RULES])
                .output()
                .expect("it starts");
            assert!(
                rules.status.success(),
                "{}",
                String::from_utf8_lossy(&rules.stderr)
            );
        }
    }
    let rules = std::fs::read_to_string(RULES).expect("the rules are there");
    let existing: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for name in names(&rules).chain(names(DASHBOARD)) {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let is_there = existing.contains(name) || family.is_some_and(|family| existing.contains(family));
        assert!(is_there, "{name} is no metric of smppmux");
    }
}

/// Every name of a metric in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(move |character| !is_of_name(character))
        .filter(|word| word.starts_with("smppmux_"))
}
