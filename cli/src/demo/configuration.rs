//! The demo's configuration: the text that an operator would write for this scene, read as every file is.

use super::scenario::{CLIENTS_PER_RANGE, PASSWORD, RANGES, SERVER_SYSTEM_ID, SERVERS, Scenario};
use crate::config::problem::Source;
use crate::config::{Configuration, Effective, settle};
use crate::exit::{self, Failure};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// How long a drain may take.
const DRAIN_TIMEOUT: &str = "3s";

/// The settings for engines in front of SMSCs at these addresses, on a free port of loopback.
///
/// # Errors
/// Exit code 70: the demo's own configuration is wrong.
pub(super) fn effective(
    scenario: &Scenario,
    servers: &[SocketAddr],
    available_cpus: &[u16],
) -> Result<Effective, Failure> {
    let source = Source {
        name: "demo".to_owned(),
        text: text(scenario, servers),
    };
    let wrong = |problems: &[_]| Failure::new(exit::SOFTWARE, source.describe_all(problems));
    let (configuration, problems) =
        Configuration::parse(&source.text).map_err(|problems| wrong(problems.as_slice()))?;
    let settled = settle(&configuration, problems, available_cpus);
    settled.effective.ok_or_else(|| wrong(&settled.problems))
}

/// system_id of client number `client` (from 1) of a range; `{n}` for the pattern.
pub(super) fn client_name(range: &str, client: impl std::fmt::Display) -> String {
    format!("esme-{range}-{client}")
}

fn text(scenario: &Scenario, servers: &[SocketAddr]) -> String {
    let cpus: Vec<String> = scenario.cpus.iter().map(u16::to_string).collect();
    let timeout_s = scenario.response_timeout().as_secs();
    let mut text = format!(
        r#"[engine]
cores         = "{}"
distribution  = "round-robin"
c2c-capacity  = {}
drain-timeout = "{DRAIN_TIMEOUT}"

[[vserver]]
name             = "demo"
listen           = ["127.0.0.1:0"]
response-timeout = "{timeout_s}s"

[queue]
store = "off"
"#,
        cpus.join(","),
        scenario.core_requests(),
    );
    for ((name, uid), address) in SERVERS.iter().zip(servers) {
        text += &format!(
            r#"
[[server]]
name             = "{name}"
uid              = "{uid}"
address          = "{address}"
system-id        = "{SERVER_SYSTEM_ID}"
password         = "{PASSWORD}"
window           = {}
response-timeout = "{timeout_s}s"
"#,
            scenario.server_window(),
        );
    }
    for range in RANGES {
        for client in 1..=CLIENTS_PER_RANGE {
            let system_id = client_name(range, client);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                r#"
[[client]]
system-id      = "{system_id}"
password       = "{PASSWORD}"
address-ranges = ["{range}"]
window         = {}
"#,
                scenario.client_window(),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Goal: the configuration is right for the smallest and the largest scene that the arguments allow.
    #[test]
    fn the_configuration_is_right() {
        let servers = [2776, 2777].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        for (cpus, connections, window) in [(vec![0], 6, 1), (vec![0, 1], 12, 20), (vec![0; 100], 6, 300)] {
            let scenario = Scenario {
                cpus,
                connections,
                window,
                rate: None,
                duration: Duration::from_secs(1),
            };
            let effective = effective(&scenario, &servers, &[0, 1]).expect("a right configuration");
            let settings = &effective.settings;
            assert_eq!((settings.servers.len(), settings.clients.len()), (2, 6));
            assert!(settings.clients.iter().all(|client| client.window >= window));
        }
    }
}
