//! One record as one line of JSON. docs/OPERATIONS.md has the fields; their names are part of the interface.

use super::address::AddressForm;
use super::utc::write_over;
use crate::config::message_log::LoggedContent;
use crate::hexadecimal;
use crate::pdu::characters;
use serde::Serialize;
use smppmux_engine::core::contract::{ConnectionId, CoreIndex};
use smppmux_engine::core::message_log::{
    MessageRecord, Outcome, Reason, RecordKind, RecordOctets, Requester,
};
use smppmux_engine::core::receipt_tag::read_receipt;
use smppmux_engine::core::settings::Settings;
use smppmux_engine::core::time::Moment;
use smppmux_engine::core::wire::{
    Address, BroadcastView, CommandId, Concatenation, DataView, DestAddress, EsmClass, MessageView, Status,
    SubmitMultiView, UserDataHeader,
};
use std::borrow::Cow;
use std::time::SystemTime;

/// What stands in a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineSettings {
    pub(crate) content: LoggedContent,
    pub(crate) addresses: AddressForm,
}

/// What one moment of the engines is in the time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    pub(super) moment: Moment,
    pub(super) time: SystemTime,
}

impl Epoch {
    fn time_of(self, moment: Moment) -> SystemTime {
        if moment <= self.moment {
            self.time - self.moment.since(moment)
        } else {
            self.time + moment.since(self.moment)
        }
    }
}

/// Writes lines; what it needs for one is used again for the next.
pub(super) struct LineWriter {
    /// What tells one run of the program from another, in every id.
    run: String,
    time: String,
}

#[derive(Default, Serialize)]
struct Line<'a> {
    time: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    core: u16,
    command: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_status: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_status_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vserver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    far_session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    far_sequence_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_message_id: Option<Cow<'a, str>>,
    #[serde(flatten)]
    message: Option<MessageFields<'a>>,
    #[serde(flatten)]
    receipt: Option<ReceiptFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    far_latency_us: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    resends: u8,
    #[serde(skip_serializing_if = "is_false")]
    from_queue: bool,
}

/// What is read out of a PDU with a message.
#[derive(Default, Serialize)]
struct MessageFields<'a> {
    service_type: Cow<'a, str>,
    source: Cow<'a, str>,
    source_ton: u8,
    source_npi: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_ton: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_npi: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<Cow<'a, str>>,
    esm_class: u8,
    data_coding: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_delivery: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_period: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_reference: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_number: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_total: Option<u8>,
    text_octets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_hex: Option<String>,
}

/// What is read out of a receipt.
#[derive(Default, Serialize)]
struct ReceiptFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_state: Option<Cow<'static, str>>,
    receipt_is_final: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_error: Option<Cow<'a, str>>,
}

/// A line that says that some are missing.
#[derive(Serialize)]
struct LostLine<'a> {
    time: &'a str,
    kind: &'static str,
    r#where: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<u16>,
    records: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl LineWriter {
    /// Ids begin with the second at which this run of the program began.
    pub(super) fn new(started_at: SystemTime) -> Self {
        let since = started_at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            run: format!("{:x}", since.as_secs()),
            time: String::new(),
        }
    }

    /// Appends a line for a record of a core.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        (settings, names): (&LineSettings, &Settings),
        epoch: Epoch,
        core: CoreIndex,
        (record, octets): (&MessageRecord, RecordOctets<'_>),
    ) {
        write_over(&mut self.time, epoch.time_of(record.at));
        let mut line = Line {
            time: &self.time,
            kind: match record.kind {
                RecordKind::Submit => "submit",
                RecordKind::MobileOriginated => "mo",
                RecordKind::Receipt => "receipt",
                RecordKind::Answer => "answer",
            },
            core: core.0,
            command: record
                .command
                .name()
                .map_or_else(|| format!("0x{:08x}", record.command.0).into(), Cow::Borrowed),
            account: account(record, octets, names),
            vserver: record
                .vserver
                .and_then(|index| names.vservers.get(usize::from(index.0)))
                .map(|vserver| vserver.name.as_str()),
            server: record
                .server
                .and_then(|index| names.servers.get(usize::from(index.0)))
                .map(|server| server.name.as_str()),
            far_session: record.far.map(|far| session(far.core, far.connection)),
            // 0 is no number that we give.
            far_sequence_number: record
                .far
                .map(|far| far.sequence_number)
                .filter(|number| *number > 0),
            resends: record.resends,
            from_queue: record.is_from_queue,
            ..Line::default()
        };
        self.write_requester(&mut line, core, record.requester);
        if record.kind == RecordKind::Answer {
            write_answer(&mut line, record, octets);
        } else {
            write_request(&mut line, settings, record, octets);
            line.outcome = (record.outcome == Outcome::Expired).then_some("expired");
        }
        push_line(out, &line);
    }

    fn write_requester(&self, line: &mut Line<'_>, core: CoreIndex, requester: Requester) {
        let run = &self.run;
        match requester {
            Requester::Session {
                connection,
                sequence_number,
            } => {
                let session = session(core, connection);
                line.id = format!("{run}-{session}-{sequence_number}");
                line.session = Some(session);
                line.sequence_number = Some(sequence_number);
            }
            Requester::Queue { place, number } => line.id = format!("{run}-{}-q{place}-{number}", core.0),
            Requester::Unknown => {}
        }
    }

    /// Appends a line that says how many records are missing; `core`: of one core's lane.
    pub(super) fn write_lost(
        &mut self,
        out: &mut Vec<u8>,
        time: SystemTime,
        core: Option<CoreIndex>,
        records: u64,
    ) {
        write_over(&mut self.time, time);
        let line = LostLine {
            time: &self.time,
            kind: "lost",
            r#where: if core.is_some() { "lane" } else { "disk" },
            core: core.map(|core| core.0),
            records,
        };
        push_line(out, &line);
    }
}

