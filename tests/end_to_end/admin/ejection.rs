//! Servers that are bound and do not do their work.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::query_sm;
use smppmux_tests::smsc::{AnsweringSmsc, Mood};
use std::thread;
use std::time::{Duration, Instant};

/// A server that is judged quickly, and left out for so long each time.
fn judged(ejection: &str) -> String {
    format!(
        "response-timeout = \"400ms\"\neject-timeouts = 3\neject-errors = 80\neject-answers = 10\neject-rise = 2\neject-min = \"{ejection}\"\neject-max = \"{ejection}\"\n"
    )
}

fn configuration(
    engines: usize,
    vserver: &str,
    first: (&AnsweringSmsc, &str),
    second: (&AnsweringSmsc, &str),
) -> Configuration {
    Configuration::with_engines(engines)
        .vserver(&format!("hold-time = \"100ms\"\n{vserver}"))
        .server("smsc-a", "0A", first.0.address(), first.1)
        .server("smsc-b", "0B", second.0.address(), second.1)
        .client("esme1", "address-ranges = [\".*\"]")
}

fn start(configuration: &Configuration) -> (Administered, Esme) {
    let mut administered = Administered::start(configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    wait_until("all are bound", || {
        rows(&administered)
            .iter()
            .all(|row| row["sessions"].as_u64() > Some(0))
    });
    let esme = Esme::bind(administered.smppmux.address(), "esme1");
    (administered, esme)
}

fn rows(administered: &Administered) -> Vec<serde_json::Value> {
    let servers = administered.get("/api/v1/servers").json();
    servers["servers"].as_array().expect("a list").clone()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How so many messages went that were sent at once: how many were taken by the first server and by the second, and how many failed.
fn send(esme: &mut Esme, messages: usize) -> [usize; 3] {
    for _ in 0..messages {
        esme.submit("4477", "text");
    }
    let mut outcome = [0; 3];
    for _ in 0..messages {
        let answer = esme.expect(CommandId::SUBMIT_SM_RESP);
        let place = match answer.status() {
            Status::ESME_ROK => usize::from(answer.message_id().starts_with("two")),
            _ => 2,
        };
        outcome[place] += 1;
    }
    outcome
}

/// Goal: a server that answers nothing is left out after a few messages, beside an equal one and as the first choice of two groups,
/// while receipts and operations go on there; as long as it is so, its trials cost `eject-rise` messages at most; when it answers again
/// it gets its share again. All see it.
#[test]
fn a_silent_server_is_left_out_and_comes_back() {
    for (method, first, second) in [
        ("round-robin", "", ""),
        ("least-outstanding", "priority = 1", "priority = 0"),
    ] {
        let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
        let vserver = format!("method = \"{method}\"\nmethod-batch = 1");
        let (first, second) = (
            format!("response-timeout = \"5s\"\n{first}"),
            judged("2500ms") + second,
        );
        let (mut administered, mut esme) =
            start(&configuration(1, &vserver, (&one, &first), (&two, &second)));
        let id_at_two = std::iter::repeat_with(|| esme.submit_and_wait("4477", "text").message_id())
            .find(|id| id.starts_with("two"))
            .expect("its turn comes");

        two.set_mood(Mood::Silent);
        // What runs out together is one sign of three.
        let mut failed = 0;
        wait_until("it is left out", || {
            let [_, taken, failed_now] = send(&mut esme, 4);
            failed += failed_now;
            assert_eq!(taken, 0, "{method}");
            rows(&administered)[1]["ejected_cores"] == 1
        });
        assert!((3..=16).contains(&failed), "{method}: {failed} failed");
        let line = administered.smppmux.wait_for_log("server ejected");
        assert_eq!(
            (line["server"].as_str(), line["core"].as_u64()),
            (Some("smsc-b"), Some(0)),
            "{line}"
        );
        wait_until("it is shown", || rows(&administered)[1]["ejected_cores"] == 1);
        two.requests_so_far();
        assert_eq!(send(&mut esme, 30), [30, 0, 0], "{method}: the other one has all");
        assert_eq!(two.requests_so_far().len(), 0);
        assert!(administered.ctl_text(&["servers"]).contains("ejected"));
        let metrics = administered.get("/metrics").body;
        for sample in [
            "smppmux_server_health_cores{server=\"smsc-b\",state=\"ejected\"} 1",
            "smppmux_server_health_cores{server=\"smsc-a\",state=\"well\"} 1",
            "smppmux_server_ejections_total{server=\"smsc-b\",reason=\"timeouts\"} 1",
        ] {
            assert!(metrics.contains(sample), "{sample} in\n{metrics}");
        }
        let number = esme.next_sequence_number();
        esme.send(&query_sm(number, &id_at_two, "1000"));
        assert_eq!(esme.expect(CommandId::QUERY_SM_RESP).status(), Status::ESME_ROK);
        let delivery = two.deliver(0, "4477", "from a server that is left out");
        assert_eq!(esme.take_delivery().text(), "from a server that is left out");
        assert_eq!(two.response_to(delivery).status(), Status::ESME_ROK);

        wait_until("its trial", || rows(&administered)[1]["trial_cores"] == 1);
        two.requests_so_far();
        let [_, taken, failed] = send(&mut esme, 40);
        assert_eq!(taken, 0, "{method}");
        assert!((1..=2).contains(&failed), "{method}: a trial has cost {failed}");
        assert_eq!(two.requests_so_far().len(), failed);
        wait_until("the trial ends", || rows(&administered)[1]["ejections"] == 2);

        two.set_mood(Mood::Well);
        wait_until("it comes back", || {
            assert_eq!(send(&mut esme, 4)[2], 0, "{method}: nothing fails any more");
            let row = &rows(&administered)[1];
            row["ejected_cores"] == 0 && row["trial_cores"] == 0
        });
        administered.smppmux.wait_for_log("server well again");
        let [at_one, at_two, failed] = send(&mut esme, 30);
        let expected = if method == "round-robin" { 15 } else { 30 };
        assert!(
            failed == 0 && at_two.abs_diff(expected) <= 1,
            "{method}: {at_one} and {at_two}"
        );
    }
}

/// Goal: a server that says that it is ill is left out, by whichever engine asks it, with a session of its own or by way of another engine; one
/// that refuses messages for what they are, or because they come too fast, is not.
#[test]
fn statuses_of_the_ill_count_and_no_others() {
    for engines in [1, 2] {
        let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
        let second = judged("1min") + "connections-total = 1\nadaptive-pace = false";
        let vserver = "method = \"round-robin\"\nmethod-batch = 1";
        let (administered, _) = start(&configuration(engines, vserver, (&one, ""), (&two, &second)));
        let mut esmes: Vec<Esme> = (0..engines)
            .map(|engine| {
                Esme::bind_with(
                    administered.smppmux.address(),
                    BindRequest::of("esme1").at_engine(engine),
                )
            })
            .collect();
        // A server that throttles has a rest for a moment: that comes last.
        for status in [
            Status::ESME_RINVDSTADR,
            Status::ESME_RSUBMITFAIL,
            Status(0x0400),
            Status::ESME_RTHROTTLED,
        ] {
            two.set_mood(Mood::Refuses(status));
            for esme in &mut esmes {
                let [_, taken, failed] = send(esme, 40);
                assert!(
                    taken == 0 && (failed > 0 || status == Status::ESME_RTHROTTLED),
                    "{status}: it goes on getting its share, {failed}"
                );
            }
            assert_eq!(rows(&administered)[1]["ejections"], 0, "{status}");
        }
        two.set_mood(Mood::Refuses(Status::ESME_RSYSERR));
        // Each engine by itself.
        wait_until("every engine leaves it out", || {
            for esme in &mut esmes {
                assert_eq!(send(esme, 20)[1], 0);
            }
            rows(&administered)[1]["ejected_cores"] == engines
        });
        for esme in &mut esmes {
            assert_eq!(send(esme, 20), [20, 0, 0]);
        }
    }
}

/// Goal: of two that are ill one is left out at most; one that is left out has what nobody else can have; with one server nothing changes;
/// and a reload that switches it off takes it back at once.
#[test]
fn the_last_one_is_never_left_out() {
    let (one, two) = (AnsweringSmsc::start("one"), AnsweringSmsc::start("two"));
    let with = |lines: &str| {
        configuration(
            1,
            "method = \"round-robin\"\nmethod-batch = 1",
            (&one, lines),
            (&two, lines),
        )
    };
    let (administered, mut esme) = start(&with(&judged("1min")));
    for smsc in [&one, &two] {
        smsc.set_mood(Mood::Refuses(Status::ESME_RSYSERR));
    }
    assert_eq!(send(&mut esme, 90), [0, 0, 90]);
    let ejected = |administered: &Administered| -> Vec<bool> {
        rows(administered)
            .iter()
            .map(|row| row["ejected_cores"] == 1)
            .collect()
    };
    wait_until("one is left out", || ejected(&administered).contains(&true));
    assert_eq!(send(&mut esme, 90), [0, 0, 90]);
    let out = ejected(&administered);
    assert_eq!(out.iter().filter(|out| **out).count(), 1, "{out:?}");

    // Whoever is not left out is drained.
    for smsc in [&one, &two] {
        smsc.set_mood(Mood::Well);
    }
    let (well, ill) = if out[0] { ("smsc-b", 0) } else { ("smsc-a", 1) };
    let mut expected = [0; 3];
    expected[1 - ill] = 20;
    assert_eq!(send(&mut esme, 20), expected);
    administered.ctl_text(&["drain", "--server", well]);
    expected.swap(0, 1);
    assert_eq!(send(&mut esme, 20), expected, "the one that is left out has them");
    administered.ctl_text(&["undrain", "--server", well]);
    expected.swap(0, 1);
    assert_eq!(send(&mut esme, 20), expected);

    administered.rewrite(&with(
        "eject-timeouts = 0\neject-errors = 0\nresponse-timeout = \"400ms\"",
    ));
    administered.ctl_text(&["reload"]);
    let [at_one, at_two, failed] = send(&mut esme, 20);
    assert!(
        failed == 0 && at_one.abs_diff(at_two) <= 2,
        "nobody is left out any more: {at_one} and {at_two}"
    );
    let only = Configuration::with_engines(1)
        .vserver("hold-time = \"100ms\"")
        .server("smsc-a", "0A", one.address(), &judged("1min"))
        .client("esme1", "address-ranges = [\".*\"]");
    let (alone, mut esme) = start(&only);
    one.set_mood(Mood::Refuses(Status::ESME_RSYSERR));
    assert_eq!(send(&mut esme, 50), [0, 0, 50]);
    assert_eq!(rows(&alone)[0]["ejections"], 0);
}
