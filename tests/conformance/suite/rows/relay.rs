//! Rows 17 and 19: what a relay must not touch.

use smppmux_engine::core::wire::{CommandId, Status, patch_command_length};

use crate::failure::{Outcome, require_of};
use crate::peers::{BindAs, Client};
use crate::scenario::{Part, Scenario};
use crate::sms::{Sms, raw};
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 17,
        name: "odd lengths of the text",
        goal: "What can be framed is relayed as it is; what cannot spoils that PDU alone.",
        method: "submit_sm and deliver_sm with a NUL behind short_message, with 255 octets, with a NUL inside, and with an sm_length one too large.",
        expected: "The same octets on the other side; for the last ESME_RINVMSGLEN in the PDU's own response, and the session lives.",
        parts: &[
            Part::standard("submit_sm", odd_texts_from_an_esme),
            Part::standard("deliver_sm", odd_texts_from_an_smsc),
        ],
    },
    Scenario {
        row: 19,
        name: "TLVs of vendors",
        goal: "Every TLV arrives: unknown ones, empty ones, repeated ones, in their order.",
        method: "submit_sm, deliver_sm and submit_sm_resp with tags 0x1400, 0x3FFF (empty), 0x1400 again, user_message_reference and 0x1400 with the first value.",
        expected: "The same octets behind the body on the other side.",
        parts: &[
            Part::standard("in messages", tlvs_in_messages),
            Part::standard("in answers", tlvs_in_answers),
        ],
    },
];

fn odd_texts(message: impl Fn(&[u8]) -> Sms) -> Vec<Sms> {
    let mut trailing_nul = message(b"trailing NUL");
    trailing_nul.tail.push(0);
    vec![
        trailing_nul,
        message(b"NUL \0 inside"),
        message(&[b'x'; 255]),
        message(b""),
    ]
}

/// The same PDU with an sm_length that is one more than there is.
fn one_octet_short(sms: &Sms, number: u32) -> Vec<u8> {
    let mut octets = sms.octets(number);
    octets.pop();
    patch_command_length(&mut octets);
    octets
}

fn passes(stage: &Stage, client: &mut Client, sms: &Sms) -> Outcome {
    let number = client.send_sms(sms)?;
    let mut arrival = stage.request()?;
    sms.is_relayed_as(&arrival.pdu)?;
    arrival.accept("odd");
    client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    Ok(())
}

fn odd_texts_from_an_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    for sms in odd_texts(|text| Sms::submit("88010001", "447700900001", text)) {
        passes(stage, &mut client, &sms)?;
    }
    let short = Sms::submit("88010001", "447700900001", "one octet is missing");
    client.send(&one_octet_short(&short, 700))?;
    client.expect(
        Want::a(CommandId::SUBMIT_SM_RESP)
            .with(Status::ESME_RINVMSGLEN)
            .numbered(700),
    )?;
    stage.no_request()?;
    stage.carries(&mut client, "88010001")
}

fn odd_texts_from_an_smsc(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    for sms in odd_texts(|text| Sms::deliver("447700900001", "88010001", text)) {
        let number = stage.a().deliver(0, &sms)?;
        sms.is_relayed_as(&client.take_delivery()?)?;
        let answer = stage.a().response_to(number)?;
        require_of!(
            &answer,
            answer.status().is_ok(),
            "ESME_ROK was due; {answer:?} came"
        );
    }
    let short = Sms::deliver("447700900001", "88010001", "one octet is missing");
    let session = stage.a().receiving_sessions()[0];
    stage.a().send_on(session, &one_octet_short(&short, 70_000))?;
    let answer = stage.a().response_to(70_000)?;
    require_of!(
        &answer,
        Want::a(CommandId::DELIVER_SM_RESP)
            .with(Status::ESME_RINVMSGLEN)
            .is(&answer),
        "deliver_sm_resp ESME_RINVMSGLEN was due; {answer:?} came"
    );
    client.stays_quiet()
}

fn with_vendor_tlvs(sms: Sms) -> Sms {
    sms.tlv(0x1400, b"first")
        .tlv(0x3FFF, b"")
        .tlv(0x1400, b"second")
        .tlv(0x0204, &[0x12, 0x34])
        .tlv(0x1400, b"first")
        .tlv(0x2ABC, &[0xFF; 300])
}

fn tlvs_in_messages(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    passes(
        stage,
        &mut client,
        &with_vendor_tlvs(Sms::submit("88010001", "447700900001", "vendor")),
    )?;
    let deliver = with_vendor_tlvs(Sms::deliver("447700900001", "88010001", "vendor"));
    let number = stage.b().deliver(0, &deliver)?;
    deliver.is_relayed_as(&client.take_delivery()?)?;
    stage.b().response_to(number)?;
    Ok(())
}

fn tlvs_in_answers(stage: &mut Stage) -> Outcome {
    let tlvs = with_vendor_tlvs(Sms::submit("", "", "")).tail;
    let mut client = stage.esme("east")?;
    let number = client.submit("88010001", "447700900001", "vendor")?;
    let mut arrival = stage.request()?;
    let body = [b"an-id\0".as_slice(), &tlvs].concat();
    let answer = raw(
        CommandId::SUBMIT_SM_RESP,
        Status::ESME_ROK,
        arrival.pdu.sequence_number(),
        &body,
    );
    arrival.answer(&answer);
    let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    require_of!(
        &answer,
        answer.body().ends_with(&[&[0], tlvs.as_slice()].concat()),
        "the TLVs of the answer were changed; {answer:?} came"
    );
    Ok(())
}
