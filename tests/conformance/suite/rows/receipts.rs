//! Rows 7, 8, 11 and 12: delivery receipts.

use std::time::Duration;

use smppmux_engine::core::wire::{EsmClass, Status, Tag};

use crate::failure::{Outcome, fail, require, require_of, wrong};
use crate::peers::{Arrival, BindAs, Client, id_of};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::sms::{Sms, receipt, receipt_ids, receipt_text};
use crate::stage::{A, Stage};

/// In the range of `east`, so that a receipt that is routed by address goes there.
const SUBMITTERS_ADDRESS: &str = "88010009";
const SUBSCRIBER: &str = "447700900009";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 7,
        name: "a receipt before the answer",
        goal: "A receipt that overtakes the submit_sm_resp waits for it; where no answer comes, the receipt is not lost.",
        method: "An SMSC reads a submit_sm, sends the receipt on the same session, or on another one, and then the answer; or it never answers. The \
                 submitter claims no addresses, another account claims the message's source address.",
        expected: "submit_sm_resp, then deliver_sm with the same id at the submitter. Without an answer: deliver_sm at the account that claims the address, \
                   after a bounded time. The SMSC gets ESME_ROK for each.",
        parts: &[
            Part::standard("on the same session", an_early_receipt),
            Part::standard("on another session", an_early_receipt_elsewhere),
            Part::under(Setting::Impatient, "without an answer", an_early_receipt_alone),
        ],
    },
    Scenario {
        row: 8,
        name: "ids in another notation",
        goal: "A receipt whose id is the submit's in another notation finds the submitter; one that is not does not.",
        method: "Answers and receipts name the message in hex and decimal, with and without leading zeros, in capitals and small letters. Two accounts get \
                 ids that are each other's hex and decimal reading. A receipt with such a reading comes from another subscriber.",
        expected: "deliver_sm at the submitter with the id that was given at submit, or with the receipt's own, unaltered; an exact match before any reading; \
                   no reading at all where the receipt's source is not the submit's destination.",
        parts: &[
            Part::standard("every notation", every_notation),
            Part::standard("an exact match comes first", an_exact_match_comes_first),
            Part::standard(
                "no reading for another subscriber",
                no_reading_for_another_subscriber,
            ),
        ],
    },
    Scenario {
        row: 11,
        name: "layouts of receipts",
        goal: "Whatever a receipt looks like, it carries the id that the ESME knows, in both places, and is otherwise as it was.",
        method: "Receipts of one message: text and TLV, one of them, in message_payload, with seconds in the dates, without sub and dlvrd, without text, in \
                 capitals, with esm_class 0; a text of no known layout; text and TLV that differ.",
        expected: "deliver_sm with the id of the submit_sm_resp in place of the SMSC's, all lengths right, all else octet for octet; the unknown layout \
                   untouched; where they differ, the TLV names the message and both are rewritten.",
        parts: &[
            Part::standard("known layouts", known_layouts),
            Part::standard("an unknown layout", an_unknown_layout),
            Part::standard("text and TLV differ", text_and_tlv_differ),
        ],
    },
    Scenario {
        row: 12,
        name: "receipts find the submitter",
        goal: "A receipt goes to the account that submitted, spread over the sessions of it that may receive; while there is none it waits, and comes by itself.",
        method: "Accounts with a transmitter, a receiver and a transceiver, and one that claims the addresses; 30 receipts, the first session not answering. \
                 Then the account unbinds, ten receipts come, and it binds again.",
        expected: "deliver_sm at receiving sessions of the submitter alone, on both. ESME_ROK to the SMSC also while nobody is bound, and the ten in their \
                   order after the bind.",
        parts: &[
            Part::standard("only the submitter, and all its sessions", only_the_submitter),
            Part::standard("a backlog drains by itself", a_backlog_drains),
        ],
    },
];

/// Submits a message that asks for a receipt; gives its number and what the SMSC got.
fn submit(stage: &Stage, client: &mut Client, source: &str) -> Outcome<(u32, Arrival)> {
    let sms = Sms::submit(source, SUBSCRIBER, "with receipt").asking_for_receipt();
    let number = client.send_sms(&sms)?;
    Ok((number, stage.request()?))
}

