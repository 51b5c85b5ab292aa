//! How long a request of an ESME may wait in the engines before it is on its way to a server, or answered: not at all, or
//! where requests are held for `hold-time`.
//!
//! It is measured from the moment in which an engine consumes the request to the one in which a server, or its ESME the answer,
//! reads it; so only links count that neither tear octets apart nor let them wait.

use crate::event::LinkId;
use crate::host::Host;
use crate::ledger::is_throttling;
use crate::link::{Link, Peer};
use crate::pdu::{Pdu, command};
use crate::world::World;
use smppmux_engine::core::settings::{AllServersDown, Overload};
use std::time::Duration;

/// From core to core to core, and until turns end, it takes less.
const WAY_TIME: Duration = Duration::from_millis(400);

impl World {
    /// A peer has written a PDU: an ESME a request, perhaps.
    pub(crate) fn request_written(&mut self, id: LinkId, pdu: &Pdu) {
        let is_esme = matches!(self.links[id].peer, Peer::Esme(_));
        let is_request = is_esme
            && matches!(
                pdu.command,
                command::SUBMIT_SM
                    | command::SUBMIT_MULTI
                    | command::BROADCAST_SM
                    | command::DATA_SM
                    | command::QUERY_SM
                    | command::CANCEL_SM
                    | command::REPLACE_SM
            );
        if let Some(number) = pdu.message().filter(|_| is_request) {
            self.ledger.requests[number].link = Some(id);
            let link = &mut self.links[id];
            link.asked.push_back((link.written_octets, number));
        }
    }

    /// An engine has consumed octets of an ESME.
    pub(crate) fn requests_taken(&mut self, id: LinkId) {
        let link = &mut self.links[id];
        let has_bind = link.consumed_octets > 0 && matches!(link.peer, Peer::Esme(_));
        if has_bind {
            // Nothing else comes first, and it is consumed whole.
            link.session.bind_taken_at.get_or_insert(self.now);
        }
        while let Some((end, number)) = link.asked.front().copied() {
            if end > link.consumed_octets {
                break;
            }
            link.asked.pop_front();
            self.ledger.requests[number].taken_at = Some(self.now);
        }
    }

    /// A request has reached a server on a link, for the first time, or its ESME reads there that nobody had room for it.
    pub(crate) fn check_hold_time(&self, number: usize, id: LinkId, status: Option<u32>) {
        let request = &self.ledger.requests[number];
        // Segments wait for each other, and identities for their sessions.
        let is_plain = request.segment.is_none() && !self.scenario.is_forward;
        let is_due = is_plain && request.reached.is_none() && status.is_none_or(is_throttling);
        let Some(taken_at) = request.taken_at.filter(|_| is_due) else {
            return;
        };
        let link = &self.links[id];
        let is_swift = !link.was_slow && !link.session.was_deaf && self.scenario.faults.split == 0;
        // What was not written to a session that ended goes to another one, and what came back from a core that stalled or left.
        let has_ended = |link: &Link| link.ended_at.is_some_and(|at| at >= taken_at);
        let has_lost = |host: &Host| host.server_lost_at.is_some_and(|at| at >= taken_at);
        let moves = self.links.iter().any(has_ended) || self.hosts.iter().any(has_lost);
        if !is_swift || !self.is_calm_since(taken_at) || moves {
            return;
        }
        let vserver = &self.scenario.settings.vservers[0];
        let is_held = vserver.overload == Overload::Hold || vserver.all_servers_down == AllServersDown::Hold;
        let hold_time = if is_held {
            vserver.hold_time
        } else {
            Duration::ZERO
        };
        let network = Duration::from_millis(u64::from(self.scenario.faults.network_delay_ms) + 1);
        let waited = self.now.since(taken_at);
        assert!(
            waited <= hold_time + network + WAY_TIME,
            "request {number} was in the engines for {waited:?}, where a request is held for {hold_time:?}"
        );
    }
}
