//! The picture of the traffic: who sends by which core to whom.

use super::growth::Growth;
use super::rows::{ClientGrowth, LiveClient, LiveServer, most_important, of_server};
use crate::admin::control::Snapshot;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::report::ServerReport;
use smppmux_engine::core::settings::{ClientIndex, ServerIndex};
use utoipa::ToSchema;

/// Parties of each side that the picture shows by name; one more stands for all the others.
const NAMED_MAX: usize = 8;

/// Traffic between the parties and the cores, in messages a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Flows {
    /// The cores, in the order that the rates of each flow have.
    pub(crate) cores: Vec<u16>,
    /// Accounts with a session: those that do most, then all others together.
    pub(crate) clients: Vec<Flow>,
    /// Servers: those that are not well and those that do most, then all others together.
    pub(crate) servers: Vec<Flow>,
}

/// What one party, or all others together, exchange with each core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Flow {
    /// Its name; none for the others together.
    pub(crate) name: Option<String>,
    /// How many parties it stands for.
    pub(crate) parties: u64,
    /// Those among them that are down, or that are drained.
    pub(crate) unwell: u64,
    /// Messages from clients to servers, with each core.
    pub(crate) mobile_terminated: Vec<f64>,
    /// Messages from servers to clients, with each core.
    pub(crate) mobile_originated: Vec<f64>,
}

impl Flows {
    pub(super) fn of(
        now: &Snapshot,
        growth: &Growth<'_>,
        grown: &ClientGrowth,
        servers: &[(ServerIndex, LiveServer)],
        clients: &[(Option<ClientIndex>, LiveClient)],
    ) -> Self {
        let cores: Vec<u16> = now.reports.iter().map(|report| report.engine.core).collect();
        Self {
            clients: client_flows(growth, grown, clients, &cores),
            servers: server_flows(growth, servers, &cores),
            cores,
        }
    }
}

fn server_flows(growth: &Growth<'_>, servers: &[(ServerIndex, LiveServer)], cores: &[u16]) -> Vec<Flow> {
    let (named, left_out) = most_important(servers.iter().collect(), NAMED_MAX, |(_, server)| {
        server.importance()
    });
    let named_flow = |(_, server): &&(ServerIndex, LiveServer)| Flow {
        name: Some(server.row.name.clone()),
        parties: 1,
        unwell: u64::from(is_unwell(server)),
        ..Flow::of_nobody(cores.len())
    };
    let mut flows: Vec<Flow> = named.iter().map(named_flow).collect();
    let unwell = servers.iter().filter(|(_, server)| is_unwell(server)).count() as u64;
    let mut others = Flow {
        parties: left_out,
        unwell: unwell.saturating_sub(flows.iter().map(|flow| flow.unwell).sum()),
        ..Flow::of_nobody(cores.len())
    };
    for (then, now) in growth.pairs() {
        let Some(place) = cores.iter().position(|core| *core == now.engine.core) else {
            continue;
        };
        for (index, _) in servers {
            let rate = |figure: fn(&ServerReport) -> u64| {
                let figure = |report| of_server(report, *index).map_or(0, figure);
                growth.per_second(figure(now).saturating_sub(figure(then)))
            };
            let found = named.iter().position(|(other, _)| other == index);
            let flow = found
                .and_then(|found| flows.get_mut(found))
                .unwrap_or(&mut others);
            flow.add(
                place,
                rate(|server| server.requests),
                rate(|server| server.mobile_originated),
            );
        }
    }
    if others.parties > 0 {
        flows.push(others);
    }
    flows
}

fn is_unwell(server: &LiveServer) -> bool {
    server.row.sessions == 0 || server.row.is_draining || server.row.ejected_cores > 0
}

fn client_flows(
    growth: &Growth<'_>,
    grown: &ClientGrowth,
    clients: &[(Option<ClientIndex>, LiveClient)],
    cores: &[u16],
) -> Vec<Flow> {
    let bound = || clients.iter().filter(|(_, client)| client.row.sessions > 0);
    let (named, left_out) = most_important(bound().collect(), NAMED_MAX, |(_, client)| client.importance());
    let named_flow = |(_, client): &&(Option<ClientIndex>, LiveClient)| Flow {
        name: Some(client.row.system_id.clone()),
        parties: 1,
        unwell: u64::from(client.row.is_draining),
        ..Flow::of_nobody(cores.len())
    };
    let mut flows: Vec<Flow> = named.iter().map(named_flow).collect();
    let drained = bound().filter(|(_, client)| client.row.is_draining).count() as u64;
    let mut others = Flow {
        parties: left_out,
        unwell: drained.saturating_sub(flows.iter().map(|flow| flow.unwell).sum()),
        ..Flow::of_nobody(cores.len())
    };
    for (place, core) in cores.iter().enumerate() {
        for (client, counts) in grown.on(*core) {
            let found = named.iter().position(|(index, _)| *index == client);
            let flow = found
                .and_then(|found| flows.get_mut(found))
                .unwrap_or(&mut others);
            flow.add(
                place,
                growth.per_second(counts.requests),
                growth.per_second(counts.deliveries),
            );
        }
    }
    if others.parties > 0 {
        flows.push(others);
    }
    flows
}

impl Flow {
    fn of_nobody(cores: usize) -> Self {
        Self {
            mobile_terminated: vec![0.0; cores],
            mobile_originated: vec![0.0; cores],
            ..Self::default()
        }
    }

    fn add(&mut self, place: usize, terminated: f64, originated: f64) {
        for (rates, rate) in [
            (&mut self.mobile_terminated, terminated),
            (&mut self.mobile_originated, originated),
        ] {
            if let Some(sum) = rates.get_mut(place) {
                *sum = super::growth::rounded(*sum + rate);
            }
        }
    }
}
