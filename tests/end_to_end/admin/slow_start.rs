//! Servers that come back while messages flow.

use super::Administered;
use smppmux_engine::core::wire::Status;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::smsc::AnsweringSmsc;
use std::time::{Duration, Instant};

/// Long beside all that a test sends, even on a slow machine.
const LONG: &str = "slow-start = \"10min\"";
/// So many messages show a share.
const MESSAGES: usize = 120;

fn configuration(method: &str, second: &str, servers: [&AnsweringSmsc; 2]) -> Configuration {
    Configuration::with_engines(1)
        .vserver(&format!("method = \"{method}\""))
        .server("smsc-a", "0A", servers[0].address(), "")
        .server("smsc-b", "0B", servers[1].address(), second)
        .client("esme1", "")
}

/// How many of the next messages go to the second server.
fn share(esme: &mut Esme) -> usize {
    let at_second = |_: &usize| {
        let answer = esme.submit_and_wait("4477", "text");
        assert_eq!(answer.status(), Status::ESME_ROK);
        answer.message_id().starts_with("two")
    };
    (0..MESSAGES).filter(at_second).count()
}

fn row(administered: &Administered) -> serde_json::Value {
    administered.get("/api/v1/servers").json()["servers"][1].clone()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Goal: by every method that shares messages out, a server that is bound again after a loss begins with about a tenth of its share,
/// also where it is idle and so the best choice; the servers of the start share as ever; an undrained server begins anew; all see it,
/// and a reload without `slow-start` ends it.
#[test]
fn a_server_that_comes_back_starts_slowly() {
    for method in [
        "round-robin",
        "weighted-round-robin",
        "least-outstanding",
        "priority",
    ] {
        let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
        let mut administered = Administered::start(&configuration(method, LONG, [&one, &two]));
        administered.smppmux.wait_for_log("smppmux ready");
        let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
        wait_until("both are bound", || row(&administered)["sessions"] == 1);
        assert_eq!(
            share(&mut esme),
            MESSAGES / 2,
            "{method}: no slow start of the first"
        );

        two.end_sessions();
        wait_until("it comes back", || row(&administered)["binds"] == 2);
        let first = share(&mut esme);
        assert!(
            (MESSAGES / 20..=MESSAGES / 8).contains(&first),
            "{method}: {first}"
        );
        assert!(
            row(&administered)["share_percent"]
                .as_u64()
                .is_some_and(|percent| percent < 50)
        );
        assert!(administered.ctl_text(&["servers"]).contains("starting"));
        let metrics = administered.get("/metrics").body;
        assert!(
            metrics.contains("smppmux_server_share_ratio{server=\"smsc-a\"} 1.0"),
            "{metrics}"
        );
        assert!(
            metrics.contains("smppmux_server_share_ratio{server=\"smsc-b\"} 0."),
            "{metrics}"
        );

        administered.ctl_text(&["drain", "--server", "smsc-b"]);
        administered.ctl_text(&["undrain", "--server", "smsc-b"]);
        let undrained = share(&mut esme);
        assert!(
            (MESSAGES / 20..=MESSAGES / 8).contains(&undrained),
            "{method}: {undrained}"
        );

        administered.rewrite(&configuration(method, "", [&one, &two]));
        administered.ctl_text(&["reload"]);
        let second = share(&mut esme);
        assert!(second.abs_diff(MESSAGES / 2) <= 2, "{method}: {second}");
        assert_eq!(row(&administered)["share_percent"], 100);
    }
}

/// Goal: the share grows with time, up to all of it, without anything but time.
#[test]
fn a_share_grows_with_time() {
    let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
    let second = "slow-start = \"2s\"";
    let mut administered = Administered::start(&configuration("round-robin", second, [&one, &two]));
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    wait_until("both are bound", || row(&administered)["sessions"] == 1);
    two.end_sessions();
    wait_until("it comes back", || row(&administered)["binds"] == 2);
    let percents: Vec<u64> = std::iter::from_fn(|| {
        std::thread::sleep(Duration::from_millis(100));
        row(&administered)["share_percent"]
            .as_u64()
            .filter(|percent| *percent < 100)
    })
    .collect();
    assert!(percents.is_sorted() && !percents.is_empty(), "{percents:?}");
    assert!(
        percents.windows(2).filter(|pair| pair[0] < pair[1]).count() >= 3,
        "{percents:?}"
    );
    assert_eq!(share(&mut esme), MESSAGES / 2);
}

/// Goal: a server that a reload adds starts slowly beside those that have all messages so far.
#[test]
fn a_server_that_is_added_starts_slowly() {
    let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
    let first = Configuration::with_engines(1)
        .vserver("method = \"round-robin\"")
        .server("smsc-a", "0A", one.address(), "")
        .client("esme1", "");
    let mut administered = Administered::start(&first);
    administered.smppmux.wait_for_log("smppmux ready");
    let mut esme = Esme::bind(administered.smppmux.address(), "esme1");
    administered.rewrite(&configuration("round-robin", LONG, [&one, &two]));
    administered.ctl_text(&["reload"]);
    wait_until("it is bound", || row(&administered)["sessions"] == 1);
    let added = share(&mut esme);
    assert!((MESSAGES / 20..=MESSAGES / 8).contains(&added), "{added}");
}
