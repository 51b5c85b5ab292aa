//! What faults do to octets that pass.

use std::time::Duration;

use smppmux_engine::core::wire::{
    BindLimits, BindView, CommandId, Concatenation, DataView, MessageView, Status, patch_command_length,
    patch_command_status, patch_sequence_number,
};
use smppmux_tests::pdu::{Pdu, header_only};

use crate::sabotage::{Memory, Way};

/// Nothing.
pub(super) fn nothing(_memory: &mut Memory, _way: Way, pdu: &Pdu) -> Vec<u8> {
    pdu.octets().to_vec()
}

fn numbered(pdu: &Pdu, number: u32) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    patch_sequence_number(&mut octets, number);
    octets
}

fn with_status(pdu: &Pdu, status: Status) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    patch_command_status(&mut octets, status);
    octets
}

fn with_command(pdu: &Pdu, command: CommandId) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    octets[4..8].copy_from_slice(&command.0.to_be_bytes());
    octets
}

/// The same octets with one word in place of another as long.
fn replaced(pdu: &Pdu, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "lengths stay right");
    let mut octets = pdu.octets().to_vec();
    for at in 16..octets.len().saturating_sub(old.len() - 1) {
        if octets[at..].starts_with(old) {
            octets[at..at + old.len()].copy_from_slice(new);
        }
    }
    octets
}

fn is_towards_peer(way: Way, pdu: &Pdu, command: CommandId) -> bool {
    way == Way::ToPeer && pdu.command() == command
}

/// Cuts the numbers of answers to 31 bits.
pub(super) fn cut_numbers(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToPeer && pdu.command().is_response() {
        numbered(pdu, pdu.sequence_number() & 0x7FFF_FFFF)
    } else {
        pdu.octets().to_vec()
    }
}

/// Sets the highest bit of the numbers of its own requests.
pub(super) fn negative_numbers(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    match (way, pdu.command().is_response()) {
        (Way::ToPeer, false) => numbered(pdu, pdu.sequence_number() | 0x8000_0000),
        (Way::ToBalancer, true) => numbered(pdu, pdu.sequence_number() & 0x7FFF_FFFF),
        _ => pdu.octets().to_vec(),
    }
}

/// Numbers all its deliver_sm alike.
pub(super) fn one_number(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::DELIVER_SM) {
        numbered(pdu, 7)
    } else {
        pdu.octets().to_vec()
    }
}

/// Reads one PDU of what comes with a bind or bind_resp.
pub(super) fn one_pdu_with_a_bind(_memory: &mut Memory, way: Way, chunk: &[u8]) -> Vec<u8> {
    let is_bind = chunk.len() > 16 && chunk[5] == 0 && chunk[6] == 0 && chunk[7] == 9;
    if way == Way::ToBalancer && is_bind {
        let length = usize::try_from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
        return chunk[..length.unwrap_or(0).min(chunk.len())].to_vec();
    }
    chunk.to_vec()
}

/// Keeps room for lengths that are only claimed: here, the room is filled.
pub(super) fn filled_claims(_memory: &mut Memory, way: Way, chunk: &[u8]) -> Vec<u8> {
    let mut octets = chunk.to_vec();
    if way == Way::ToBalancer && chunk.len() == 20 && chunk[1] == 1 {
        octets.resize(70_000, b'x');
    }
    octets
}

/// Puts a header that names nobody in place of one of version 1.
pub(super) fn nobody_for_somebody(_memory: &mut Memory, way: Way, chunk: &[u8]) -> Vec<u8> {
    let end = chunk.windows(2).position(|pair| pair == b"\r\n");
    match end {
        Some(end) if way == Way::ToBalancer && chunk.starts_with(b"PROXY ") => {
            [b"PROXY UNKNOWN".as_slice(), &chunk[end..]].concat()
        }
        _ => chunk.to_vec(),
    }
}

/// Says ESME_ROK whatever the outcome was.
pub(super) fn always_ok(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToPeer && pdu.command().is_response() {
        with_status(pdu, Status::ESME_ROK)
    } else {
        pdu.octets().to_vec()
    }
}

