//! A dry run of the rules of a process that runs.

use super::Administered;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::smsc::AnsweringSmsc;

fn configuration(smscs: &[AnsweringSmsc; 2], rules: &str) -> Configuration {
    Configuration::with_engines(1)
        .server("left", "0A", smscs[0].address(), "")
        .server("right", "0B", smscs[1].address(), "")
        .client("esme1", "address-ranges = [\".*\"]")
        .section(rules)
}

/// Goal: `ctl route --explain` tells what the running rules would do, as they are after a reload; the interface says the same
/// as JSON, which servers are bound, and which are drained.
#[test]
fn the_running_rules_are_explained() {
    let smscs = [AnsweringSmsc::start("left"), AnsweringSmsc::start("right")];
    let rules = "[[route]]\nname = \"plus\"\ndestination = \"+\"\nset-destination-prefix = \"00\"\nservers = [\"right\"]\n";
    let mut administered = Administered::start(&configuration(&smscs, rules));
    administered.smppmux.wait_for_log("smppmux ready");
    let explain = |administered: &Administered, arguments: &[&str]| {
        administered.ctl_text(&[&["route", "--explain"], arguments].concat())
    };
    let message = ["--client", "esme1", "--destination", "+44 77&"];
    assert_eq!(
        explain(&administered, &message),
        "vserver sms\nrule 1 of 1: plus\ndestination +44 77& (TON 0, NPI 0) becomes 0044 77& (TON 0, NPI 0)\nto one of: right\n"
    );
    assert_eq!(
        explain(&administered, &["--destination", "44"]),
        "vserver sms\nno rule of 1 matches\nto one of: left, right\n"
    );
    let answer = administered
        .get("/api/v1/route?destination=%2B44&client=esme1")
        .json();
    assert_eq!(
        (&answer["rule"]["number"], &answer["rule"]["name"]),
        (&1.into(), &"plus".into())
    );
    assert_eq!(answer["destination"]["after"]["address"], "0044");
    assert_eq!(
        (&answer["servers"][0]["name"], &answer["servers"][0]["is_bound"]),
        (&"right".into(), &true.into())
    );
    administered.ctl_text(&["drain", "--server", "left"]);
    assert_eq!(
        explain(&administered, &["--destination", "44"]),
        "vserver sms\nno rule of 1 matches\nto one of: left (drained), right\n"
    );
    administered.ctl_text(&["undrain", "--server", "left"]);
    assert_eq!(administered.get("/api/v1/route?client=nobody").status, 404);
    assert_eq!(administered.get("/api/v1/route?clinet=esme1").status, 400);
    assert_eq!(
        administered
            .ctl(&["route", "--explain", "--client", "nobody"])
            .status
            .code(),
        Some(65)
    );

    let rules = "[[route]]\nname = \"none\"\ndestination = \"+\"\nreject = \"ESME_RINVDSTADR\"\n";
    administered.rewrite(&configuration(&smscs, rules));
    administered.ctl_text(&["reload"]);
    assert_eq!(
        explain(&administered, &message),
        "vserver sms\nrule 1 of 1: none\nrejected with ESME_RINVDSTADR\n"
    );
}
