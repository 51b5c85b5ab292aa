//! Rows 14 to 16: segments of concatenated messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use smppmux_engine::core::wire::{
    CommandId, Concatenation, ConcatenationKind, DataView, EsmClass, MessageView, Status, Tag,
};
use smppmux_tests::pdu::Pdu;

use crate::failure::{Outcome, fail, require, require_of, wrong};
use crate::peers::{BindAs, Client, OnBind};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::sms::Sms;
use crate::stage::{A, B, Stage};
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 14,
        name: "segments of one message stay together",
        goal: "All segments of a message reach one SMSC, or one ESME session; when that one goes away, what was not sent moves together.",
        method: "Two sessions of one account send six messages of 3 to 8 segments, interleaved and out of order. An SMSC goes away after two segments of \
                 five. An SMSC sends eight messages of four segments to an account with two sessions.",
        expected: "Every segment once, with its text; those of one message at one SMSC, or at one ESME session; after the loss the last three at the other SMSC.",
        parts: &[
            Part::standard("interleaved, over two sessions", interleaved_messages),
            Part::standard("the SMSC goes away between segments", a_loss_between_segments),
            Part::standard("towards ESMEs", segments_towards_esmes),
        ],
    },
    Scenario {
        row: 15,
        name: "where a segment says so",
        goal: "A segment is recognised wherever it says what it is.",
        method: "Six messages of four segments for each way to say so: UDH with an 8-bit reference, with a 16-bit one, behind ports, behind a language shift, \
                 before ports, in message_payload, in data_sm; the sar TLVs.",
        expected: "The segments of each message at one SMSC, their text unchanged.",
        parts: &[Part::standard("every way", every_way_to_say_so)],
    },
    Scenario {
        row: 16,
        name: "widths of reference numbers",
        goal: "An SMSC that understands one way to mark segments gets that one, whatever the ESME used.",
        method: "Messages of three segments with 8-bit and 16-bit references in the UDH and with sar TLVs, two at a time with references that differ only \
                 in their high octet, to SMSC A, which is configured for 8-bit references, and to B, for 16-bit ones.",
        expected: "submit_sm whose UDH has a reference of that width; total, number and text as they were; one reference for all segments of a message, \
                   another for the other message.",
        parts: &[Part::under(
            Setting::ReferenceWidths,
            "as each SMSC is configured",
            references_as_configured,
        )],
    },
];

/// How segments say what they belong to.
#[derive(Clone, Copy, Debug)]
enum Way {
    Udh8,
    Udh16,
    BehindPorts,
    BehindShift,
    BeforePorts,
    InPayload,
    InData,
    Sar,
}

const WAYS: [Way; 8] = [
    Way::Udh8,
    Way::Udh16,
    Way::BehindPorts,
    Way::BehindShift,
    Way::BeforePorts,
    Way::InPayload,
    Way::InData,
    Way::Sar,
];

const PORTS: &[u8] = &[0x05, 0x04, 0x0B, 0x84, 0x23, 0xF0];

impl Way {
    fn header(self, reference: u8, total: u8, segment: u8) -> Vec<u8> {
        let udh8 = [0x00, 0x03, reference, total, segment];
        let udh16 = [0x08, 0x04, 0x12, reference, total, segment];
        let elements = match self {
            Self::Udh8 | Self::InData => udh8.to_vec(),
            Self::Udh16 | Self::InPayload => udh16.to_vec(),
            Self::BehindPorts => [PORTS, &udh8].concat(),
            Self::BehindShift => [&[0x24, 0x01, 0x03], udh16.as_slice()].concat(),
            Self::BeforePorts => [&udh16, PORTS].concat(),
            Self::Sar => return Vec::new(),
        };
        let length = u8::try_from(elements.len()).expect("a short header");
        [&[length], elements.as_slice()].concat()
    }

