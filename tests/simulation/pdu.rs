//! PDUs as the simulated peers write and read them.
//!
//! Written by hand from the PDU tables (SMPP v3.4 section 4), without the engine's own code, so that a mistake there does
//! not hide itself here. The source address of every request is the number of the message, which is how the ledger knows it.

use smppmux_engine::core::wire::CommandId;

/// command_ids that the simulation uses.
pub(crate) mod command {
    pub(crate) const GENERIC_NACK: u32 = 0x8000_0000;
    pub(crate) const BIND_RECEIVER: u32 = 1;
    pub(crate) const BIND_TRANSMITTER: u32 = 2;
    pub(crate) const QUERY_SM: u32 = 3;
    pub(crate) const SUBMIT_SM: u32 = 4;
    pub(crate) const DELIVER_SM: u32 = 5;
    pub(crate) const UNBIND: u32 = 6;
    pub(crate) const REPLACE_SM: u32 = 7;
    pub(crate) const CANCEL_SM: u32 = 8;
    pub(crate) const BIND_TRANSCEIVER: u32 = 9;
    pub(crate) const OUTBIND: u32 = 0x0B;
    pub(crate) const ENQUIRE_LINK: u32 = 0x15;
    pub(crate) const SUBMIT_MULTI: u32 = 0x21;
    pub(crate) const ALERT_NOTIFICATION: u32 = 0x102;
    pub(crate) const BROADCAST_SM: u32 = 0x111;
    pub(crate) const DATA_SM: u32 = 0x103;
    pub(crate) const RESPONSE: u32 = 0x8000_0000;
}

pub(crate) const HEADER_OCTETS: usize = 16;

/// A PDU taken apart as far as the simulation needs.
#[derive(Clone, Debug)]
pub(crate) struct Pdu {
    pub(crate) command: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
}

impl Pdu {
    pub(crate) const fn new(command: u32, status: u32, sequence: u32) -> Self {
        Self {
            command,
            status,
            sequence,
            body: Vec::new(),
        }
    }

    pub(crate) const fn is_response(&self) -> bool {
        self.command & command::RESPONSE != 0
    }

    pub(crate) const fn is_bind(&self) -> bool {
        matches!(
            self.command,
            command::BIND_RECEIVER | command::BIND_TRANSMITTER | command::BIND_TRANSCEIVER
        )
    }

    pub(crate) fn is_bind_answer(&self) -> bool {
        self.is_response() && Self::new(self.command & !command::RESPONSE, 0, 0).is_bind()
    }

    pub(crate) fn text(mut self, text: &[u8]) -> Self {
        self.body.extend_from_slice(text);
        self.body.push(0);
        self
    }

    pub(crate) fn octets(mut self, octets: &[u8]) -> Self {
        self.body.extend_from_slice(octets);
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let octets = u32::try_from(HEADER_OCTETS + self.body.len()).expect("a PDU's length fits");
        let mut pdu = Vec::with_capacity(octets as usize);
        for word in [octets, self.command, self.status, self.sequence] {
            pdu.extend_from_slice(&word.to_be_bytes());
        }
        pdu.extend_from_slice(&self.body);
        pdu
    }

    /// Takes the first whole PDU out of a peer's input.
    pub(crate) fn take_first(input: &mut Vec<u8>) -> Option<Self> {
        let word = |at: usize| {
            let octets = input.get(at..at + 4)?;
            Some(u32::from_be_bytes(octets.try_into().expect("four octets")))
        };
        let octets = word(0)? as usize;
        assert!(
            (HEADER_OCTETS..1_000_000).contains(&octets),
            "command_length {octets} on the wire: the stream is out of step"
        );
        let (command, status, sequence) = (word(4)?, word(8)?, word(12)?);
        let body = input.get(HEADER_OCTETS..octets)?.to_vec();
        input.drain(..octets);
        Some(Self {
            command,
            status,
            sequence,
            body,
        })
    }

    /// The C-octet string that is the `index`th field of the body, when only strings stand before it.
    pub(crate) fn string(&self, index: usize) -> &[u8] {
        self.body
            .split(|octet| *octet == 0)
            .nth(index)
            .unwrap_or_default()
    }

