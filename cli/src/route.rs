//! `smppmux route --explain`: what the rules of a configuration would do with a message, without sending one.

use crate::arguments::RouteArguments;
use crate::check::{effective_or_failure, parsed_or_failure};
use crate::config;
use crate::exit::{self, Failure};
use smppmux_engine::core::route::{AddressChange, Direction, RouteAction, RouteQuery, RouteRule};
use smppmux_engine::core::settings::{ClientIndex, ServerIndex, Settings, VserverIndex};
use smppmux_engine::core::wire::Address;
use std::fmt::Write as _;

/// Finds the rule for the message that the arguments describe. The lines for standard output come back.
///
/// # Errors
///
/// Exit code 64 for a name that the file does not have, 66 when the file cannot be read, 78 when it is wrong.
pub(crate) fn explain(arguments: &RouteArguments) -> Result<String, Failure> {
    let source = config::read_source(&arguments.config)?;
    let (configuration, problems) = parsed_or_failure(&source)?;
    let (effective, _) = effective_or_failure(&source, &configuration, problems)?;
    explain_with(&effective.settings, arguments)
}

fn explain_with(settings: &Settings, arguments: &RouteArguments) -> Result<String, Failure> {
    let client = arguments
        .client
        .as_deref()
        .map(|name| client_of(settings, name))
        .transpose()?;
    let server = arguments
        .server
        .as_deref()
        .map(|name| server_of(settings, name))
        .transpose()?;
    let direction = if server.is_some() {
        Direction::MobileOriginated
    } else {
        Direction::MobileTerminated
    };
    let vserver = vserver_of(settings, arguments, client, server)?;
    let query = RouteQuery {
        client,
        server,
        source: Address {
            ton: arguments.source_ton,
            npi: arguments.source_npi,
            addr: arguments.source.as_bytes(),
        },
        destination: arguments.destination.as_deref().map(|addr| Address {
            ton: arguments.destination_ton,
            npi: arguments.destination_npi,
            addr: addr.as_bytes(),
        }),
        service_type: arguments.service_type.as_bytes(),
        data_coding: arguments.data_coding,
        esm_class: arguments.esm_class,
        is_vendor_command: arguments.vendor_command,
    };
    let mut lines = format!("vserver {}\n", settings.vservers[usize::from(vserver.0)].name);
    let table = settings.route_table(vserver, direction, 0);
    match table.as_ref().and_then(|table| table.first_match(&query)) {
        Some((number, rule)) => {
            let _ = writeln!(
                lines,
                "rule {} of {}: {}",
                number + 1,
                settings.routes.len(),
                rule.name
            );
            describe(&mut lines, settings, vserver, direction, rule, &query);
        }
        None => {
            let _ = writeln!(lines, "no rule of {} matches", settings.routes.len());
            if query.is_vendor_command {
                lines.push_str("refused with generic_nack ESME_RINVCMDID\n");
            } else {
                describe_target(&mut lines, settings, vserver, direction, client, &[]);
            }
        }
    }
    Ok(lines)
}

fn describe(
    lines: &mut String,
    settings: &Settings,
    vserver: VserverIndex,
    direction: Direction,
    rule: &RouteRule,
    query: &RouteQuery<'_>,
) {
    match &rule.action {
        RouteAction::Reject(status) => {
            let _ = writeln!(lines, "rejected with {status}");
        }
        RouteAction::Forward {
            servers,
            vserver: to,
            rewrite,
        } => {
            describe_change(lines, "source", &rewrite.source, Some(query.source));
            describe_change(lines, "destination", &rewrite.destination, query.destination);
            describe_target(
                lines,
                settings,
                to.unwrap_or(vserver),
                direction,
                query.client,
                servers,
            );
        }
    }
}

fn describe_change(lines: &mut String, name: &str, change: &AddressChange, address: Option<Address<'_>>) {
    let Some(address) = address.filter(|_| *change != AddressChange::default()) else {
        return;
    };
    let _ = writeln!(
        lines,
        "{name} {} (TON {}, NPI {}) becomes {} (TON {}, NPI {})",
        String::from_utf8_lossy(address.addr),
        address.ton,
        address.npi,
        String::from_utf8_lossy(&change.apply(address.addr)),
        change.ton.unwrap_or(address.ton),
        change.npi.unwrap_or(address.npi),
    );
}

