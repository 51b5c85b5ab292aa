//! What the rules of some settings say of one message: in words, and as the admin interface tells it.

use crate::arguments::MessageArguments;
use serde::{Deserialize, Serialize};
use smppmux_engine::core::route::{AddressChange, Direction, RouteAction, RouteQuery, RouteRule};
use smppmux_engine::core::settings::{Auth, ClientIndex, ServerIndex, Settings, VserverIndex};
use smppmux_engine::core::wire::{Address, Status};
use std::fmt::{self, Write as _};
use utoipa::ToSchema;

/// What the rules would do with a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Explanation {
    /// The vserver whose rules it meets; none where no vserver lists the server that sends it.
    pub(crate) vserver: Option<String>,
    /// Rules that there are.
    pub(crate) rules: usize,
    /// It meets them. A message of a server that no vserver lists meets none, nor one to a client whose login is forwarded.
    pub(crate) meets_rules: bool,
    /// The first one that matches.
    pub(crate) rule: Option<MatchingRule>,
    /// What the message is answered instead of being sent on.
    pub(crate) rejected_with: Option<String>,
    /// The source, where it is changed.
    pub(crate) source: Option<ChangedAddress>,
    /// The destination, where it is changed.
    pub(crate) destination: Option<ChangedAddress>,
    /// The servers that may take it (MT), the balancer chooses.
    pub(crate) servers: Vec<ServerOfMessage>,
    /// The vserver whose clients get it (MO).
    pub(crate) clients_of: Option<String>,
    /// The account that gets it (MO).
    pub(crate) client: Option<String>,
}

/// A rule that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct MatchingRule {
    /// Its place in the configuration, from 1.
    pub(crate) number: u16,
    /// Its name.
    pub(crate) name: String,
}

/// An address that a rule changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChangedAddress {
    /// As it comes.
    pub(crate) before: NumberedAddress,
    /// As it goes on.
    pub(crate) after: NumberedAddress,
}

/// An address with its numbering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct NumberedAddress {
    /// The address.
    pub(crate) address: String,
    /// Its type of number.
    pub(crate) ton: u8,
    /// Its numbering plan.
    pub(crate) npi: u8,
}

/// A server that may take a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServerOfMessage {
    /// Its name.
    pub(crate) name: String,
    /// It has a bound session. None where nothing runs, and where each client has sessions of its own (`auth = "forward"`).
    pub(crate) is_bound: Option<bool>,
    /// An operator drains it, so it gets no new message. None where `is_bound` is none.
    pub(crate) is_draining: Option<bool>,
}

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerState {
    /// It has a bound session.
    pub(crate) is_bound: bool,
    /// An operator drains it.
    pub(crate) is_draining: bool,
}

/// Where it is known how a server is: nowhere where nothing runs.
pub(crate) type StateOf<'a> = &'a dyn Fn(ServerIndex) -> Option<ServerState>;

/// A name that the settings do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownName {
    what: &'static str,
    name: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.what, self.name)
    }
}

/// What an explanation is made of.
#[derive(Clone, Copy)]
struct Known<'a> {
    settings: &'a Settings,
    state_of: StateOf<'a>,
}

/// A vendor command that no rule lets through.
const REFUSED_VENDOR_COMMAND: &str = "generic_nack ESME_RINVCMDID";

