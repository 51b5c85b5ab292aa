//! congestion_state (SMPP v5.0 section 4.8.4.18): how busy a peer says it is, in any response.
//!
//! It is about one connection. So a server's slows that server down, and neither side's is ever passed on: a server would
//! take a client's for all of smppmux. Peers of older versions have no such TLV, and what has its tag passes.

use super::contract::ConnectionId;
use super::engine::PacketEngine;
use super::pace::Congestion;
use super::session::Session;
use super::settings::ServerIndex;
use super::time::Moment;
use super::wire::{
    CommandId, HEADER_OCTETS, Header, Tag, Tlvs, Version, patch_command_length, response_tlvs,
};
use bytes::BytesMut;

/// The longest deliver_sm_resp without TLVs: most clients' are no longer, and need no look.
pub(super) const PLAIN_RESPONSE_OCTETS: usize = HEADER_OCTETS + 1;

/// The congestion_state of a v5.0 peer's response, and the TLVs of which it is one.
pub(super) fn congestion_state(
    version: Version,
    command: CommandId,
    pdu: &[u8],
) -> Option<(Congestion, Tlvs<'_>)> {
    if version != Version::V50 {
        return None;
    }
    let tlvs = response_tlvs(command, pdu);
    let state = tlvs.clone().find(Tag::CONGESTION_STATE)?;
    Some((Congestion::of(*state.value.first()?), tlvs))
}

/// Appends a copy of a response without any congestion_state.
pub(super) fn append_without_congestion(out: &mut BytesMut, pdu: &[u8], tlvs: Tlvs<'_>) {
    let start = out.len();
    let mut copied = 0;
    let states = tlvs
        .map_while(Result::ok)
        .filter(|tlv| tlv.tag == Tag::CONGESTION_STATE);
    for state in states {
        out.extend_from_slice(&pdu[copied..state.range.start]);
        copied = state.range.end;
    }
    out.extend_from_slice(&pdu[copied..]);
    patch_command_length(&mut out[start..]);
}

impl PacketEngine {
    /// A server's answer to an enquire_link of ours.
    #[cold]
    pub(super) fn hear_enquired_server(
        &mut self,
        now: Moment,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
    ) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let Some(sent) = session.window.get_mut(header.sequence_number) else {
            return;
        };
        let (sent_at, version) = (sent.sent_at, session.version);
        if let Some(server) = session.server().map(|side| side.server) {
            self.hear_server(now, server, version, header, pdu, sent_at);
        }
    }

    /// A server's answer to a request of our own, which left at `sent_at`.
    pub(super) fn hear_server(
        &mut self,
        now: Moment,
        server: ServerIndex,
        version: Version,
        header: &Header,
        pdu: &[u8],
        sent_at: Moment,
    ) {
        if let Some((state, _)) = congestion_state(version, header.command_id, pdu) {
            self.adapt_pace(now, server, sent_at, false, Some(state));
        }
    }

    /// A client's response as it may be passed on, where it says how busy the client is.
    #[cold]
    pub(super) fn without_congestion(
        &mut self,
        from: ConnectionId,
        header: &Header,
        pdu: &[u8],
    ) -> Option<BytesMut> {
        let version = self.sessions.get(from).map(|session: &Session| session.version)?;
        let (_, tlvs) = congestion_state(version, header.command_id, pdu)?;
        let mut copy = self.buffers.take();
        append_without_congestion(&mut copy, pdu, tlvs);
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every congestion_state goes, and nothing else does, wherever it stands among the TLVs and behind whatever body.
    #[test]
    fn only_congestion_is_taken_away() {
        let (state, other) = (&b"\x04\x28\0\x01\x5B"[..], &b"\x00\x1D\0\x02no"[..]);
        let responses = [
            (CommandId::ENQUIRE_LINK_RESP, &b""[..]),
            (CommandId::SUBMIT_SM_RESP, b"12\0"),
        ];
        for (command, body) in responses {
            for tlvs in [
                vec![state],
                vec![state, other],
                vec![other, state, other, state],
                vec![other],
            ] {
                let write = |tlvs: &[&[u8]]| {
                    let mut pdu = BytesMut::from(&[&[0; HEADER_OCTETS], body, &tlvs.concat()].concat()[..]);
                    patch_command_length(&mut pdu);
                    pdu
                };
                let pdu = write(&tlvs);
                assert!(congestion_state(Version::V34, command, &pdu).is_none());
                let found = congestion_state(Version::V50, command, &pdu);
                assert_eq!(found.is_some(), tlvs.contains(&state));
                let Some((congestion, found)) = found else {
                    continue;
                };
                assert_eq!(congestion, Congestion::TooHigh);
                let mut out = BytesMut::from(&b"before"[..]);
                append_without_congestion(&mut out, &pdu, found);
                let kept: Vec<_> = tlvs.into_iter().filter(|tlv| *tlv != state).collect();
                assert_eq!(&out[6..], &write(&kept)[..]);
            }
        }
    }
}