/// The same, accepted with this id; gives the id that the ESME got, and the SMSC.
fn submit_with_id(stage: &Stage, client: &mut Client, source: &str, id: &str) -> Outcome<(String, usize)> {
    let (number, mut arrival) = submit(stage, client, source)?;
    arrival.accept(id);
    let answer = client.answer_to(number)?;
    Ok((id_of(&answer)?, arrival.centre))
}

fn is_accepted(stage: &mut Stage, centre: usize, number: u32) -> Outcome {
    let answer = stage.centre(centre).response_to(number)?;
    require_of!(
        &answer,
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    Ok(())
}

fn gets_nothing(client: &mut Client, who: &str) -> Outcome {
    match client.next_within(Duration::from_millis(200)) {
        None => client.is_quiet(),
        Some(pdu) => wrong(&pdu, format!("{who} got {pdu:?}")),
    }
}

fn an_early_receipt(stage: &mut Stage) -> Outcome {
    early_receipt(stage, false)
}

fn an_early_receipt_elsewhere(stage: &mut Stage) -> Outcome {
    early_receipt(stage, true)
}

fn early_receipt(stage: &mut Stage, elsewhere: bool) -> Outcome {
    let mut other = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut client = stage.esme("mute")?;
    for round in 0..6 {
        let id = format!("early-{round}");
        let (number, mut arrival) = submit(stage, &mut client, SUBMITTERS_ADDRESS)?;
        let centre = arrival.centre;
        let sessions = stage.centre(centre).receiving_sessions();
        let session = if elsewhere {
            let another = sessions.iter().find(|session| **session != arrival.session);
            *another.unwrap_or(&arrival.session)
        } else {
            arrival.session
        };
        let receipt_number = stage.centre(centre).next_number();
        let octets = receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, &id).octets(receipt_number);
        stage.centre(centre).send_on(session, &octets)?;
        client.stays_quiet()?;
        arrival.accept(&id);
        let given = id_of(&client.answer_to(number)?)?;
        let delivery = client.take_delivery()?;
        let ids = receipt_ids(&delivery)?;
        require_of!(
            &delivery,
            ids == (Some(given.clone()), Some(given.clone())),
            "the receipt carries {ids:?}; {given} was given at submit"
        );
        is_accepted(stage, centre, receipt_number)?;
    }
    gets_nothing(&mut other, "the account that claims the address")
}

fn an_early_receipt_alone(stage: &mut Stage) -> Outcome {
    let mut by_address = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut client = stage.esme("mute")?;
    let (number, arrival) = submit(stage, &mut client, SUBMITTERS_ADDRESS)?;
    let centre = arrival.centre;
    let receipt_number = stage
        .centre(centre)
        .deliver(0, &receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, "alone-1"))?;
    let answer = client.answer_to(number)?;
    require_of!(
        &answer,
        !answer.status().is_ok(),
        "an error was due; {answer:?} came"
    );
    let delivery = by_address.take_delivery()?;
    require_of!(
        &delivery,
        delivery.text().contains("alone-1"),
        "the receipt that was held was due; {delivery:?} came"
    );
    is_accepted(stage, centre, receipt_number)
}

fn every_notation(stage: &mut Stage) -> Outcome {
    let mut other = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut client = stage.esme("mute")?;
    let pairs = [
        ("1F4A9C02", "524983298"),
        ("524983299", "1F4A9C03"),
        ("1f4a9c04", "0524983300"),
        ("0000012345", "12345"),
        ("12346", "0000012346"),
        ("abcdef0123", "ABCDEF0123"),
        ("same-as-it-was", "same-as-it-was"),
    ];
    for (at_submit, in_receipt) in pairs {
        let (given, centre) = submit_with_id(stage, &mut client, SUBMITTERS_ADDRESS, at_submit)?;
        let number = stage
            .centre(centre)
            .deliver(0, &receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, in_receipt))?;
        let delivery = match client.next_within(Duration::from_secs(3)) {
            Some(delivery) => delivery,
            None => {
                return fail(format!(
                    "the receipt for {in_receipt} did not reach the account that got {given} for {at_submit}"
                ));
            }
        };
        client.accept(&delivery)?;
        let (text_id, tlv_id) = receipt_ids(&delivery)?;
        let is_sound = |id: &Option<String>| {
            id.as_ref()
                .is_some_and(|id| *id == given || id.starts_with(in_receipt))
        };
        require_of!(
            &delivery,
            is_sound(&text_id) && is_sound(&tlv_id),
            "the receipt for {in_receipt} carries {text_id:?} and {tlv_id:?}; {given} was given at submit"
        );
        is_accepted(stage, centre, number)?;
    }
    gets_nothing(&mut other, "the account that claims the address")
}

