//! What the rules would do with a message, without sending one: `smppmux route --explain` for a file, `ctl route --explain` for
//! the process that runs.

mod explanation;

pub(crate) use explanation::{Explanation, ServerState};

use crate::arguments::RouteArguments;
use crate::check::{effective_or_failure, parsed_or_failure};
use crate::config;
use crate::exit::{self, Failure};

/// Finds the rule for the message that the arguments describe. The lines for standard output come back.
///
/// # Errors
///
/// Exit code 64 for a name that the file does not have, 66 when the file cannot be read, 78 when it is wrong.
pub(crate) fn explain(arguments: &RouteArguments) -> Result<String, Failure> {
    let source = config::read_source(&arguments.config)?;
    let (configuration, problems) = parsed_or_failure(&source)?;
    let (effective, _) = effective_or_failure(&source, &configuration, problems)?;
    let explanation = Explanation::of(&effective.settings, &arguments.message, &|_| None);
    let explanation =
        explanation.map_err(|unknown| Failure::new(exit::USAGE, format!("the file has no {unknown}")))?;
    Ok(explanation.lines())
}

#[cfg(test)]
mod tests {
    use super::explanation::StateOf;
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        route: RouteArguments,
    }

    const FILE: &str = r#"
        [[vserver]]
        name = "sms"
        listen = ["127.0.0.1:2775"]
        [[server]]
        name = "a"
        uid = "0A"
        address = "127.0.0.1:1"
        system-id = "mux"
        password = "x"
        [[server]]
        name = "b"
        uid = "0B"
        address = "127.0.0.1:2"
        system-id = "mux"
        password = "x"
        [[client]]
        system-id = "esme1"
        password = "x"
        [[route]]
        name = "spam"
        source = "666"
        reject = "ESME_RSUBMITFAIL"
        [[route]]
        clients = ["esme1"]
        destination = "07"
        set-destination-prefix = "447"
        set-destination-ton = 1
        servers = ["b"]
        [[route]]
        direction = "mo"
        from-servers = ["a"]
        reject = "ESME_RX_R_APPN"
        [[route]]
        name = "the vendor's"
        direction = "mo"
        vendor-commands = true
        to-client = "esme1"
    "#;

    fn explained(arguments: &str) -> String {
        explained_of(FILE, arguments, &|_| None)
    }

    fn explained_of(file: &str, arguments: &str, state_of: StateOf<'_>) -> String {
        let (configuration, problems) = config::Configuration::parse(file).expect("it is TOML");
        let settled = config::settle(&configuration, problems, &[0]);
        assert_eq!(settled.problems, vec![]);
        let effective = settled.effective.expect("it is right");
        let words = format!("route --explain --config f {arguments}");
        let line = Line::try_parse_from(words.split_whitespace()).expect("good arguments");
        match Explanation::of(&effective.settings, &line.route.message, state_of) {
            Ok(explanation) => explanation.lines(),
            Err(unknown) => format!("no {unknown}"),
        }
    }

    /// Goal: each outcome is told: a rejection, a change with the servers, no rule at all, MO; an unknown name is blamed.
    #[test]
    fn every_outcome_is_told() {
        let cases = [
            (
                "--source 66612 --destination 1",
                "vserver sms\nrule 1 of 4: spam\nrejected with ESME_RSUBMITFAIL\n",
            ),
            (
                "--client esme1 --destination 07700",
                "vserver sms\nrule 2 of 4: rule 2\ndestination 07700 (TON 0, NPI 0) becomes 447700 (TON 1, NPI 0)\nto one of: b\n",
            ),
            (
                "--destination 07700",
                "vserver sms\nno rule of 4 matches\nto one of: a, b\n",
            ),
            (
                "--server a --destination 1",
                "vserver sms\nrule 3 of 4: rule 3\nrejected with ESME_RX_R_APPN\n",
            ),
            (
                "--server b --destination 1",
                "vserver sms\nno rule of 4 matches\nto the clients of vserver sms\n",
            ),
            (
                "--client esme1 --vendor-command",
                "vserver sms\nno rule of 4 matches\nrejected with generic_nack ESME_RINVCMDID\n",
            ),
            (
                "--server b --vendor-command",
                "vserver sms\nrule 4 of 4: the vendor's\nto the sessions of esme1\n",
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(explained(arguments), expected, "{arguments}");
        }
        assert_eq!(explained("--client nobody"), "no client \"nobody\"");
    }

    /// Goal: of the servers that may take a message it is told which are not bound and which an operator drains.
    #[test]
    fn servers_are_told_as_they_are() {
        for (is_bound, is_draining, expected) in [
            (true, false, "a, b"),
            (false, false, "a (not bound), b (not bound)"),
            (true, true, "a (drained), b (drained)"),
            (false, true, "a (not bound, drained), b (not bound, drained)"),
        ] {
            let state = ServerState {
                is_bound,
                is_draining,
            };
            let lines = explained_of(FILE, "--destination 1", &|_| Some(state));
            assert_eq!(
                lines,
                format!("vserver sms\nno rule of 4 matches\nto one of: {expected}\n")
            );
        }
    }

    /// Goal: where logins are forwarded, a rule changes and rejects, and names neither accounts nor servers; messages of the
    /// servers come for a client already, and meet none. How the servers' own sessions are says nothing.
    #[test]
    fn forwarded_logins_are_told() {
        let file = FILE.replacen("[[server]]", "auth = \"forward\"\n[[server]]", 1);
        let file = file.replace("clients = [\"esme1\"]", "");
        let state = ServerState {
            is_bound: false,
            is_draining: true,
        };
        for (arguments, expected) in [
            (
                "--source 66612 --destination 1",
                "rule 1 of 4: spam\nrejected with ESME_RSUBMITFAIL\n",
            ),
            (
                "--client esme1 --destination 07700",
                "rule 2 of 4: rule 2\ndestination 07700 (TON 0, NPI 0) becomes 447700 (TON 1, NPI 0)\nto one of: a, b\n",
            ),
            (
                "--server a --destination 1",
                "it meets no rules\nto the clients of vserver sms\n",
            ),
        ] {
            let lines = explained_of(&file, arguments, &|_| Some(state));
            assert_eq!(lines, format!("vserver sms\n{expected}"), "{arguments}");
        }
        let by_account = FILE.replacen("[[server]]", "auth = \"forward\"\n[[server]]", 1);
        assert_eq!(
            explained_of(&by_account, "--client esme1 --destination 07700", &|_| None),
            "vserver sms\nno rule of 4 matches\nto one of: a, b\n"
        );
    }

    /// Goal: a server that no vserver lists has no clients: what it sends is answered, whatever the rules say.
    #[test]
    fn a_server_without_a_vserver_is_told() {
        let file = FILE.replacen("[[server]]", "servers = [\"b\"]\n[[server]]", 1);
        for arguments in [
            "--server a --destination 1",
            "--server a --destination 1 --vserver sms",
        ] {
            assert_eq!(
                explained_of(&file, arguments, &|_| None),
                "no vserver lists the server\nit meets no rules\nrejected with ESME_RX_T_APPN\n"
            );
        }
    }
}