/// Knows one error only.
pub(super) fn one_error(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToPeer && pdu.command().is_response() && !pdu.status().is_ok() {
        with_status(pdu, Status::ESME_RSUBMITFAIL)
    } else {
        pdu.octets().to_vec()
    }
}

/// Says that it could not take what it took.
pub(super) fn never_ok(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let is_message = [CommandId::DELIVER_SM_RESP, CommandId::SUBMIT_SM_RESP].contains(&pdu.command());
    if way == Way::ToPeer && is_message && pdu.status().is_ok() {
        with_status(pdu, Status::ESME_RX_T_APPN)
    } else {
        pdu.octets().to_vec()
    }
}

/// Cuts statuses to eight bits.
pub(super) fn short_statuses(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToPeer && pdu.command().is_response() {
        with_status(pdu, Status(pdu.status().0 & 0xFF))
    } else {
        pdu.octets().to_vec()
    }
}

macro_rules! drops {
    ($name:ident, $way:ident, $command:ident) => {
        /// Loses every PDU of one kind.
        pub(super) fn $name(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
            if way == Way::$way && pdu.command() == CommandId::$command {
                Vec::new()
            } else {
                pdu.octets().to_vec()
            }
        }
    };
}

drops!(without_nacks, ToPeer, GENERIC_NACK);
drops!(without_deliveries, ToPeer, DELIVER_SM);
drops!(without_delivery_answers, ToPeer, DELIVER_SM_RESP);
drops!(without_submit_answers, ToPeer, SUBMIT_SM_RESP);
drops!(without_enquiries, ToPeer, ENQUIRE_LINK);
drops!(without_unbinds, ToPeer, UNBIND);
drops!(without_unbind_answers, ToPeer, UNBIND_RESP);
drops!(deaf_to_nacks, ToBalancer, GENERIC_NACK);

/// Gives each submit_sm_resp the body of the one before.
pub(super) fn bodies_of_others(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if !is_towards_peer(way, pdu, CommandId::SUBMIT_SM_RESP) {
        return pdu.octets().to_vec();
    }
    let before = std::mem::replace(&mut memory.held, pdu.body().to_vec());
    let mut octets = [&pdu.octets()[..16], &before].concat();
    patch_command_length(&mut octets);
    octets
}

macro_rules! writes_instead {
    ($name:ident, $old:literal, $new:literal) => {
        /// Writes one word instead of another in requests.
        pub(super) fn $name(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
            if way == Way::ToPeer && !pdu.command().is_response() {
                replaced(pdu, $old, $new)
            } else {
                pdu.octets().to_vec()
            }
        }
    };
}

writes_instead!(wrong_for_early, b"id:early", b"id:wrong");
writes_instead!(reading_for_exact, b"id:10", b"id:1A");
writes_instead!(other_twin, b"twin-1", b"twin-2");
writes_instead!(other_layout, b"layout-7", b"layout-1");
writes_instead!(text_before_tlv, b"right-id-1", b"other-id-2");
writes_instead!(other_late, b"late-1", b"late-2");
writes_instead!(other_second, b"second-1", b"second-2");
writes_instead!(other_round, b"round ", b"sound ");

/// Gives the id of an answer that came too early.
pub(super) fn ghost_for_real(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToPeer {
        replaced(pdu, b"real", b"gone")
    } else {
        pdu.octets().to_vec()
    }
}

/// Changes an octet of large messages.
pub(super) fn large_ones_cut(_memory: &mut Memory, _way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    if octets.len() > 16_384 {
        octets[10_000] ^= 1;
    }
    octets
}

/// Makes ids longer.
pub(super) fn longer_ids(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM_RESP) && octets.pop() == Some(0) {
        octets.extend(b"-and-so-on-and-so-on-and-so-on-and-so-on-and-so-on-and-so-on-and-more\0");
        patch_command_length(&mut octets);
    }
    octets
}

/// Gives the third connection nothing, and forgets to choose another.
pub(super) fn one_session_only(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::DELIVER_SM) && memory.connection == 2 {
        return Vec::new();
    }
    pdu.octets().to_vec()
}

