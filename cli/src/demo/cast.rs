//! Who plays: the simulated SMSCs and ESMEs of a scene, as arguments of the simulators.

use super::configuration::client_name;
use super::scenario::{CLIENTS_PER_RANGE, PASSWORD, RANGES, SERVER_SYSTEM_ID, SERVERS, Scenario};
use crate::exit::{self, Failure};
use crate::simulator::Pattern;
use crate::simulator::esme::EsmeArguments;
use crate::simulator::smsc::{Account, MobileOriginated, SmscArguments};
use std::net::SocketAddr;
use std::time::Duration;

/// One of the SMSCs; its MO waits until it is released.
pub(super) fn smsc(scenario: &Scenario, name: &str) -> Result<SmscArguments, Failure> {
    let streams = (SERVERS.len() * RANGES.len()) as f64;
    let mobile_originated = RANGES.iter().map(|range| {
        Ok(MobileOriginated {
            destination: pattern(&format!("{range}{{n:06}}"))?,
            rate: scenario.rate.map(|rate| rate / streams),
            count: None,
        })
    });
    Ok(SmscArguments {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        account: vec![Account {
            system_id: SERVER_SYSTEM_ID.to_owned(),
            password: PASSWORD.to_owned(),
        }],
        system_id: name.to_owned(),
        mo: mobile_originated.collect::<Result<_, Failure>>()?,
        mo_window: scenario.window,
        mo_held: true,
        response_timeout: scenario.response_timeout(),
        threads: scenario.simulator_threads(),
        ..SmscArguments::default()
    })
}

/// The ESMEs of range number `range`.
pub(super) fn esmes(scenario: &Scenario, range: usize, target: SocketAddr) -> Result<EsmeArguments, Failure> {
    let connections = scenario.connections_of(range);
    let share = f64::from(connections) / f64::from(scenario.connections);
    Ok(EsmeArguments {
        target: vec![target.to_string()],
        system_id: vec![pattern(&client_name(RANGES[range], "{n}"))?],
        password: vec![pattern(PASSWORD)?],
        accounts: Some(CLIENTS_PER_RANGE),
        address_range: vec![pattern(RANGES[range])?],
        connections,
        window: scenario.window,
        rate: scenario.rate.map(|rate| rate * share),
        source: pattern(RANGES[range])?,
        response_timeout: scenario.response_timeout(),
        // A connection that is lost counts against the demo, so it is not opened again.
        reconnect: Duration::ZERO,
        threads: scenario.simulator_threads(),
        ..EsmeArguments::default()
    })
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    text.parse()
        .map_err(|reason: String| Failure::new(exit::SOFTWARE, format!("smppmux demo: {reason}")))
}