    /// One segment, as a submit_sm (or data_sm) or a deliver_sm.
    fn segment(self, base: &Sms, reference: u8, total: u8, segment: u8, text: &str) -> Sms {
        let user_data = [self.header(reference, total, segment), text.into()].concat();
        let sms = base.clone();
        match self {
            Self::Sar => {
                let sms = sms
                    .tlv(Tag::SAR_MSG_REF_NUM.0, &[0x12, reference])
                    .tlv(Tag::SAR_TOTAL_SEGMENTS.0, &[total])
                    .tlv(Tag::SAR_SEGMENT_SEQNUM.0, &[segment]);
                Sms {
                    short_message: user_data,
                    ..sms
                }
            }
            Self::InPayload | Self::InData => sms.esm_class(EsmClass::UDHI).with_payload(&user_data),
            _ => Sms {
                short_message: user_data,
                ..sms.esm_class(EsmClass::UDHI)
            },
        }
    }
}

/// A message's name and a segment's number, which its text carries.
fn told_by(pdu: &Pdu) -> Outcome<(String, u8)> {
    let view = MessageView::parse(pdu.octets());
    let user_data = match (&view, pdu.command()) {
        (_, CommandId::DATA_SM) => DataView::parse(pdu.octets()).map(|view| view.user_data().to_vec()),
        (Ok(view), _) => Ok(view.user_data().to_vec()),
        (Err(_), _) => return wrong(pdu, "a segment that cannot be read"),
    };
    let text = String::from_utf8_lossy(&user_data.unwrap_or_default()).into_owned();
    // The last one: an octet of the header before the text may look like one, such as a reference of 0x3C.
    let Some((_, told)) = text.rsplit_once('<') else {
        return wrong(pdu, "the text of a segment was changed");
    };
    let mut parts = told.trim_end_matches('>').split('/');
    match (parts.next(), parts.next().and_then(|number| number.parse().ok())) {
        (Some(name), Some(number)) => Ok((name.into(), number)),
        _ => wrong(pdu, "the text of a segment was changed"),
    }
}

fn text_of(name: &str, segment: u8) -> String {
    format!("<{name}/{segment}>")
}

/// Where each segment of each message went.
#[derive(Default)]
struct Places {
    of_message: BTreeMap<String, BTreeMap<u8, usize>>,
}

impl Places {
    fn note(&mut self, pdu: &Pdu, place: usize) -> Outcome {
        let (name, segment) = told_by(pdu)?;
        let segments = self.of_message.entry(name.clone()).or_default();
        if let Some(other) = segments.values().find(|other| **other != place) {
            return wrong(
                pdu,
                format!("segment {segment} of message {name} came at place {place}, others at {other}"),
            );
        }
        require_of!(
            pdu,
            segments.insert(segment, place).is_none(),
            "segment {segment} of message {name} came twice"
        );
        Ok(())
    }

    fn segments(&self) -> usize {
        self.of_message.values().map(BTreeMap::len).sum()
    }

    fn places(&self) -> BTreeSet<usize> {
        self.of_message
            .values()
            .flat_map(|segments| segments.values().copied())
            .collect()
    }
}

/// Takes segments at the SMSCs, accepts them, and notes where they came.
fn take_segments(stage: &Stage, count: usize, places: &mut Places) -> Outcome {
    for _ in 0..count {
        let mut arrival = stage.request()?;
        require_of!(
            &arrival.pdu,
            segment_of(&arrival.pdu).is_some(),
            "a segment no longer says what it is"
        );
        places.note(&arrival.pdu, arrival.centre)?;
        arrival.accept("segment");
    }
    Ok(())
}

fn segment_of(pdu: &Pdu) -> Option<Concatenation> {
    if pdu.command() == CommandId::DATA_SM {
        return Concatenation::of_data(&DataView::parse(pdu.octets()).ok()?);
    }
    Concatenation::of_message(&MessageView::parse(pdu.octets()).ok()?)
}