fn an_exact_match_comes_first(stage: &mut Stage) -> Outcome {
    let mut reading = stage.esme("alpha")?;
    let mut exact = stage.bind(BindAs::transmitter("mute"))?;
    let mut exact_receiver = stage.bind(BindAs::receiver("mute"))?;
    // Decimal 16 is hex 10: both accounts wait for a receipt of SMSC A from one subscriber.
    submit_with_id(stage, &mut reading, "88030009", "16")?;
    while submit_with_id(stage, &mut exact, SUBMITTERS_ADDRESS, "10")?.1 != A {}
    stage
        .a()
        .deliver(0, &receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, "10"))?;
    let delivery = exact_receiver.take_delivery()?;
    require_of!(
        &delivery,
        delivery.text().starts_with("id:10"),
        "the receipt for 10 was due; {delivery:?} came"
    );
    gets_nothing(&mut reading, "the account whose id only reads like it")
}

fn no_reading_for_another_subscriber(stage: &mut Stage) -> Outcome {
    let mut by_address = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut client = stage.esme("mute")?;
    let (_, centre) = submit_with_id(stage, &mut client, SUBMITTERS_ADDRESS, "1F4A9C0A")?;
    let other_subscriber = receipt("447700900777", SUBMITTERS_ADDRESS, "524983306");
    let number = stage.centre(centre).deliver(0, &other_subscriber)?;
    by_address.take_delivery()?;
    is_accepted(stage, centre, number)?;
    gets_nothing(
        &mut client,
        "the account whose message went to another subscriber",
    )
}

/// Receipts of one message in every layout.
fn layouts(id: &str) -> Vec<(&'static str, Sms)> {
    let receipt_class = EsmClass::DELIVERY_RECEIPT;
    let of = |text: String| Sms::deliver(SUBSCRIBER, "88030009", text).esm_class(receipt_class);
    let tlv = |sms: Sms| {
        let value = [id.as_bytes(), &[0]].concat();
        sms.tlv(Tag::RECEIPTED_MESSAGE_ID.0, &value)
            .tlv(Tag::MESSAGE_STATE.0, &[2])
    };
    let text = receipt_text(id);
    let without_counts =
        format!("id:{id} submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:hello");
    let with_seconds = format!(
        "id:{id} sub:001 dlvrd:001 submit date:260101000059 done date:20260101000159 stat:DELIVRD err:0 Text:hello"
    );
    vec![
        ("text and TLV", tlv(of(text.clone()))),
        ("text alone", of(text.clone())),
        ("TLV alone", tlv(of(String::new()))),
        (
            "text in message_payload",
            of(String::new()).with_payload(text.as_bytes()),
        ),
        ("without sub and dlvrd", of(without_counts)),
        ("with seconds", of(with_seconds)),
        ("without text", of(format!("id:{id} stat:UNDELIV err:0A1"))),
        (
            "in capitals",
            of(format!(
                "ID:{id} SUB:001 DLVRD:001 SUBMIT DATE:2601010000 DONE DATE:2601010001 STAT:delivrd ERR:000 TEXT:hello"
            )),
        ),
        ("esm_class 0", tlv(of(text).esm_class(0))),
    ]
}

fn known_layouts(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("alpha").range("8803"))?;
    let (given, centre) = submit_with_id(stage, &mut client, "88030009", "layout-77")?;
    for ((name, sent), (_, wanted)) in layouts("layout-77").into_iter().zip(layouts(&given)) {
        let number = stage.centre(centre).deliver(0, &sent)?;
        let delivery = client.take_delivery()?;
        let wanted = wanted.octets(delivery.sequence_number());
        require_of!(
            &delivery,
            delivery.octets() == wanted,
            "{name}: with {given} for layout-77 was due {:?}; {delivery:?} came",
            smppmux_tests::pdu::Pdu::new(wanted)
        );
        is_accepted(stage, centre, number)?;
    }
    Ok(())
}

