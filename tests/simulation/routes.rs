//! Who may get a message: the model of ranges and binds.

use crate::esme::receives;
use crate::event::LinkId;
use crate::host::Host;
use crate::ledger::Request;
use crate::link::{End, Peer};
use crate::pdu::Pdu;
use crate::ranges::RANGES;
use crate::world::World;
use smppmux_engine::core::settings::ReceiptRoute;
use smppmux_engine::core::time::Moment;
use std::time::Duration;

/// How long a bind_resp waits for the other cores at most.
const BIND_RESP_WAITS: Duration = Duration::from_millis(50);

impl World {
    /// A receipt for this ESME's account. For another one it has to be one that took the fallback, and its submitter must not
    /// have been known.
    pub(crate) fn is_receipt_of(&self, index: usize, pdu: &Pdu) -> bool {
        let number = pdu.message().expect("every message is numbered");
        let message = &self.ledger.messages[number];
        let Some(receipt) = &message.receipt_of else {
            return false;
        };
        if self.scenario.settings.vservers[0].receipts.route == ReceiptRoute::Address {
            return false;
        }
        let submitter = &self.esmes[self.ledger.requests[receipt.request].esme].plan;
        let is_theirs = submitter.system_id == self.esmes[index].plan.system_id;
        assert!(
            is_theirs || !self.ledger.is_certain(receipt, message.sent_at),
            "message {number}: the receipt of {} went to ESME {index}, of another account",
            submitter.system_id
        );
        self.is_receipt_for(number, &self.esmes[index].plan.system_id)
    }

    /// A receipt of what this account has submitted, or what may be taken for one as long as nothing better is known.
    pub(crate) fn is_receipt_for(&self, number: usize, system_id: &str) -> bool {
        let message = &self.ledger.messages[number];
        let is_theirs = |request: &Request| self.esmes[request.esme].plan.system_id == system_id;
        message.receipt_of.as_ref().is_some_and(|receipt| {
            let mut others = self.ledger.taken_for(receipt, message.sent_at);
            is_theirs(&self.ledger.requests[receipt.request]) || others.any(|(other, _)| is_theirs(other))
        })
    }

    pub(crate) fn note_core_trouble(&mut self) {
        let is_trouble = |host: &Host| host.is_gone || host.is_draining || host.has_stalled;
        self.ledger.had_core_trouble |= self.hosts.iter().any(is_trouble);
    }

    /// The message is for this session's range, and no more specific range had a session that could take it.
    pub(crate) fn check_route(&self, index: usize, id: LinkId, pdu: &Pdu) {
        let number = pdu.message().expect("every message is numbered");
        let message = &self.ledger.messages[number];
        if self.scenario.is_forward {
            assert_eq!(
                self.links[message.link].session.system_id,
                self.esmes[index].plan.system_id.as_bytes(),
                "message {number} of another identity"
            );
            return;
        }
        let specificity = self.specificity(index, message.destination);
        let specificity = specificity.unwrap_or_else(|| {
            panic!(
                "message {number} to {} is not for ESME {index}",
                message.destination
            )
        });
        // It may have gone where an earlier message had its place.
        if message.segment.is_some_and(|place| self.is_mixed_up(place.group)) {
            return;
        }
        for (other, esme) in self.esmes.iter().enumerate() {
            let Some(link) = esme.link.filter(|link| *link != id) else {
                continue;
            };
            if self.may_be_drained(link) {
                continue;
            }
            let better = self
                .specificity(other, message.destination)
                .filter(|it| *it > specificity);
            assert!(
                better.is_none() || !self.was_ready_since(link, message.sent_at),
                "message {number} to {} went to ESME {index}, while ESME {other} claims it more precisely",
                message.destination
            );
        }
    }

    /// How specific an ESME's claim on an address is, if it has one.
    pub(crate) fn specificity(&self, index: usize, address: &str) -> Option<u32> {
        let ranges = self.esmes[index].plan.ranges.iter().map(|range| &RANGES[*range]);
        ranges
            .filter(|range| range.covers(address))
            .map(|range| range.specificity)
            .max()
    }

    /// How long after a bind_resp a message may arrive that left with it. Where nothing tears them apart, they come together.
    pub(crate) fn bind_resp_company(&self) -> Duration {
        let faults = &self.scenario.faults;
        if faults.split == 0 && faults.small_kernel_buffer == 0 {
            Duration::from_millis(1)
        } else {
            BIND_RESP_WAITS
        }
    }

    /// A session that every core had heard of before `moment`, and that nothing has happened to since. One that did not read, or has
    /// octets on their way to it, may have been unbound without knowing.
    fn was_ready_since(&self, id: LinkId, moment: Moment) -> bool {
        let link = &self.links[id];
        let is_undisturbed = self.hosts.iter().all(|host| host.serves() && !host.has_stalled);
        let Some((kind, since)) = link.session.bound else {
            return false;
        };
        let Peer::Esme(_) = link.peer else { return false };
        // A message for a session whose bind_resp still waits makes that leave before every core knows of it.
        let since = if link.session.began_early == Some(true) {
            since + BIND_RESP_WAITS
        } else {
            since
        };
        is_undisturbed
            && receives(kind)
            && since < moment
            && link.engine_end == End::Open
            && link.peer_end == End::Open
            && !link.is_broken
            && !link.session.is_leaving
            && !link.session.was_deaf
            && !link.has_octets_under_way()
    }
}