impl Explanation {
    /// Looks for the rule of a message, and for what is known of the servers that may take it.
    pub(crate) fn of(
        settings: &Settings,
        message: &MessageArguments,
        state_of: StateOf<'_>,
    ) -> Result<Self, UnknownName> {
        let known = Known { settings, state_of };
        let client = message.client.as_deref();
        let client = client.map(|name| client_of(settings, name)).transpose()?;
        let server = message.server.as_deref();
        let server = server.map(|name| server_of(settings, name)).transpose()?;
        let Some(vserver) = vserver_of(settings, message.vserver.as_deref(), client, server)? else {
            return Ok(Self::without_vserver(settings, message.vendor_command));
        };
        let query = RouteQuery {
            // A server decides who such a client is: it has no account here.
            client: client.filter(|_| !forwards(settings, vserver)),
            server,
            source: Address {
                ton: message.source_ton,
                npi: message.source_npi,
                addr: message.source.as_bytes(),
            },
            destination: message.destination.as_deref().map(|addr| Address {
                ton: message.destination_ton,
                npi: message.destination_npi,
                addr: addr.as_bytes(),
            }),
            service_type: message.service_type.as_bytes(),
            data_coding: message.data_coding,
            esm_class: message.esm_class,
            is_vendor_command: message.vendor_command,
        };
        let direction = if server.is_some() {
            Direction::MobileOriginated
        } else {
            Direction::MobileTerminated
        };
        let mut explanation = Self {
            vserver: Some(settings.vservers[usize::from(vserver.0)].name.clone()),
            rules: settings.routes.len(),
            meets_rules: message.vendor_command
                || server.is_none_or(|server| has_own_sessions(settings, server)),
            ..Self::default()
        };
        let table = settings.route_table(vserver, direction, 0);
        let table = table.filter(|_| explanation.meets_rules);
        match table.as_ref().and_then(|table| table.first_match(&query)) {
            Some((number, rule)) => {
                explanation.rule = Some(MatchingRule {
                    number: number + 1,
                    name: rule.name.clone(),
                });
                explanation.apply(known, vserver, direction, rule, &query);
            }
            None if query.is_vendor_command => {
                explanation.rejected_with = Some(REFUSED_VENDOR_COMMAND.into());
            }
            None => explanation.go_on(known, vserver, direction, query.client, &[]),
        }
        Ok(explanation)
    }

    /// A server that no vserver lists has nobody to whom its messages could go.
    fn without_vserver(settings: &Settings, is_vendor_command: bool) -> Self {
        let answer = if is_vendor_command {
            REFUSED_VENDOR_COMMAND.into()
        } else {
            Status::ESME_RX_T_APPN.to_string()
        };
        Self {
            rules: settings.routes.len(),
            rejected_with: Some(answer),
            ..Self::default()
        }
    }

    fn apply(
        &mut self,
        known: Known<'_>,
        vserver: VserverIndex,
        direction: Direction,
        rule: &RouteRule,
        query: &RouteQuery<'_>,
    ) {
        match &rule.action {
            RouteAction::Reject(_) if query.is_vendor_command => {
                self.rejected_with = Some(REFUSED_VENDOR_COMMAND.into());
            }
            RouteAction::Reject(status) => self.rejected_with = Some(status.to_string()),
            RouteAction::Forward {
                client: Some(client), ..
            } => {
                self.client = Some(known.settings.clients[client.0 as usize].system_id.clone());
            }
            RouteAction::Forward {
                servers,
                vserver: to,
                rewrite,
                client: None,
            } => {
                if !query.is_vendor_command {
                    self.source = changed(&rewrite.source, query.source);
                    self.destination = query
                        .destination
                        .and_then(|address| changed(&rewrite.destination, address));
                }
                self.go_on(known, to.unwrap_or(vserver), direction, query.client, servers);
            }
        }
    }

    /// Whoever a message goes to that is not rejected.
    fn go_on(
        &mut self,
        known: Known<'_>,
        vserver: VserverIndex,
        direction: Direction,
        client: Option<ClientIndex>,
        group: &[ServerIndex],
    ) {
        let Known { settings, state_of } = known;
        let is_forwarded = forwards(settings, vserver);
        let vserver = &settings.vservers[usize::from(vserver.0)];
        if direction == Direction::MobileOriginated {
            self.clients_of = Some(vserver.name.clone());
            return;
        }
        let allowed = client.map_or(&[][..], |client| &settings.clients[client.0 as usize].servers);
        let may_take = vserver
            .servers
            .iter()
            // Each client has sessions of its own there, and no rule keeps it from one of them.
            .filter(|server| is_forwarded || group.is_empty() || group.contains(server))
            .filter(|server| allowed.is_empty() || allowed.contains(server));
        self.servers = may_take
            .map(|server| {
                let state = state_of(*server).filter(|_| !is_forwarded);
                ServerOfMessage {
                    name: settings.servers[usize::from(server.0)].name.clone(),
                    is_bound: state.map(|state| state.is_bound),
                    is_draining: state.map(|state| state.is_draining),
                }
            })
            .collect();
    }