fn an_unknown_layout(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("alpha").range("8803"))?;
    submit_with_id(stage, &mut client, "88030009", "layout-78")?;
    for text in ["Message layout-78 was delivered.", "", "\x00\x01\x02"] {
        let sms = Sms::deliver(SUBSCRIBER, "88030009", text).esm_class(EsmClass::DELIVERY_RECEIPT);
        let number = stage.a().deliver(0, &sms)?;
        sms.is_relayed_as(&client.take_delivery()?)?;
        is_accepted(stage, A, number)?;
    }
    Ok(())
}

fn text_and_tlv_differ(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("alpha").range("8803"))?;
    let (given, centre) = submit_with_id(stage, &mut client, "88030009", "right-id-1")?;
    let sms = Sms::deliver(SUBSCRIBER, "88030009", receipt_text("other-id-2"))
        .esm_class(EsmClass::DELIVERY_RECEIPT)
        .tlv(Tag::RECEIPTED_MESSAGE_ID.0, b"right-id-1\0");
    stage.centre(centre).deliver(0, &sms)?;
    let delivery = client.take_delivery()?;
    let ids = receipt_ids(&delivery)?;
    require_of!(
        &delivery,
        ids == (Some(given.clone()), Some(given.clone())),
        "both places were due to carry {given}; they carry {ids:?}"
    );
    Ok(())
}

fn only_the_submitter(stage: &mut Stage) -> Outcome {
    const RECEIPTS: usize = 30;
    let mut by_address = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut transmitter = stage.bind(BindAs::transmitter("mute"))?;
    let mut slow = stage.bind(BindAs::receiver("mute"))?;
    let mut quick = stage.esme("mute")?;
    let mut receipts = Vec::new();
    for place in 0..RECEIPTS {
        let id = format!("mine-{place}");
        let (_, centre) = submit_with_id(stage, &mut transmitter, SUBMITTERS_ADDRESS, &id)?;
        receipts.push((centre, receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, &id)));
    }
    for (place, (centre, sms)) in receipts.iter().enumerate() {
        stage.centre(*centre).deliver(place, sms)?;
    }
    let mut at = [0, 0];
    while at[0] + at[1] < RECEIPTS {
        let mut found = false;
        for (place, client) in [&mut slow, &mut quick].into_iter().enumerate() {
            if let Some(delivery) = client.next_within(Duration::from_millis(100)) {
                found = true;
                at[place] += 1;
                if place == 1 {
                    client.accept(&delivery)?;
                }
            }
        }
        require!(found, "of {RECEIPTS} receipts only {at:?} reached the submitter");
    }
    require!(
        at[0] > 0 && at[1] > 0,
        "the receipts were not spread over the account's receiving sessions: {at:?}"
    );
    gets_nothing(&mut transmitter, "the transmitter")?;
    gets_nothing(&mut by_address, "the account that claims the address")
}

fn a_backlog_drains(stage: &mut Stage) -> Outcome {
    const RECEIPTS: usize = 10;
    let mut by_address = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut client = stage.esme("mute")?;
    let mut receipts = Vec::new();
    let mut given = Vec::new();
    for place in 0..RECEIPTS {
        let id = format!("later-{place}");
        let (id_given, centre) = submit_with_id(stage, &mut client, SUBMITTERS_ADDRESS, &id)?;
        receipts.push((centre, receipt(SUBSCRIBER, SUBMITTERS_ADDRESS, &id)));
        given.push(id_given);
    }
    client.unbind()?;
    for (centre, sms) in &receipts {
        let number = stage.centre(*centre).deliver(0, sms)?;
        let answer = stage.centre(*centre).response_to(number)?;
        require_of!(
            &answer,
            answer.status() == Status::ESME_ROK,
            "a receipt for an account that is away was due to be kept; {answer:?} came"
        );
    }
    gets_nothing(&mut by_address, "the account that claims the address")?;
    let mut client = stage.esme("mute")?;
    for id in given {
        let delivery = client.take_delivery()?;
        let (text_id, _) = receipt_ids(&delivery)?;
        require_of!(
            &delivery,
            text_id.as_ref() == Some(&id),
            "{id} was next; the receipt that came carries {text_id:?}"
        );
    }
    client.stays_quiet()
}