    /// One line for the trace.
    pub(crate) fn describe(&self) -> String {
        let name = CommandId(self.command);
        let number = if self.is_response() { None } else { self.message() };
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(40)])
            .escape_debug()
            .to_string();
        format!(
            "{name:?} status {:#x} sequence {:#x} message {number:?} body {} {body:?}",
            self.status,
            self.sequence,
            self.body.len()
        )
    }

    /// Where the source address starts in a request of this kind.
    fn source_at(&self) -> usize {
        let strings_before = match self.command {
            command::CANCEL_SM => 2,
            _ => 1,
        };
        let ends = self.body.iter().enumerate().filter(|(_, octet)| **octet == 0);
        // Behind the strings stand addr_ton and addr_npi.
        ends.map(|(at, _)| at + 3).nth(strings_before - 1).unwrap_or(0)
    }

    /// Where the destination address starts in a message.
    fn destination_at(&self) -> usize {
        // Behind the source stand dest_addr_ton and dest_addr_npi.
        self.end_of_string(self.source_at()) + 2
    }

    /// The destination address of a message.
    pub(crate) fn destination(&self) -> &[u8] {
        let at = self.destination_at();
        &self.body[at..self.end_of_string(at) - 1]
    }

    /// Where each destination address of a request starts, in their order, and the address. A list that only its server knows is none.
    pub(crate) fn destinations(&self) -> Vec<(usize, &[u8])> {
        match self.command {
            command::SUBMIT_SM | command::DATA_SM => vec![(self.destination_at(), self.destination())],
            command::SUBMIT_MULTI => self.several_destinations(self.end_of_string(self.source_at())),
            _ => Vec::new(),
        }
    }

    /// From their count on.
    fn several_destinations(&self, count_at: usize) -> Vec<(usize, &[u8])> {
        let mut at = count_at + 1;
        let mut addresses = Vec::new();
        for _ in 0..self.body[count_at] {
            let is_address = self.body[at] == 1;
            // dest_flag, and of an address dest_addr_ton and dest_addr_npi.
            let from = at + if is_address { 3 } else { 1 };
            at = self.end_of_string(from);
            if is_address {
                addresses.push((from, &self.body[from..at - 1]));
            }
        }
        addresses
    }

    /// A submit_sm or deliver_sm has TLVs behind its short_message.
    pub(crate) fn has_tlvs(&self) -> bool {
        if !matches!(self.command, command::SUBMIT_SM | command::DELIVER_SM) {
            return false;
        }
        // esm_class, protocol_id, priority_flag; two times; registered_delivery and three more.
        let times_at = self.end_of_string(self.destination_at()) + 3;
        let length_at = self.end_of_string(self.end_of_string(times_at)) + 4;
        length_at + 1 + usize::from(self.body[length_at]) < self.body.len()
    }

    /// The place behind the NUL of the string that starts at `at`.
    fn end_of_string(&self, at: usize) -> usize {
        let octets = self.body[at..].iter().position(|octet| *octet == 0);
        at + octets.expect("strings end with NUL") + 1
    }

    /// The number of the message that a request carries as its source address, or a segment in a TLV. An alert_notification is no
    /// message.
    pub(crate) fn message(&self) -> Option<usize> {
        if self.command == command::ALERT_NOTIFICATION {
            return None;
        }
        if let Some(number) = self.segment_message() {
            return Some(number);
        }
        let source = self.body.get(self.source_at()..)?;
        let digits = source.split(|octet| *octet == 0).next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// How a segment says which message it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Udh8(u8),
    Udh16(u16),
    Sar(u16),
}

impl Mark {
    pub(crate) const fn reference(self) -> u16 {
        match self {
            Self::Udh8(reference) => reference as u16,
            Self::Udh16(reference) | Self::Sar(reference) => reference,
        }
    }
}

/// The TLV that numbers a segment, and its length; the last of its PDU.
const SEGMENT_NUMBER: [u8; 4] = [0x14, 0x00, 0, 4];
const SEGMENT_NUMBER_OCTETS: usize = 8;
/// What stands before a reference.
const BEFORE_UDH8: [u8; 3] = [5, 0, 3];
const BEFORE_UDH16: [u8; 3] = [6, 8, 4];
const BEFORE_SAR: [u8; 4] = [2, 0x0C, 0, 2];