fn push_line(out: &mut Vec<u8>, line: &impl Serialize) {
    let before = out.len();
    // A vector takes everything, and nothing in a line can fail to be written.
    if serde_json::to_writer(&mut *out, line).is_err() {
        out.truncate(before);
    } else {
        out.push(b'\n');
    }
}

/// The core, the place in its table, and which use of that place.
fn session(core: CoreIndex, connection: ConnectionId) -> String {
    format!("{}-{}.{}", core.0, connection.index, connection.generation)
}

fn account<'a>(
    record: &MessageRecord,
    octets: RecordOctets<'a>,
    names: &'a Settings,
) -> Option<Cow<'a, str>> {
    if !octets.system_id.is_empty() {
        return Some(String::from_utf8_lossy(octets.system_id));
    }
    let client = names.clients.get(record.account?.0 as usize);
    client.map(|client| Cow::Borrowed(client.system_id.as_str()))
}

fn filled(octets: &[u8]) -> Option<Cow<'_, str>> {
    (!octets.is_empty()).then(|| String::from_utf8_lossy(octets))
}

fn write_answer<'a>(line: &mut Line<'a>, record: &MessageRecord, octets: RecordOctets<'a>) {
    line.command_status = Some(status_name(record.status));
    line.command_status_code = Some(record.status.0);
    line.outcome = Some(match record.outcome {
        Outcome::Open => "open",
        Outcome::Passed => "passed",
        Outcome::Own => "own",
        Outcome::Queued => "queued",
        Outcome::TriedAgain => "tried-again",
        Outcome::Late => "late",
        Outcome::RequesterGone => "requester-gone",
        Outcome::Expired => "expired",
    });
    line.reason = match record.reason {
        Reason::None => None,
        Reason::Malformed => Some("malformed"),
        Reason::Rule => Some("rule"),
        Reason::NoRoom => Some("no-room"),
        Reason::NoServer => Some("no-server"),
        Reason::Limit => Some("limit"),
        Reason::Timeout => Some("timeout"),
        Reason::SessionLost => Some("session-lost"),
        Reason::Nack => Some("nack"),
    };
    line.server_message_id = filled(octets.first);
    line.client_message_id = filled(octets.second);
    let since = |moment: Moment| {
        let time = record.at.since(moment);
        (moment != Moment::NEVER).then(|| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    };
    line.latency_us = since(record.arrived_at);
    line.far_latency_us = since(record.sent_at);
}

fn status_name(status: Status) -> Cow<'static, str> {
    match status.name() {
        Some(name) => name.into(),
        None => format!("0x{:08x}", status.0).into(),
    }
}