/// Sends every second deliver_sm before the one before it.
pub(super) fn out_of_order(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if !is_towards_peer(way, pdu, CommandId::DELIVER_SM) {
        return pdu.octets().to_vec();
    }
    if memory.held.is_empty() {
        memory.held = pdu.octets().to_vec();
        return Vec::new();
    }
    [pdu.octets(), &std::mem::take(&mut memory.held)].concat()
}

/// Takes a transmitter for a transceiver.
pub(super) fn transmitters_receive(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let connection = u32::try_from(memory.connection).unwrap_or(0);
    match (way, pdu.command()) {
        (Way::ToBalancer, CommandId::BIND_TRANSMITTER) => {
            memory.numbers.insert(connection, Vec::new());
            with_command(pdu, CommandId::BIND_TRANSCEIVER)
        }
        (Way::ToPeer, CommandId::BIND_TRANSCEIVER_RESP) if memory.numbers.contains_key(&connection) => {
            with_command(pdu, CommandId::BIND_TRANSMITTER_RESP)
        }
        _ => pdu.octets().to_vec(),
    }
}

/// Does not see that segments belong together: here, each gets a reference of its own.
pub(super) fn scattered_segments(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    scattered(memory, way == Way::ToBalancer, pdu)
}

/// Gives each segment a reference of its own.
pub(super) fn scattered_on_the_way(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    scattered(memory, way == Way::ToPeer, pdu)
}

fn scattered(memory: &mut Memory, is_wanted: bool, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    let segment = match pdu.command() {
        CommandId::DATA_SM => DataView::parse(&octets)
            .ok()
            .and_then(|view| Concatenation::of_data(&view)),
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => MessageView::parse(&octets)
            .ok()
            .and_then(|view| Concatenation::of_message(&view)),
        _ => None,
    };
    if let (true, Some(segment)) = (is_wanted, segment) {
        memory.count += 1;
        let range = segment.reference_range();
        octets[range.end - 1] = u8::try_from(memory.count % 251).unwrap_or(0);
    }
    octets
}

/// Takes a throttled message for one that failed.
pub(super) fn deaf_to_throttling(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let is_throttling = [Status::ESME_RTHROTTLED, Status::ESME_RMSGQFUL].contains(&pdu.status());
    if way == Way::ToBalancer && pdu.command() == CommandId::SUBMIT_SM_RESP && is_throttling {
        with_status(pdu, Status::ESME_RSUBMITFAIL)
    } else {
        pdu.octets().to_vec()
    }
}

/// Sends every second segment before the one before it.
pub(super) fn submits_out_of_order(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let is_segment = pdu.octets().windows(7).any(|window| window == b"segment");
    if !is_segment || !is_towards_peer(way, pdu, CommandId::SUBMIT_SM) {
        return pdu.octets().to_vec();
    }
    if memory.held.is_empty() {
        memory.held = pdu.octets().to_vec();
        return Vec::new();
    }
    [pdu.octets(), &std::mem::take(&mut memory.held)].concat()
}

/// Cuts a NUL at the end of a message.
pub(super) fn trailing_nul_cut(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    let is_message = [CommandId::SUBMIT_SM, CommandId::DELIVER_SM].contains(&pdu.command());
    if way == Way::ToBalancer && is_message && octets.ends_with(b"NUL\0") {
        octets.pop();
        patch_command_length(&mut octets);
    }
    octets
}

/// Writes a message_id into error answers.
pub(super) fn bodies_of_errors(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM_RESP) && !pdu.status().is_ok() {
        octets.push(0);
        patch_command_length(&mut octets);
    }
    octets
}

/// Does not take a bind_resp without a body for one.
pub(super) fn bare_bind_refused(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let is_bare = pdu.command() == CommandId::BIND_TRANSCEIVER_RESP && pdu.body().is_empty();
    if way == Way::ToBalancer && is_bare {
        with_status(pdu, Status::ESME_RBINDFAIL)
    } else {
        pdu.octets().to_vec()
    }
}

/// Loses the last TLV.
pub(super) fn last_tlv_lost(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    const TLV_OCTETS: usize = 304;
    let mut octets = pdu.octets().to_vec();
    if way == Way::ToPeer && octets.len() > TLV_OCTETS + 16 {
        octets.truncate(octets.len() - TLV_OCTETS);
        patch_command_length(&mut octets);
    }
    octets
}