impl Pdu {
    fn segment_message(&self) -> Option<usize> {
        let tail = self.body.last_chunk::<SEGMENT_NUMBER_OCTETS>()?;
        let number = tail.strip_prefix(&SEGMENT_NUMBER)?;
        Some(u32::from_be_bytes(number.try_into().ok()?) as usize)
    }

    /// Where a segment's reference stands in its body, and how it is marked. The addresses of segments hold no octets
    /// like those before a reference, and their texts none of them either.
    fn mark_at(&self) -> Option<(usize, Mark)> {
        self.segment_message()?;
        let behind = |before: &[u8]| {
            let at = self
                .body
                .windows(before.len())
                .position(|octets| octets == before)?;
            Some(at + before.len())
        };
        let word = |at: usize| Some(u16::from_be_bytes([*self.body.get(at)?, *self.body.get(at + 1)?]));
        let udh8 = behind(&BEFORE_UDH8).and_then(|at| Some((at, Mark::Udh8(*self.body.get(at)?))));
        let udh16 = behind(&BEFORE_UDH16).and_then(|at| Some((at, Mark::Udh16(word(at)?))));
        let sar = behind(&BEFORE_SAR).and_then(|at| Some((at, Mark::Sar(word(at)?))));
        // The first one counts: a reference of 16 bits may look like the octets before another.
        [udh8, udh16, sar].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark_at().map(|(_, mark)| mark)
    }

    /// The body with the reference of `other`, which alone may differ on the way.
    pub(crate) fn with_reference_of(&self, other: &Self) -> Vec<u8> {
        let mut body = self.body.clone();
        if let (Some((at, _)), Some(mark)) = (self.mark_at(), other.mark()) {
            match mark {
                Mark::Udh8(reference) => body[at] = reference,
                Mark::Udh16(reference) | Mark::Sar(reference) => {
                    body[at..at + 2].copy_from_slice(&reference.to_be_bytes());
                }
            }
        }
        body
    }
}

/// A segment of a concatenated message: `[total, number]` are its place in it.
#[allow(clippy::too_many_arguments, reason = "the fields of a segment")]
pub(crate) fn segment(
    command: u32,
    sequence: u32,
    number: usize,
    [source, destination]: [&str; 2],
    mark: Mark,
    [total, place]: [u8; 2],
    text: &[u8],
    wants_receipt: bool,
) -> Pdu {
    let registered_delivery = u8::from(wants_receipt);
    let (header, sar) = match mark {
        Mark::Udh8(reference) => (
            [&BEFORE_UDH8[..], &[reference, total, place]].concat(),
            Vec::new(),
        ),
        Mark::Udh16(reference) => {
            let [high, low] = reference.to_be_bytes();
            (
                [&BEFORE_UDH16[..], &[high, low, total, place]].concat(),
                Vec::new(),
            )
        }
        Mark::Sar(reference) => {
            let [high, low] = reference.to_be_bytes();
            let rest = [high, low, 2, 0x0E, 0, 1, total, 2, 0x0F, 0, 1, place];
            (Vec::new(), [&BEFORE_SAR[..], &rest].concat())
        }
    };
    let esm_class = if header.is_empty() { 0 } else { 0x40 };
    let user_data = [&header[..], text].concat();
    let pdu = Pdu::new(command, 0, sequence)
        .text(b"")
        .octets(&[1, 1])
        .text(source.as_bytes())
        .octets(&[1, 1])
        .text(destination.as_bytes());
    let pdu = if command == command::DATA_SM {
        with_payload(pdu.octets(&[esm_class, registered_delivery, 0]), &user_data)
    } else {
        let octets = u8::try_from(user_data.len()).expect("a short text");
        pdu.octets(&[esm_class, 0, 0])
            .text(b"")
            .text(b"")
            .octets(&[registered_delivery, 0, 0, 0, octets])
            .octets(&user_data)
    };
    let number = u32::try_from(number).expect("not so many");
    pdu.octets(&sar)
        .octets(&SEGMENT_NUMBER)
        .octets(&number.to_be_bytes())
}

