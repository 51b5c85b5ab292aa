//! What is worked out of the settings once, for all cores.

use super::{
    ClientSettings, EmptyRange, MessageIdMode, ReceiptRoute, ServerIndex, ServerSettings, VserverIndex,
    VserverSettings,
};
use crate::core::tag::IdTag;

/// For each vserver, whether a bind without a range gets all there is, and some account may bind so to receive.
pub(super) fn takes_everything(vservers: &[VserverSettings], clients: &[ClientSettings]) -> Vec<bool> {
    let of_vserver = |(index, vserver): (u16, &VserverSettings)| {
        let may_receive =
            |client: &ClientSettings| client.may_bind_at(VserverIndex(index)) && client.may_receive();
        vserver.empty_range == EmptyRange::All && clients.iter().any(may_receive)
    };
    (0_u16..).zip(vservers).map(of_vserver).collect()
}

/// The tag of each server's ids for each vserver, a vserver's in a row.
pub(super) fn id_tags(vservers: &[VserverSettings], servers: &[ServerSettings]) -> Vec<Option<IdTag>> {
    let tag = |vserver: &VserverSettings, server: &ServerSettings| {
        let is_tagged = vserver.message_id.mode == MessageIdMode::Tagged;
        IdTag::new(vserver.signature.as_bytes(), server.uid).filter(|_| is_tagged)
    };
    vservers
        .iter()
        .flat_map(|vserver| servers.iter().map(move |server| tag(vserver, server)))
        .collect()
}

/// For each server, whether it matters whose its receipts are: some vserver in front of it gives them to the submitter, or
/// writes ids that only their owner can have.
pub(super) fn receipts_need_owner(vservers: &[VserverSettings], servers: usize) -> Vec<bool> {
    let mut needed = vec![false; servers];
    let asking = vservers.iter().filter(|vserver| {
        vserver.receipts.route == ReceiptRoute::Submitter || vserver.message_id.mode == MessageIdMode::Signed
    });
    for ServerIndex(server) in asking.flat_map(|vserver| &vserver.servers) {
        if let Some(needed) = needed.get_mut(usize::from(*server)) {
            *needed = true;
        }
    }
    needed
}
