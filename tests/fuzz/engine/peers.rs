//! The PDUs that the peers send: well-formed ones, put together by hand, which the fuzzer may then break.

use crate::input::Input;
use smppmux_engine::core::wire::CommandId;

/// What comes most often; any other command_id comes as raw octets.
const CLIENT_COMMANDS: [CommandId; 14] = [
    CommandId::SUBMIT_SM,
    CommandId::SUBMIT_SM,
    CommandId::DATA_SM,
    CommandId::QUERY_SM,
    CommandId::CANCEL_SM,
    CommandId::REPLACE_SM,
    CommandId::SUBMIT_MULTI,
    CommandId::BROADCAST_SM,
    CommandId::ENQUIRE_LINK,
    CommandId::UNBIND,
    CommandId::DELIVER_SM_RESP,
    CommandId::DATA_SM_RESP,
    CommandId::GENERIC_NACK,
    CommandId::UNBIND_RESP,
];

const SERVER_COMMANDS: [CommandId; 8] = [
    CommandId::DELIVER_SM,
    CommandId::DELIVER_SM,
    CommandId::DATA_SM,
    CommandId::ALERT_NOTIFICATION,
    CommandId::ENQUIRE_LINK,
    CommandId::UNBIND,
    CommandId::SUBMIT_SM_RESP,
    CommandId::GENERIC_NACK,
];

const ADDRESSES: [&[u8]; 5] = [b"888765", b"88876512", b"24457", b"1", b""];
const IDS: [&[u8]; 5] = [b"1#mx-0A", b"2#mx-0B", b"3#mx-ZZ", b"plain", b""];

pub(super) fn pdu(command: CommandId, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let octets = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut pdu = Vec::new();
    for word in [octets, command.0, status, sequence] {
        pdu.extend_from_slice(&word.to_be_bytes());
    }
    pdu.extend_from_slice(body);
    pdu
}

/// A bind of one of the accounts, or of nobody.
pub(super) fn bind(input: &mut Input<'_>) -> Vec<u8> {
    let kinds = [
        CommandId::BIND_TRANSCEIVER,
        CommandId::BIND_RECEIVER,
        CommandId::BIND_TRANSMITTER,
    ];
    let kind = kinds[input.below(3)];
    let mut body = Vec::new();
    text(
        &mut body,
        [&b"esme0"[..], b"esme1", b"nobody", b""][input.below(4)],
    );
    text(&mut body, [&b"secret"[..], b"secret", b"wrong"][input.below(3)]);
    text(&mut body, b"");
    body.extend_from_slice(&[[0x34, 0x33, 0x50, 0][input.below(4)], 0, 0]);
    text(
        &mut body,
        [&b""[..], b"888765", b"^88", b".*", b"[0-9]+$", b"(("][input.below(6)],
    );
    broken(pdu(kind, 0, sequence(input), &body), input)
}

/// The outbind of a server, or of somebody who is not it.
pub(super) fn outbind(server: u16, input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let name = format!("smsc{server}");
    text(
        &mut body,
        [name.as_bytes(), name.as_bytes(), b"nobody"][input.below(3)],
    );
    text(&mut body, [&b"secret"[..], b"secret", b"wrong"][input.below(3)]);
    broken(pdu(CommandId::OUTBIND, 0, sequence(input), &body), input)
}

/// Its service_type is `mark`, where it has one: no two requests shall be the same.
pub(super) fn of_client(mark: &str, input: &mut Input<'_>) -> Vec<u8> {
    any(CLIENT_COMMANDS[input.below(CLIENT_COMMANDS.len())], mark, input)
}

pub(super) fn of_server(mark: &str, input: &mut Input<'_>) -> Vec<u8> {
    any(SERVER_COMMANDS[input.below(SERVER_COMMANDS.len())], mark, input)
}

fn any(command: CommandId, mark: &str, input: &mut Input<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => message(&mut body, mark, input),
        CommandId::DATA_SM => {
            text(&mut body, mark.as_bytes());
            address(&mut body, input);
            address(&mut body, input);
            body.extend_from_slice(&[input.octet(), 0, 0]);
        }
        CommandId::QUERY_SM => {
            text(&mut body, IDS[input.below(IDS.len())]);
            address(&mut body, input);
        }
        CommandId::CANCEL_SM => {
            text(&mut body, mark.as_bytes());
            text(&mut body, IDS[input.below(IDS.len())]);
            address(&mut body, input);
            address(&mut body, input);
        }
        CommandId::REPLACE_SM => {
            text(&mut body, IDS[input.below(IDS.len())]);
            address(&mut body, input);
            body.extend_from_slice(&[0, 0, 1, 0, 2, b'h', b'i']);
        }
        CommandId::SUBMIT_MULTI => {
            text(&mut body, mark.as_bytes());
            address(&mut body, input);
            body.extend_from_slice(&[1, 1]);
            address(&mut body, input);
            body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 2, b'h', b'i']);
        }
        CommandId::ALERT_NOTIFICATION => {
            address(&mut body, input);
            address(&mut body, input);
        }
        CommandId::SUBMIT_SM_RESP | CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP => {
            text(&mut body, b"77");
        }
        _ => {}
    }
    broken(pdu(command, 0, sequence(input), &body), input)
}

fn message(body: &mut Vec<u8>, mark: &str, input: &mut Input<'_>) {
    text(body, mark.as_bytes());
    address(body, input);
    address(body, input);
    body.extend_from_slice(&[input.octet(), 0, 0, 0, 0, input.octet(), 0, 0, 0]);
    let payload = input.below(24);
    let payload = input.take(payload);
    body.push(u8::try_from(payload.len()).unwrap_or(0));
    body.extend_from_slice(payload);
    if input.below(4) == 0 {
        let value = input.below(8);
        let value = input.take(value);
        body.extend_from_slice(&[0x02, 0x0C, 0, u8::try_from(value.len()).unwrap_or(0)]);
        body.extend_from_slice(value);
    }
}

fn address(body: &mut Vec<u8>, input: &mut Input<'_>) {
    body.extend_from_slice(&[1, 1]);
    text(body, ADDRESSES[input.below(ADDRESSES.len())]);
}

fn text(body: &mut Vec<u8>, text: &[u8]) {
    body.extend_from_slice(text);
    body.push(0);
}

/// Few numbers, so that they meet; the edges among them.
fn sequence(input: &mut Input<'_>) -> u32 {
    match input.octet() {
        255 => u32::MAX,
        254 => 0x7FFF_FFFF,
        253 => 0x8000_0000,
        small => u32::from(small % 24),
    }
}

/// Mostly as it is; sometimes with octets changed behind the length.
fn broken(mut pdu: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let changes = input.octet();
    for _ in 0..changes.saturating_sub(250) {
        let at = 4 + usize::from(input.octet()) % (pdu.len() - 4);
        pdu[at] = input.octet();
    }
    pdu
}