pub(crate) fn bind(
    kind: u32,
    sequence: u32,
    system_id: &str,
    password: &str,
    version: u8,
    range: &str,
) -> Pdu {
    Pdu::new(kind, 0, sequence)
        .text(system_id.as_bytes())
        .text(password.as_bytes())
        .text(b"")
        .octets(&[version, 0, 0])
        .text(range.as_bytes())
}

/// A submit_sm or deliver_sm; what does not fit short_message goes into a message_payload TLV.
pub(crate) fn message(
    command: u32,
    sequence: u32,
    number: usize,
    destination: &str,
    payload_octets: usize,
    wants_receipt: bool,
) -> Pdu {
    let registered_delivery = u8::from(wants_receipt);
    let payload: Vec<u8> = (0..payload_octets).map(|at| (at + number) as u8).collect();
    let pdu = Pdu::new(command, 0, sequence)
        .text(b"")
        .octets(&[1, 1])
        .text(number.to_string().as_bytes())
        .octets(&[1, 1])
        .text(destination.as_bytes());
    if command == command::DATA_SM {
        return with_payload(pdu.octets(&[0, registered_delivery, 0]), &payload);
    }
    let pdu = pdu
        .octets(&[0; 3])
        .text(b"")
        .text(b"")
        .octets(&[registered_delivery, 0, 0, 0]);
    match u8::try_from(payload.len()) {
        Ok(octets) if octets < 255 => pdu.octets(&[octets]).octets(&payload),
        _ => with_payload(pdu.octets(&[0]), &payload),
    }
}

/// A delivery receipt for the message with this id.
pub(crate) fn receipt(sequence: u32, number: usize, destination: &str, id: &[u8]) -> Pdu {
    let text = [
        b"id:",
        id,
        b" sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:",
    ]
    .concat();
    let octets = u8::try_from(text.len()).expect("a short text");
    Pdu::new(command::DELIVER_SM, 0, sequence)
        .text(b"")
        .octets(&[1, 1])
        .text(number.to_string().as_bytes())
        .octets(&[1, 1])
        .text(destination.as_bytes())
        .octets(&[4, 0, 0])
        .text(b"")
        .text(b"")
        .octets(&[0, 0, 0, 0, octets])
        .octets(&text)
}

fn with_payload(pdu: Pdu, payload: &[u8]) -> Pdu {
    let octets = u16::try_from(payload.len()).expect("a payload's length fits");
    pdu.octets(&0x0424_u16.to_be_bytes())
        .octets(&octets.to_be_bytes())
        .octets(payload)
}

/// A query_sm, cancel_sm or replace_sm.
pub(crate) fn operation(command: u32, sequence: u32, number: usize, id: &[u8]) -> Pdu {
    let source = number.to_string();
    let pdu = Pdu::new(command, 0, sequence);
    match command {
        command::QUERY_SM => pdu.text(id).octets(&[1, 1]).text(source.as_bytes()),
        command::CANCEL_SM => pdu
            .text(b"")
            .text(id)
            .octets(&[1, 1])
            .text(source.as_bytes())
            .octets(&[1, 1])
            .text(b""),
        _ => pdu
            .text(id)
            .octets(&[1, 1])
            .text(source.as_bytes())
            .text(b"")
            .text(b"")
            .octets(&[0, 0, 2])
            .octets(b"hi"),
    }
}

/// The response to a request, as an SMSC or ESME by the book writes it.
pub(crate) fn response(request: u32, status: u32, sequence: u32, id: &[u8]) -> Pdu {
    let pdu = Pdu::new(request | command::RESPONSE, status, sequence);
    match request {
        _ if status != 0 => pdu,
        command::SUBMIT_SM
        | command::SUBMIT_MULTI
        | command::BROADCAST_SM
        | command::DATA_SM
        | command::DELIVER_SM => pdu.text(id),
        command::QUERY_SM => pdu.text(id).text(b"").octets(&[2, 0]),
        _ => pdu,
    }
}
