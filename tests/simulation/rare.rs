//! What few peers send: submit_multi, broadcast_sm (v5.0) and alert_notification. A quarter of the runs have them.
//!
//! A submit_multi is one message to several destinations, each of which meets the rules as if it were the only one (`rules.rs`);
//! its answer may name some that did not get it. An alert_notification has no answer: it reaches one ESME that may have it, or nobody.

use crate::event::LinkId;
use crate::pdu::{Pdu, command};
use crate::ranges::DESTINATIONS;
use crate::scenario::EsmePlan;
use crate::versions::V50;
use crate::world::World;
use smppmux_engine::core::settings::ServerSettings;

/// Of bits of the draw that nobody else looks at, so that the others' runs stay what they were.
pub(crate) const fn are_sent(seed: u64) -> bool {
    seed >> 40 & 3 == 1
}

/// In half of these runs all peers know all commands.
pub(crate) fn draw(seed: u64, servers: &mut [ServerSettings], esmes: &mut [EsmePlan]) {
    if !are_sent(seed) || seed >> 42 & 1 == 0 {
        return;
    }
    servers
        .iter_mut()
        .for_each(|server| server.interface_version = V50);
    esmes.iter_mut().for_each(|esme| esme.version = V50);
}

/// An alert_notification of an SMSC.
#[derive(Debug)]
pub(crate) struct Alert {
    pdu: Pdu,
    destination: &'static str,
    has_reached: bool,
}

impl World {
    /// A submit_multi, or a broadcast_sm of an ESME that may send one.
    pub(crate) fn esme_submits_rarely(&mut self, index: usize, id: LinkId) {
        let wished = self.any_sequence();
        let sequence = self.links[id].session.free_sequence(wished);
        let number = self.ledger.requests.len();
        let is_broadcast = self.esmes[index].plan.version == V50 && self.random.chance(300);
        let pdu = if is_broadcast {
            broadcast(sequence, number)
        } else {
            let destinations: Vec<Option<&str>> = (0..self.random.between(1, 4))
                .map(|_| (!self.random.chance(150)).then(|| *self.random.pick(&DESTINATIONS)))
                .collect();
            let octets = self.random.between(0, 160);
            submit_multi(sequence, number, &destinations, octets)
        };
        self.ledger
            .request_sent(index, pdu.clone(), self.now, None, false);
        // Whose a broadcast is, is always remembered.
        self.ledger.requests[number].wants_receipt = is_broadcast && !self.scenario.is_forward;
        self.links[id].session.outstanding.insert(sequence, number);
        self.peer_writes(id, &pdu);
    }

    /// A request has reached a server.
    pub(crate) fn note_rare(&mut self, pdu: &Pdu) {
        self.exercised.several_destinations += u64::from(pdu.command == command::SUBMIT_MULTI);
        self.exercised.broadcasts += u64::from(pdu.command == command::BROADCAST_SM);
    }

    pub(crate) fn smsc_alerts(&mut self, id: LinkId) {
        let sequence = self.any_sequence();
        let destination = *self.random.pick(&DESTINATIONS);
        let number = self.alerts.len();
        let pdu = Pdu::new(command::ALERT_NOTIFICATION, 0, sequence)
            .octets(&[1, 1])
            .text(number.to_string().as_bytes())
            .octets(&[1, 1])
            .text(destination.as_bytes());
        self.alerts.push(Alert {
            pdu: pdu.clone(),
            destination,
            has_reached: false,
        });
        self.peer_writes(id, &pdu);
    }

    pub(crate) fn esme_gets_alert(&mut self, index: usize, id: LinkId, pdu: &Pdu) {
        let (kind, _) = self.links[id].session.bound.expect("checked for every request");
        assert!(
            crate::esme::receives(kind),
            "link {id}: an alert to a transmitter"
        );
        let number = pdu.alert().expect("every alert is numbered");
        let alert = &mut self.alerts[number];
        assert!(!alert.has_reached, "alert {number} came a second time");
        assert_eq!(pdu.body, alert.pdu.body, "alert {number} was changed on its way");
        alert.has_reached = true;
        self.exercised.alerts += 1;
        let destination = self.alerts[number].destination;
        assert!(
            self.specificity(index, destination).is_some(),
            "alert {number} to {destination} is not for ESME {index}"
        );
    }
}

impl Pdu {
    /// The number of an alert_notification, which it carries as its source address.
    fn alert(&self) -> Option<usize> {
        let digits = self.body.get(2..)?.split(|octet| *octet == 0).next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// To addresses, and where there is none to a list that only the server knows.
fn submit_multi(sequence: u32, number: usize, destinations: &[Option<&str>], text_octets: usize) -> Pdu {
    let text: Vec<u8> = (0..text_octets).map(|at| (at + number) as u8).collect();
    let mut pdu = Pdu::new(command::SUBMIT_MULTI, 0, sequence)
        .text(b"")
        .octets(&[1, 1])
        .text(number.to_string().as_bytes())
        .octets(&[destinations.len() as u8]);
    for destination in destinations {
        pdu = match destination {
            Some(address) => pdu.octets(&[1, 1, 1]).text(address.as_bytes()),
            None => pdu.octets(&[2]).text(b"888765list"),
        };
    }
    pdu.octets(&[0; 3])
        .text(b"")
        .text(b"")
        .octets(&[0, 0, 0, 0, text_octets as u8])
        .octets(&text)
}

fn broadcast(sequence: u32, number: usize) -> Pdu {
    Pdu::new(command::BROADCAST_SM, 0, sequence)
        .text(b"")
        .octets(&[1, 1])
        .text(number.to_string().as_bytes())
        .text(b"")
        .octets(&[0])
        .text(b"")
        .text(b"")
        .octets(&[0, 0, 0])
        // broadcast_area_identifier, broadcast_content_type, broadcast_rep_num, broadcast_frequency_interval.
        .octets(&[0x06, 0x06, 0, 3, 0, b'a', b'b'])
        .octets(&[0x06, 0x01, 0, 3, 0, 0, 0])
        .octets(&[0x06, 0x04, 0, 2, 0, 1])
        .octets(&[0x06, 0x05, 0, 3, 8, 0, 1])
}

/// What a submit_multi_resp says behind its id: that every destination has got it, or that the first address of some has not, as the
/// SMSC knows it.
pub(crate) fn unsuccessful(request: &Pdu) -> Vec<u8> {
    if request.command != command::SUBMIT_MULTI {
        return Vec::new();
    }
    let has_failed = request.message().is_some_and(|number| number.is_multiple_of(3));
    match request.destinations().first().filter(|_| has_failed) {
        Some((_, address)) => [&[1, 1, 1], *address, &[0, 0, 0, 0, 0x0B]].concat(),
        None => vec![0],
    }
}
