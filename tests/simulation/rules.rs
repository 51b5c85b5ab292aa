//! Routing rules as the shadow model knows them: which destinations they are about, and in plain Rust what must become of a
//! message.
//!
//! They are drawn by a chance of their own, so that a run without rules is the run that its seed has always been.

use crate::pdu::Pdu;
use crate::random::Random;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::route::{
    AddressChange, AddressMatch, Direction, Rewrite, RouteAction, RouteMatch, RouteRule,
};
use smppmux_engine::core::settings::ServerIndex;
use smppmux_engine::core::wire::Status;

/// What rejects a request, and a message; nobody else gives these answers.
pub(crate) const REJECTED: u32 = 0x0411;
pub(crate) const REFUSED: u32 = 0x0412;

/// Some of these stand in front of others.
const PREFIXES: [&str; 7] = ["888", "8887650", "88871", "24457", "2445799", "1199", "777"];

/// What a rule does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Rejected,
    /// Only this server may take it.
    Confined(usize),
    /// A digit comes behind the prefix: twice would be one too many.
    Renamed(&'static str),
}

/// The rules of a run, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    requests: Vec<(&'static str, Effect)>,
    /// Messages of servers to these are refused.
    refused: Option<&'static str>,
}

impl Rules {
    /// A quarter of the runs have some.
    pub(crate) fn draw(chance: &mut Random, servers: usize, is_forward: bool) -> Self {
        if !chance.chance(250) {
            return Self::default();
        }
        let requests = (0..chance.between(1, 3)).map(|_| {
            let prefix = *chance.pick(&PREFIXES);
            let effect = match chance.below(3) {
                0 => Effect::Rejected,
                // An identity has servers of its own.
                1 if !is_forward => Effect::Confined(chance.below(servers)),
                _ => Effect::Renamed(prefix),
            };
            (prefix, effect)
        });
        Self {
            requests: requests.collect(),
            // Messages to an identity meet no rule.
            refused: (chance.chance(500) && !is_forward).then(|| *chance.pick(&PREFIXES)),
        }
    }

    /// As the engines get them.
    pub(crate) fn routes(&self) -> Vec<RouteRule> {
        let requests = self.requests.iter().map(|(prefix, effect)| {
            let action = match effect {
                Effect::Rejected => RouteAction::Reject(Status(REJECTED)),
                Effect::Confined(server) => forward(vec![ServerIndex(*server as u16)], None),
                Effect::Renamed(_) => forward(Vec::new(), Some(prefix)),
            };
            rule(Direction::MobileTerminated, prefix, action)
        });
        let refused = self.refused.iter().map(|prefix| {
            let action = RouteAction::Reject(Status(REFUSED));
            rule(Direction::MobileOriginated, prefix, action)
        });
        requests.chain(refused).collect()
    }

    /// What becomes of a request to this destination; `None`: it goes its usual way.
    pub(crate) fn effect(&self, destination: &[u8]) -> Option<Effect> {
        let holds = |(prefix, _): &&(&str, Effect)| destination.starts_with(prefix.as_bytes());
        self.requests.iter().find(holds).map(|(_, effect)| *effect)
    }

    /// What becomes of each destination of a request, by itself.
    fn effects(&self, request: &Pdu) -> impl Iterator<Item = Effect> {
        let destinations = request.destinations().into_iter();
        destinations.filter_map(|(_, destination)| self.effect(destination))
    }

    /// A request is rejected: one of its destinations is.
    pub(crate) fn rejects(&self, request: &Pdu) -> bool {
        self.effects(request).any(|effect| effect == Effect::Rejected)
    }

    /// A rule says to which server a request may go.
    pub(crate) fn confines(&self, request: &Pdu) -> bool {
        self.effects(request)
            .any(|effect| matches!(effect, Effect::Confined(_)))
    }

    /// No server may have all of a request's destinations.
    pub(crate) fn tears_apart(&self, request: &Pdu) -> bool {
        let mut only = None;
        self.effects(request).any(|effect| match effect {
            Effect::Confined(server) => *only.get_or_insert(server) != server,
            _ => false,
        })
    }

    /// What a server must get of a request that has reached it as `arrived`: what was sent, but for what a rule changes, and a segment's
    /// reference.
    pub(crate) fn expected_body(&self, number: usize, sent: &Pdu, arrived: &Pdu, server: usize) -> Vec<u8> {
        let mut body = sent.with_reference_of(arrived);
        // From behind, so that what stands in front keeps its place.
        for (at, destination) in sent.destinations().into_iter().rev() {
            match self.effect(destination) {
                None => {}
                Some(Effect::Rejected) => {
                    panic!("request {number} reached server {server} though a rule rejects it")
                }
                Some(Effect::Confined(only)) => {
                    assert_eq!(server, only, "request {number} is for one server alone");
                }
                Some(Effect::Renamed(prefix)) => body.insert(at + prefix.len(), b'0'),
            }
        }
        body
    }

    /// A message to this destination is refused.
    pub(crate) fn refuse(&self, destination: &str) -> bool {
        self.refused.is_some_and(|prefix| destination.starts_with(prefix))
    }
}

fn forward(servers: Vec<ServerIndex>, renames: Option<&str>) -> RouteAction {
    let prefix = renames.map(|prefix| (prefix.len(), format!("{prefix}0").into_bytes().into()));
    RouteAction::Forward {
        servers,
        vserver: None,
        client: None,
        rewrite: Rewrite {
            source: AddressChange::default(),
            destination: AddressChange {
                prefix,
                ..AddressChange::default()
            },
        },
    }
}

fn rule(direction: Direction, prefix: &str, action: RouteAction) -> RouteRule {
    RouteRule {
        name: prefix.into(),
        matches: RouteMatch {
            direction,
            vservers: Vec::new(),
            clients: Vec::new(),
            from_servers: Vec::new(),
            source: AddressMatch::default(),
            destination: AddressMatch {
                range: Some(AddressRange::parse(prefix.as_bytes()).expect("a prefix")),
                ..AddressMatch::default()
            },
            service_type: None,
            data_coding: Vec::new(),
            esm_class: None,
            vendor_commands: false,
        },
        action,
    }
}
