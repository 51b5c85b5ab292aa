//! Which version each peer speaks, and what a peer of another one must never see.
//!
//! Drawn by a chance of its own, so that a run in which all speak v3.4 is the run that its seed has always been. ESMEs of v3.3 are
//! not among them: their ids are short mapped ones, of which the shadow model knows nothing yet.

use crate::pdu::{Pdu, command};
use crate::random::Random;
use crate::scenario::EsmePlan;
use smppmux_engine::core::settings::{ServerBind, ServerSettings};

pub(crate) const V33: u8 = 0x33;
pub(crate) const V34: u8 = 0x34;
pub(crate) const V50: u8 = 0x50;

/// The longest text that a peer of v3.3 can carry.
pub(crate) const SHORT_MESSAGE_OCTETS_MAX: usize = 254;

/// congestion_state of a server that has too much to do: for smppmux alone.
pub(crate) const CONGESTED: [u8; 5] = [0x04, 0x28, 0, 1, 95];

/// In a third of the runs the peers are of several versions.
pub(crate) fn draw(chance: &mut Random, servers: &mut [ServerSettings], esmes: &mut [EsmePlan]) {
    if !chance.chance(300) {
        return;
    }
    for server in servers {
        server.interface_version = *chance.pick(&[V33, V34, V50, V50]);
        if server.interface_version == V33 {
            // It knows no bind_transceiver.
            server.bind = ServerBind::Both;
        }
    }
    for esme in esmes {
        esme.version = *chance.pick(&[V34, V50]);
    }
}

/// A request or message is none that a peer of v3.3 can read.
pub(crate) fn is_newer_than_v33(pdu: &Pdu) -> bool {
    matches!(pdu.command, command::DATA_SM | command::BROADCAST_SM) || pdu.has_tlvs()
}