fn write_request<'a>(
    line: &mut Line<'a>,
    settings: &LineSettings,
    record: &MessageRecord,
    octets: RecordOctets<'a>,
) {
    let pdu = octets.first;
    line.message = message_fields(settings, record.command, pdu);
    if record.kind == RecordKind::Receipt {
        line.client_message_id = filled(octets.second);
        if let Some(receipt) = read_receipt(pdu) {
            let id = receipt.message_id().and_then(filled);
            // What leaves the queue has its client's id in it.
            if record.is_from_queue {
                line.client_message_id = id;
            } else {
                line.server_message_id = id;
            }
            let error = receipt.text.err.clone().and_then(|range| pdu.get(range));
            line.receipt = Some(ReceiptFields {
                receipt_state: receipt.state().map(|state| match state.name() {
                    Some(name) => name.into(),
                    None => state.0.to_string().into(),
                }),
                receipt_is_final: receipt.is_final(),
                receipt_error: error.and_then(filled),
            });
        }
    }
}

/// `None` for a PDU that cannot be read, which was refused for that.
fn message_fields<'a>(
    settings: &LineSettings,
    command: CommandId,
    pdu: &'a [u8],
) -> Option<MessageFields<'a>> {
    let form = &settings.addresses;
    let (mut fields, user_data) = match command {
        CommandId::SUBMIT_SM | CommandId::DELIVER_SM => {
            let view = MessageView::parse(pdu).ok()?;
            let fields = MessageFields {
                service_type: String::from_utf8_lossy(view.service_type()),
                esm_class: view.esm_class(),
                data_coding: view.data_coding(),
                registered_delivery: Some(view.registered_delivery()),
                validity_period: filled(view.validity_period()),
                ..MessageFields::between(form, view.source(), Some(view.destination()))
            };
            (fields, view.user_data())
        }
        CommandId::DATA_SM => {
            let view = DataView::parse(pdu).ok()?;
            let fields = MessageFields {
                service_type: String::from_utf8_lossy(view.service_type()),
                esm_class: view.esm_class(),
                data_coding: view.data_coding(),
                registered_delivery: Some(view.registered_delivery()),
                ..MessageFields::between(form, view.source(), Some(view.destination()))
            };
            (fields, view.user_data())
        }
        CommandId::SUBMIT_MULTI => {
            let view = SubmitMultiView::parse(pdu).ok()?;
            let destinations = view.destinations().map(|destination| match destination {
                DestAddress::Sme(address) => form.write(address.ton, address.addr),
                DestAddress::DistributionList(name) => String::from_utf8_lossy(name),
            });
            let fields = MessageFields {
                service_type: String::from_utf8_lossy(view.service_type()),
                esm_class: view.esm_class(),
                data_coding: view.data_coding(),
                registered_delivery: Some(view.registered_delivery()),
                validity_period: filled(view.validity_period()),
                destinations: destinations.collect(),
                ..MessageFields::between(form, view.source(), None)
            };
            (fields, view.user_data())
        }
        CommandId::BROADCAST_SM => {
            let view = BroadcastView::parse(pdu).ok()?;
            let fields = MessageFields {
                service_type: String::from_utf8_lossy(view.service_type()),
                data_coding: view.data_coding(),
                validity_period: filled(view.validity_period()),
                ..MessageFields::between(form, view.source(), None)
            };
            (fields, &[][..])
        }
        _ => return None,
    };
    if let Some(segment) = Concatenation::of_pdu(command, pdu) {
        fields.segment_reference = Some(segment.reference);
        fields.segment_number = Some(segment.sequence);
        fields.segment_total = Some(segment.total);
    }
    fields.write_text(settings.content, user_data);
    Some(fields)
}

impl<'a> MessageFields<'a> {
    fn between(form: &AddressForm, source: Address<'a>, destination: Option<Address<'a>>) -> Self {
        Self {
            source: form.write(source.ton, source.addr),
            source_ton: source.ton,
            source_npi: source.npi,
            destination: destination.map(|address| form.write(address.ton, address.addr)),
            destination_ton: destination.map(|address| address.ton),
            destination_npi: destination.map(|address| address.npi),
            ..Self::default()
        }
    }

    fn write_text(&mut self, content: LoggedContent, user_data: &[u8]) {
        let header = Some(user_data)
            .filter(|_| EsmClass(self.esm_class).has_user_data_header())
            .and_then(UserDataHeader::read);
        let octets = header.map_or(0, |header| header.octets());
        let content_octets = user_data.get(octets..).unwrap_or_default();
        self.text_octets = content_octets.len();
        match content {
            LoggedContent::None => return,
            LoggedContent::Hex => {}
            LoggedContent::Text => {
                let read = characters::read(self.data_coding, content_octets);
                self.text = read.map(|(text, _alphabet)| text);
            }
        }
        if self.text.is_none() {
            self.text_hex = Some(hexadecimal::of_octets(content_octets));
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