    /// In words, a line for each thing.
    pub(crate) fn lines(&self) -> String {
        let mut lines = match &self.vserver {
            Some(vserver) => format!("vserver {vserver}\n"),
            None => "no vserver lists the server\n".to_owned(),
        };
        let _ = match &self.rule {
            Some(rule) => writeln!(lines, "rule {} of {}: {}", rule.number, self.rules, rule.name),
            None if self.meets_rules => writeln!(lines, "no rule of {} matches", self.rules),
            None => writeln!(lines, "it meets no rules"),
        };
        for (name, change) in [("source", &self.source), ("destination", &self.destination)] {
            if let Some(ChangedAddress { before, after }) = change {
                let _ = writeln!(lines, "{name} {before} becomes {after}");
            }
        }
        let _ = match (&self.rejected_with, &self.client, &self.clients_of) {
            (Some(status), ..) => writeln!(lines, "rejected with {status}"),
            (None, Some(client), _) => writeln!(lines, "to the sessions of {client}"),
            (None, None, Some(vserver)) => writeln!(lines, "to the clients of vserver {vserver}"),
            (None, None, None) if self.servers.is_empty() => {
                writeln!(lines, "no server may take it: answered {}", Status::ESME_RSYSERR)
            }
            (None, None, None) => {
                let names: Vec<String> = self.servers.iter().map(ServerOfMessage::words).collect();
                writeln!(lines, "to one of: {}", names.join(", "))
            }
        };
        lines
    }
}

impl ServerOfMessage {
    fn words(&self) -> String {
        let remark = match (self.is_bound == Some(false), self.is_draining == Some(true)) {
            (false, false) => "",
            (true, false) => " (not bound)",
            (false, true) => " (drained)",
            (true, true) => " (not bound, drained)",
        };
        format!("{}{remark}", self.name)
    }
}

impl NumberedAddress {
    fn new(addr: &[u8], ton: u8, npi: u8) -> Self {
        Self {
            address: String::from_utf8_lossy(addr).into_owned(),
            ton,
            npi,
        }
    }
}

impl fmt::Display for NumberedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, ton, npi } = self;
        write!(formatter, "{address} (TON {ton}, NPI {npi})")
    }
}

fn changed(change: &AddressChange, address: Address<'_>) -> Option<ChangedAddress> {
    (*change != AddressChange::default()).then(|| ChangedAddress {
        before: NumberedAddress::new(address.addr, address.ton, address.npi),
        after: NumberedAddress::new(
            &change.apply(address.addr),
            change.ton.unwrap_or(address.ton),
            change.npi.unwrap_or(address.npi),
        ),
    })
}

fn client_of(settings: &Settings, name: &str) -> Result<ClientIndex, UnknownName> {
    let client = settings.account(name.as_bytes());
    client.ok_or_else(|| unknown("client", name))
}

fn server_of(settings: &Settings, name: &str) -> Result<ServerIndex, UnknownName> {
    let mut servers = (0_u16..).map(ServerIndex).zip(&settings.servers);
    let found = servers.find(|(index, server)| server.name == name && !settings.is_retired_server(*index));
    found
        .map(|(index, _)| index)
        .ok_or_else(|| unknown("server", name))
}

/// A server decides who a client of this vserver is.
fn forwards(settings: &Settings, VserverIndex(vserver): VserverIndex) -> bool {
    settings.vservers[usize::from(vserver)].auth == Auth::Forward
}

/// A server has sessions that are not those of a single client.
fn has_own_sessions(settings: &Settings, server: ServerIndex) -> bool {
    let mut local = settings
        .vservers
        .iter()
        .filter(|vserver| vserver.auth == Auth::Local);
    local.any(|vserver| vserver.servers.contains(&server))
}

/// The vserver that is named, or the one that the client may bind at, or whose clients get the server's messages: there may be
/// none such.
fn vserver_of(
    settings: &Settings,
    name: Option<&str>,
    client: Option<ClientIndex>,
    server: Option<ServerIndex>,
) -> Result<Option<VserverIndex>, UnknownName> {
    let named = name.map(|name| vserver_named(settings, name)).transpose()?;
    if let Some(server) = server {
        let own = settings.servers[usize::from(server.0)].mobile_originated_vserver;
        return Ok(own.map(|own| named.unwrap_or(own)));
    }
    let of_client = client.and_then(|client| settings.clients[client.0 as usize].vservers.first().copied());
    Ok(named.or(of_client).or(Some(VserverIndex(0))))
}

fn vserver_named(settings: &Settings, name: &str) -> Result<VserverIndex, UnknownName> {
    let mut vservers = (0_u16..).map(VserverIndex).zip(&settings.vservers);
    let found = vservers.find(|(_, vserver)| vserver.name == name);
    found
        .map(|(index, _)| index)
        .ok_or_else(|| unknown("vserver", name))
}

fn unknown(what: &'static str, name: &str) -> UnknownName {
    UnknownName {
        what,
        name: name.to_owned(),
    }
}