fn interleaved_messages(stage: &mut Stage) -> Outcome {
    let mut clients = [stage.esme("east")?, stage.esme("east")?];
    let mut sent: Vec<(usize, Sms)> = Vec::new();
    for message in 0..6_u8 {
        let total = 3 + message;
        let base = Sms::submit("88010001", "447700900001", "");
        for segment in 1..=total {
            let name = format!("message {message}");
            let sms = Way::Udh8.segment(&base, message, total, segment, &text_of(&name, segment));
            sent.push((usize::from(segment) % 2, sms));
        }
    }
    // Out of order, the same in every run.
    sent.sort_by_key(|(_, sms)| {
        let mix = |sum: u32, octet: &u8| sum.wrapping_mul(31).wrapping_add(u32::from(*octet));
        sms.short_message.iter().fold(7, mix)
    });
    let mut places = Places::default();
    for batch in sent.chunks(8) {
        for (client, sms) in batch {
            clients[*client].send_sms(sms)?;
        }
        take_segments(stage, batch.len(), &mut places)?;
    }
    for (index, client) in clients.iter_mut().enumerate() {
        for _ in sent.iter().filter(|(client, _)| *client == index) {
            client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
        }
        client.is_quiet()?;
    }
    require!(places.segments() == sent.len(), "not all segments came");
    Ok(())
}

fn a_loss_between_segments(stage: &mut Stage) -> Outcome {
    for round in 0..3_u8 {
        let mut client = stage.esme("east")?;
        let base = Sms::submit("88010001", "447700900001", "");
        let segment = |number| {
            Way::Udh8.segment(
                &base,
                100 + round,
                5,
                number,
                &text_of(&format!("lost {round}"), number),
            )
        };
        client.send_sms(&segment(1))?;
        let mut arrival = stage.request()?;
        let lost = arrival.centre;
        arrival.accept("one");
        client.send_sms(&segment(2))?;
        let mut arrival = stage.request()?;
        require_of!(&arrival.pdu, arrival.centre == lost, "two segments at two SMSCs");
        arrival.accept("two");
        for _ in 0..2 {
            client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
        }
        let sessions = stage.centre(lost).sessions().len();
        stage.centre(lost).on_bind(OnBind::HangUp);
        stage.centre(lost).drop_sessions();
        // Until the balancer has seen the end of all sessions, a segment may be lost to it.
        std::thread::sleep(Duration::from_millis(300));
        for number in 3..=5 {
            client.send_sms(&segment(number))?;
            let mut arrival = stage.request()?;
            require_of!(
                &arrival.pdu,
                arrival.centre != lost,
                "a segment went to the SMSC that is gone"
            );
            arrival.accept("moved");
            client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
        }
        stage.centre(lost).on_bind(OnBind::Accept);
        stage.centre(lost).await_sessions(sessions.min(1))?;
    }
    Ok(())
}

fn segments_towards_esmes(stage: &mut Stage) -> Outcome {
    const SEGMENTS: u8 = 4;
    let mut clients = [
        stage.bind(BindAs::transceiver("east").range("8801"))?,
        stage.bind(BindAs::transceiver("east").range("8801"))?,
    ];
    let mut places = Places::default();
    let mut numbers = Vec::new();
    for message in 0..8_u8 {
        let base = Sms::deliver("447700900001", "88010001", "");
        for segment in 1..=SEGMENTS {
            let text = text_of(&format!("to ESME {message}"), segment);
            let sms = Way::Udh8.segment(&base, message, SEGMENTS, segment, &text);
            let centre = [A, B][usize::from(message % 2)];
            let number = stage.centre(centre).deliver(usize::from(segment), &sms)?;
            take_at_either(&mut clients, &mut places)?;
            numbers.push((centre, number));
        }
    }
    for (centre, number) in numbers {
        let answer = stage.centre(centre).response_to(number)?;
        require_of!(
            &answer,
            answer.status() == Status::ESME_ROK,
            "ESME_ROK was due; {answer:?} came"
        );
    }
    require!(
        places.places().len() == 2,
        "all messages went to one session of two; that would hide a fault"
    );
    Ok(())
}