fn describe_target(
    lines: &mut String,
    settings: &Settings,
    vserver: VserverIndex,
    direction: Direction,
    client: Option<ClientIndex>,
    group: &[ServerIndex],
) {
    let vserver = &settings.vservers[usize::from(vserver.0)];
    if direction == Direction::MobileOriginated {
        let _ = writeln!(lines, "to the clients of vserver {}", vserver.name);
        return;
    }
    let allowed = client.map_or(&[][..], |client| &settings.clients[client.0 as usize].servers);
    let names: Vec<&str> = vserver
        .servers
        .iter()
        .filter(|server| group.is_empty() || group.contains(server))
        .filter(|server| allowed.is_empty() || allowed.contains(server))
        .map(|server| settings.servers[usize::from(server.0)].name.as_str())
        .collect();
    if names.is_empty() {
        lines.push_str("no server may take it: answered ESME_RSYSERR\n");
    } else {
        let _ = writeln!(lines, "to one of: {}", names.join(", "));
    }
}

fn client_of(settings: &Settings, name: &str) -> Result<ClientIndex, Failure> {
    settings
        .account(name.as_bytes())
        .ok_or_else(|| unknown("client", name))
}

fn server_of(settings: &Settings, name: &str) -> Result<ServerIndex, Failure> {
    let place = settings.servers.iter().position(|server| server.name == name);
    let index = place.and_then(|place| u16::try_from(place).ok());
    index.map(ServerIndex).ok_or_else(|| unknown("server", name))
}

/// The vserver that is named, or the one that the client may bind at, or whose clients get the server's messages.
fn vserver_of(
    settings: &Settings,
    arguments: &RouteArguments,
    client: Option<ClientIndex>,
    server: Option<ServerIndex>,
) -> Result<VserverIndex, Failure> {
    if let Some(name) = arguments.vserver.as_deref() {
        let place = settings.vservers.iter().position(|vserver| vserver.name == name);
        let index = place.and_then(|place| u16::try_from(place).ok());
        return index.map(VserverIndex).ok_or_else(|| unknown("vserver", name));
    }
    let of_server =
        server.and_then(|server| settings.servers[usize::from(server.0)].mobile_originated_vserver);
    let of_client = client.and_then(|client| settings.clients[client.0 as usize].vservers.first().copied());
    Ok(of_server.or(of_client).unwrap_or(VserverIndex(0)))
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(exit::USAGE, format!("the file has no {what} \"{name}\""))
}

#[cfg(test)]
mod tests {
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
    "#;

    fn explained(arguments: &str) -> String {
        let (configuration, problems) = config::Configuration::parse(FILE).expect("it is TOML");
        let settled = config::settle(&configuration, problems, &[0]);
        assert_eq!(settled.problems, vec![]);
        let effective = settled.effective.expect("it is right");
        let words = format!("route --explain --config f {arguments}");
        let line = Line::try_parse_from(words.split_whitespace()).expect("good arguments");
        match explain_with(&effective.settings, &line.route) {
            Ok(lines) => lines,
            Err(failure) => format!("{failure:?}"),
        }
    }

    /// Goal: each outcome is told: a rejection, a change with the servers, no rule at all, MO; an unknown name is blamed.
    #[test]
    fn every_outcome_is_told() {
        let cases = [
            (
                "--source 66612 --destination 1",
                "vserver sms\nrule 1 of 3: spam\nrejected with ESME_RSUBMITFAIL\n",
            ),
            (
                "--client esme1 --destination 07700",
                "vserver sms\nrule 2 of 3: rule 2\ndestination 07700 (TON 0, NPI 0) becomes 447700 (TON 1, NPI 0)\nto one of: b\n",
            ),
            (
                "--destination 07700",
                "vserver sms\nno rule of 3 matches\nto one of: a, b\n",
            ),
            (
                "--server a --destination 1",
                "vserver sms\nrule 3 of 3: rule 3\nrejected with ESME_RX_R_APPN\n",
            ),
            (
                "--server b --destination 1",
                "vserver sms\nno rule of 3 matches\nto the clients of vserver sms\n",
            ),
            (
                "--client esme1 --vendor-command",
                "vserver sms\nno rule of 3 matches\nrefused with generic_nack ESME_RINVCMDID\n",
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(explained(arguments), expected, "{arguments}");
        }
        assert!(explained("--client nobody").contains("the file has no client"));
    }
}
