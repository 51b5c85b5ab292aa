//! `/metrics`: the right numbers, in formats that Prometheus' own tool accepts.

use super::Administered;
use smppmux_engine::core::wire::Status;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::http::call;
use smppmux_tests::smsc::AnsweringSmsc;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

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
        .client("es\\\"me", "address-ranges = [\".*\"]");
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
    thread::sleep(Duration::from_millis(120));
    (administered, smsc, esme)
}

const MESSAGES: usize = 15;

/// The value of the sample whose line starts so.
fn sample(text: &str, start: &str) -> f64 {
    let line = text
        .lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in\n{text}"));
    line.rsplit(' ')
        .next()
        .and_then(|value| value.parse().ok())
        .expect("a number")
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
        for subject in ["vserver=\"sms\"", "server=\"smsc-a\"", "client=\"es\\\"me\""] {
            let name = subject.split('=').next().unwrap_or_default();
            let of = |what: &str, labels: &str| {
                sample(text, &format!("smppmux_{name}_{what}_total{{{subject},{labels}"))
            };
            let (mt, mo) = (
                "command=\"submit_sm\",direction=\"mt\"",
                "command=\"deliver_sm\",direction=\"mo\"",
            );
            assert_eq!(of("requests", mt), MESSAGES as f64);
            assert_eq!(of("requests", mo), MESSAGES as f64);
            assert_eq!(
                of("answers", &format!("{mt},status=\"ESME_ROK\"")),
                MESSAGES as f64
            );
            assert_eq!(
                of("answers", &format!("{mo},status=\"ESME_ROK\"")),
                MESSAGES as f64
            );
        }
        assert_eq!(
            sample(text, "smppmux_server_response_seconds_count{server=\"smsc-a\"}"),
            MESSAGES as f64
        );
        // The two formats differ in the order of the labels.
        let mut buckets = text
            .lines()
            .filter(|line| line.starts_with("smppmux_server_response_seconds_bucket{"));
        let last = buckets
            .find(|line| line.contains("le=\"+Inf\""))
            .expect("the last bucket");
        assert!(last.ends_with(&format!(" {MESSAGES}")), "{last}");
        assert_eq!(
            sample(text, "smppmux_protocol_violations_total{rule=\"message_id\"}"),
            1.0
        );
        assert_eq!(sample(text, "smppmux_client_sessions{client=\"es\\\"me\"}"), 1.0);
        assert_eq!(sample(text, "smppmux_ready"), 1.0);
        assert!(
            sample(text, "smppmux_core_received_bytes_total{core=\"0\"}")
                + sample(text, "smppmux_core_received_bytes_total{core=\"1\"}")
                > 0.0
        );
    }
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
            eprintln!("NOT CHECKED: promtool (Debian: prometheus) is not installed");
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