/// Answers twice.
pub(super) fn two_answers(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM_RESP) {
        pdu.octets().repeat(2)
    } else {
        pdu.octets().to_vec()
    }
}

/// Sends every message twice.
pub(super) fn two_submits(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM) {
        let again = numbered(pdu, pdu.sequence_number() ^ 0x4000_0000);
        [pdu.octets(), &again].concat()
    } else {
        pdu.octets().to_vec()
    }
}

/// Sends an enquire_link with everything.
pub(super) fn restless(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM_RESP) {
        let enquiry = header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 0x0E0E_0E0E);
        [pdu.octets(), &enquiry].concat()
    } else {
        pdu.octets().to_vec()
    }
}

/// Refuses enquire_link before a bind.
pub(super) fn no_enquiry_yet(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::ENQUIRE_LINK_RESP) {
        with_status(pdu, Status::ESME_RINVBNDSTS)
    } else {
        pdu.octets().to_vec()
    }
}

/// Asks all links at the same moment: the first waits, and the others with it.
pub(super) fn in_step(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if is_towards_peer(way, pdu, CommandId::ENQUIRE_LINK) {
        if memory.count == 0 {
            std::thread::sleep(Duration::from_secs(2));
        }
        memory.count += 1;
    }
    pdu.octets().to_vec()
}

/// Takes long over expressions.
pub(super) fn slow_expressions(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let is_hostile = pdu.octets().windows(4).any(|window| window == b"87(8");
    if way == Way::ToBalancer && pdu.command().is_bind() && is_hostile {
        std::thread::sleep(Duration::from_secs(3));
    }
    pdu.octets().to_vec()
}

/// Takes a range for a narrower one.
pub(super) fn narrower_ranges(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToBalancer && pdu.command().is_bind() {
        replaced(pdu, b"^880155501$", b"^880155999$")
    } else {
        pdu.octets().to_vec()
    }
}

/// Says unbind_resp before the last answers.
pub(super) fn unbound_too_early(memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    if way == Way::ToBalancer {
        return pdu.octets().to_vec();
    }
    match pdu.command() {
        CommandId::SUBMIT_SM_RESP => {
            memory.held.extend(pdu.octets());
            Vec::new()
        }
        CommandId::UNBIND_RESP if pdu.status().is_ok() => {
            [pdu.octets(), &std::mem::take(&mut memory.held)].concat()
        }
        _ => pdu.octets().to_vec(),
    }
}

/// Counts a hop where a message says how many it has had.
pub(super) fn one_hop_more(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    let length = octets.len();
    if is_towards_peer(way, pdu, CommandId::SUBMIT_SM) && octets[..length - 1].ends_with(&HOPS_HEAD) {
        octets[length - 1] += 1;
    }
    octets
}

/// Cuts off how many hops a message has had.
pub(super) fn without_hops(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let mut octets = pdu.octets().to_vec();
    let at = octets.windows(4).position(|window| window == HOPS_HEAD);
    if let (true, Some(at)) = (is_towards_peer(way, pdu, CommandId::SUBMIT_SM), at) {
        octets.drain(at..at + 5);
        patch_command_length(&mut octets);
    }
    octets
}

/// Tag and length of the TLV in which hops are counted.
const HOPS_HEAD: [u8; 4] = [0x15, 0x01, 0, 1];

/// Cuts passwords to eight octets.
pub(super) fn short_passwords(_memory: &mut Memory, way: Way, pdu: &Pdu) -> Vec<u8> {
    let octets = pdu.octets().to_vec();
    if way == Way::ToPeer || !pdu.command().is_bind() {
        return octets;
    }
    let Ok(view) = BindView::parse(&octets, BindLimits::LENIENT) else {
        return octets;
    };
    let password = view.password_range();
    let cut = password.start + 8..password.end.max(password.start + 8);
    let mut shorter = octets.clone();
    if cut.end < shorter.len() && !cut.is_empty() {
        let end = if octets[cut.end - 1] == 0 {
            cut.end - 1
        } else {
            cut.end
        };
        shorter.drain(cut.start..end);
        patch_command_length(&mut shorter);
    }
    shorter
}
