//! Rows 9 and 10: message ids of more than one SMSC.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CancelView, CommandId, QueryRespView, QueryView, Status, Version};
use smppmux_tests::pdu::{Pdu, cancel_sm, query_sm};

use crate::failure::{Outcome, require, require_of, wrong};
use crate::peers::{Arrival, BindAs, Client, OnRequest, PATIENCE, id_of};
use crate::scenario::{Part, Scenario};
use crate::sms::{Sms, receipt, receipt_ids};
use crate::stage::{A, B, Stage};
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 9,
        name: "ids with no room for more",
        goal: "An id that leaves no room for what a balancer adds works all the same.",
        method: "An SMSC gives ids of 64 characters to a v3.4 ESME, and of 8 to a v3.3 one; the ESMEs query and cancel with what they got.",
        expected: "An id of at most 64 characters, or 8 for v3.3; query_sm and cancel_sm with the SMSC's own id at that SMSC; query_sm_resp with the ESME's id.",
        parts: &[
            Part::standard("64 characters", ids_of_64_characters),
            Part::standard("8 characters for a v3.3 ESME", ids_for_a_v33_esme),
        ],
    },
    Scenario {
        row: 10,
        name: "one id from two SMSCs",
        goal: "Two messages with the same id from two SMSCs stay two messages.",
        method: "Both SMSCs give the id twin-1, to an account each; both accounts query, and both SMSCs send a receipt.",
        expected: "Different ids, or the operation at the right SMSC for each account; each receipt at its own account, with the id that it got.",
        parts: &[Part::standard("operations and receipts", twins)],
    },
];

/// Submits, and gives the id that the ESME gets for `id`.
fn id_given_for(stage: &Stage, client: &mut Client, source: &str, id: &str) -> Outcome<(String, usize)> {
    let sms = Sms::submit(source, "447700900009", "id").asking_for_receipt();
    let number = client.send_sms(&sms)?;
    let mut arrival = stage.request()?;
    arrival.accept(id);
    Ok((id_of(&client.answer_to(number)?)?, arrival.centre))
}

/// query_sm and cancel_sm with the ESME's id reach this SMSC with its own.
fn operations_reach(
    stage: &Stage,
    client: &mut Client,
    (given, id): (&str, &str),
    source: &str,
    centre: usize,
) -> Outcome {
    let number = client.next_number();
    client.send(&query_sm(number, given, source))?;
    let mut arrival = operation_at_an_smsc(stage, client, given)?;
    is_operation_on(&arrival.pdu, id, (arrival.centre, centre))?;
    arrival.accept("");
    let answer = client.expect(Want::a(CommandId::QUERY_SM_RESP).ok().numbered(number))?;
    let Ok(view) = QueryRespView::parse(answer.octets()) else {
        return wrong(&answer, "a query_sm_resp that cannot be read");
    };
    require_of!(
        &answer,
        view.message_id() == given.as_bytes(),
        "the answer names another message than {given}"
    );
    let number = client.next_number();
    client.send(&cancel_sm(number, given, source, "447700900009"))?;
    let mut arrival = operation_at_an_smsc(stage, client, given)?;
    is_operation_on(&arrival.pdu, id, (arrival.centre, centre))?;
    arrival.accept("");
    client.expect(Want::a(CommandId::CANCEL_SM_RESP).ok().numbered(number))?;
    Ok(())
}

/// The operation that was just sent, or the answer that the balancer gave in place of an SMSC.
fn operation_at_an_smsc(stage: &Stage, client: &mut Client, given: &str) -> Outcome<Arrival> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(arrival) = stage.request_within(Duration::from_millis(100)) {
            return Ok(arrival);
        }
        if let Some(answer) = client.next_within(Duration::from_millis(10)) {
            return wrong(
                &answer,
                format!("the operation on {given} reached no SMSC; {answer:?} came"),
            );
        }
        require!(
            Instant::now() < deadline,
            "the operation on {given} reached no SMSC"
        );
    }
}

fn is_operation_on(pdu: &Pdu, id: &str, (came_at, wanted_at): (usize, usize)) -> Outcome {
    let named = match pdu.command() {
        CommandId::QUERY_SM => QueryView::parse(pdu.octets()).map(|view| view.message_id().to_vec()),
        CommandId::CANCEL_SM => CancelView::parse(pdu.octets()).map(|view| view.message_id().to_vec()),
        _ => return wrong(pdu, "query_sm or cancel_sm was due"),
    };
    require_of!(
        pdu,
        named.as_deref() == Ok(id.as_bytes()),
        "the operation was due to name {id}"
    );
    require_of!(
        pdu,
        came_at == wanted_at,
        "the operation reached the SMSC that does not have the message"
    );
    Ok(())
}

fn ids_of_64_characters(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    for round in 0..4 {
        let id = format!("{round}{}", "0123456789abcdef".repeat(4).split_at(63).0);
        let (given, centre) = id_given_for(stage, &mut client, "88010001", &id)?;
        require!(
            given.len() <= 64,
            "an id of {} characters was given: {given}",
            given.len()
        );
        operations_reach(stage, &mut client, (&given, &id), "88010001", centre)?;
    }
    Ok(())
}

fn ids_for_a_v33_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transmitter("east").version(Version::V33))?;
    for round in 0..4 {
        let id = format!("{round}ABCDEF0");
        let (given, centre) = id_given_for(stage, &mut client, "88010001", &id)?;
        require!(
            given.len() <= 8,
            "an id of {} characters was given to a v3.3 ESME: {given}",
            given.len()
        );
        operations_reach(stage, &mut client, (&given, &id), "88010001", centre)?;
    }
    Ok(())
}

fn twins(stage: &mut Stage) -> Outcome {
    let mut alpha = stage.esme("alpha")?;
    let mut beta = stage.esme("beta")?;
    let (given_alpha, at_alpha) = id_given_for(stage, &mut alpha, "88030009", "twin-1")?;
    let (given_beta, at_beta) = id_given_for(stage, &mut beta, "88040009", "twin-1")?;
    require!(
        (at_alpha, at_beta) == (A, B),
        "the accounts are not configured to use one SMSC each"
    );
    operations_reach(stage, &mut alpha, (&given_alpha, "twin-1"), "88030009", A)?;
    operations_reach(stage, &mut beta, (&given_beta, "twin-1"), "88040009", B)?;
    stage.on_request(&OnRequest::ByHand);
    for (centre, source, client, given) in [
        (A, "88030009", &mut alpha, &given_alpha),
        (B, "88040009", &mut beta, &given_beta),
    ] {
        let number = stage
            .centre(centre)
            .deliver(0, &receipt("447700900009", source, "twin-1"))?;
        let delivery = client.take_delivery()?;
        let ids = receipt_ids(&delivery)?;
        require_of!(
            &delivery,
            ids == (Some(given.clone()), Some(given.clone())),
            "the receipt was due to carry {given}; it carries {ids:?}"
        );
        let answer = stage.centre(centre).response_to(number)?;
        require_of!(
            &answer,
            answer.status() == Status::ESME_ROK,
            "ESME_ROK was due; {answer:?} came"
        );
    }
    alpha.is_quiet()?;
    beta.is_quiet()
}