fn take_at_either(clients: &mut [Client; 2], places: &mut Places) -> Outcome {
    for turn in 0..2_000 {
        let place = turn % 2;
        if let Some(delivery) = clients[place].next_within(Duration::from_millis(5)) {
            clients[place].accept(&delivery)?;
            return places.note(&delivery, place);
        }
    }
    fail("a segment reached neither session")
}

fn every_way_to_say_so(stage: &mut Stage) -> Outcome {
    const SEGMENTS: u8 = 4;
    const MESSAGES: u8 = 6;
    let mut client = stage.esme("east")?;
    for (way_index, way) in (0..).zip(WAYS) {
        for message in 0..MESSAGES {
            let mut places = Places::default();
            let base = match way {
                Way::InData => Sms::data("88010001", "447700900001"),
                _ => Sms::submit("88010001", "447700900001", ""),
            };
            let reference = way_index * 10 + message;
            for segment in 1..=SEGMENTS {
                let text = text_of(&format!("{way:?} {message}"), segment);
                client.send_sms(&way.segment(&base, reference, SEGMENTS, segment, &text))?;
                take_segments(stage, 1, &mut places)?;
                let answer = client.next()?;
                require_of!(
                    &answer,
                    answer.status().is_ok(),
                    "ESME_ROK was due; {answer:?} came"
                );
            }
        }
    }
    client.is_quiet()
}

fn references_as_configured(stage: &mut Stage) -> Outcome {
    const SEGMENTS: u8 = 3;
    let mut alpha = stage.esme("alpha")?;
    let mut beta = stage.esme("beta")?;
    let accounts = [
        (&mut alpha, "88030001", A, ConcatenationKind::Udh8),
        (&mut beta, "88040001", B, ConcatenationKind::Udh16),
    ];
    for (client, source, centre, wanted) in accounts {
        for way in [Way::Udh8, Way::Udh16, Way::Sar] {
            let base = Sms::submit(source, "447700900001", "");
            let mut references: BTreeMap<String, u16> = BTreeMap::new();
            for segment in 1..=SEGMENTS {
                for message in 0..2_u8 {
                    let name = format!("{way:?} {message}");
                    let mut sms = way.segment(&base, 77, SEGMENTS, segment, &text_of(&name, segment));
                    if message == 1 {
                        differ_in_the_high_octet(way, &mut sms);
                    }
                    client.send_sms(&sms)?;
                    let mut arrival = stage.request()?;
                    arrival.accept("segment");
                    client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
                    require_of!(
                        &arrival.pdu,
                        arrival.centre == centre,
                        "it came at the other SMSC"
                    );
                    let Some(found) = segment_of(&arrival.pdu) else {
                        return wrong(&arrival.pdu, "a segment no longer says what it is");
                    };
                    require_of!(
                        &arrival.pdu,
                        found.kind == wanted && (found.total, found.sequence) == (SEGMENTS, segment),
                        "segment {segment} of {SEGMENTS} was due as {wanted:?}; {found:?} came"
                    );
                    let (told, number) = told_by(&arrival.pdu)?;
                    require_of!(
                        &arrival.pdu,
                        (&told, number) == (&name, segment),
                        "the text was changed"
                    );
                    let reference = *references.entry(told).or_insert(found.reference);
                    require_of!(
                        &arrival.pdu,
                        reference == found.reference,
                        "a segment of {name} has reference {:#x}, another {reference:#x}",
                        found.reference
                    );
                }
            }
            let different: BTreeSet<u16> = references.values().copied().collect();
            require!(
                different.len() == 2,
                "two messages share a reference: {references:?}"
            );
        }
    }
    Ok(())
}

/// References of 8 bits have none: theirs differs as a whole.
fn differ_in_the_high_octet(way: Way, sms: &mut Sms) {
    match way {
        Way::Udh8 => sms.short_message[3] = 78,
        Way::Sar => sms.tail[4] = 0x21,
        _ => sms.short_message[3] = 0x21,
    }
}
