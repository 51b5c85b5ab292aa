//! Row 27: an SMSC that cannot keep up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, EsmClass, MessageView, Status};
use smppmux_tests::pdu::{Pdu, header_only};

use crate::failure::{Outcome, fail, require, require_of};
use crate::peers::{Client, OnRequest, PATIENCE, id_of};
use crate::scenario::{Part, Scenario};
use crate::sms::{Sms, receipt, receipt_ids};
use crate::stage::{A, Stage};
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    row: 27,
    name: "an SMSC that throttles",
    goal: "It is slowed down, others take its share, and neither the order of segments nor the receipt of a message is lost.",
    method: "One of two SMSCs answers ESME_RTHROTTLED, then ESME_RMSGQFUL, to everything, and later accepts again. Five segments follow at once upon messages \
             that were throttled. A message that was throttled is sent again and gets its receipt.",
    expected: "Of 200 submit_sm fewer than a quarter at the SMSC that throttles; some again once it accepts. The segments in their order at one SMSC, each \
               answered. deliver_sm with the id of the second try.",
    parts: &[
        Part::standard("ESME_RTHROTTLED", slowed_by_throttling),
        Part::standard("ESME_RMSGQFUL", slowed_by_a_full_queue),
        Part::standard("segments keep their order", segments_keep_their_order),
        Part::standard("the receipt of a second try", the_receipt_of_a_second_try),
    ],
}];

fn slowed_by_throttling(stage: &mut Stage) -> Outcome {
    slowed_by(stage, Status::ESME_RTHROTTLED)
}

fn slowed_by_a_full_queue(stage: &mut Stage) -> Outcome {
    slowed_by(stage, Status::ESME_RMSGQFUL)
}

fn slowed_by(stage: &mut Stage, status: Status) -> Outcome {
    const MESSAGES: usize = 200;
    let mut client = stage.esme("east")?;
    stage.a().on_request(OnRequest::Do(Arc::new(move |request: &Pdu| {
        let (command, number) = (request.command().response(), request.sequence_number());
        Some(header_only(command, status, number))
    })));
    stage.b().on_request(OnRequest::Accept);
    for _ in 0..MESSAGES {
        let number = client.submit("88010001", "447700900001", "how fast")?;
        let answer = client.answer_to(number)?;
        require_of!(
            &answer,
            [Status::ESME_ROK, status, Status::ESME_RTHROTTLED].contains(&answer.status()),
            "ESME_ROK or {status} was due; {answer:?} came"
        );
    }
    let arrivals = stage.requests_so_far();
    let at_a = arrivals.iter().filter(|arrival| arrival.centre == A).count();
    require!(
        at_a < MESSAGES / 4,
        "of {MESSAGES} messages {at_a} went to the SMSC that answers {status} to each"
    );
    stage.a().on_request(OnRequest::Accept);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = client.submit("88010001", "447700900001", "once more")?;
        client.answer_to(number)?;
        if stage.requests_so_far().iter().any(|arrival| arrival.centre == A) {
            return Ok(());
        }
        require!(
            Instant::now() < deadline,
            "the SMSC that accepts again is not used again"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn segment(number: u8) -> Sms {
    let text = [&[5, 0, 3, 42, 5, number], b"segment".as_slice()].concat();
    Sms::submit("88030001", "447700900001", text).esm_class(EsmClass::UDHI)
}

fn segments_keep_their_order(stage: &mut Stage) -> Outcome {
    const SEGMENTS: u8 = 5;
    let mut client = stage.esme("alpha")?;
    for _ in 0..6 {
        let number = client.submit("88030001", "447700900001", "throttled")?;
        stage.request_or_refusal(&mut client, number, Status::ESME_RTHROTTLED)?;
    }
    let mut numbers = Vec::new();
    for segment_number in 1..=SEGMENTS {
        numbers.push(client.send_sms(&segment(segment_number))?);
    }
    let mut last = 0;
    let mut answered = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while answered.len() < numbers.len() {
        require!(
            Instant::now() < deadline,
            "of five segments only {} were answered",
            answered.len()
        );
        if let Some(mut arrival) = stage.request_within(Duration::from_millis(5)) {
            let place = MessageView::parse(arrival.pdu.octets()).map(|view| view.short_message()[5]);
            let place = place.unwrap_or(0);
            require_of!(
                &arrival.pdu,
                place > last && arrival.centre == A,
                "segment {place} came after segment {last}"
            );
            last = place;
            arrival.accept("segment");
        }
        if let Some(answer) = client.next_within(Duration::from_millis(5)) {
            let is_due = [Status::ESME_ROK, Status::ESME_RTHROTTLED].contains(&answer.status());
            require_of!(
                &answer,
                is_due && numbers.contains(&answer.sequence_number()),
                "ESME_ROK or ESME_RTHROTTLED was due; {answer:?} came"
            );
            answered.push(answer.sequence_number());
        }
    }
    require!(last > 0, "no segment came at the SMSC");
    client.is_quiet()
}

fn the_receipt_of_a_second_try(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("mute")?;
    let sms = Sms::submit("88010009", "447700900009", "second try").asking_for_receipt();
    let number = client.send_sms(&sms)?;
    stage.request_or_refusal(&mut client, number, Status::ESME_RTHROTTLED)?;
    let (given, centre) = accepted_in_the_end(stage, &mut client, &sms)?;
    let number = stage
        .centre(centre)
        .deliver(0, &receipt("447700900009", "88010009", "second-1"))?;
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
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    Ok(())
}

/// A balancer may hold a message back for a while, or throttle by itself.
fn accepted_in_the_end(stage: &Stage, client: &mut Client, sms: &Sms) -> Outcome<(String, usize)> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let number = client.send_sms(sms)?;
        let arrival = stage.request_within(Duration::from_secs(3));
        let centre = arrival.as_ref().map(|arrival| arrival.centre);
        if let Some(mut arrival) = arrival {
            arrival.accept("second-1");
        }
        let answer = client.answer_to(number)?;
        if let (true, Some(centre)) = (answer.status().is_ok(), centre) {
            return Ok((id_of(&answer)?, centre));
        }
        require_of!(
            &answer,
            answer.status() == Status::ESME_RTHROTTLED,
            "ESME_ROK or ESME_RTHROTTLED was due; {answer:?} came"
        );
    }
    fail("a message that was throttled is never taken again")
}

impl Stage {
    /// The request reaches an SMSC, which refuses it; or the balancer refuses it by itself.
    fn request_or_refusal(&self, client: &mut Client, number: u32, status: Status) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(mut arrival) = self.request_within(Duration::from_millis(20)) {
                arrival.refuse(status);
            }
            if let Some(answer) = client.next_within(Duration::from_millis(20)) {
                require_of!(
                    &answer,
                    Want::a(CommandId::SUBMIT_SM_RESP)
                        .with(status)
                        .numbered(number)
                        .is(&answer),
                    "submit_sm_resp {status} was due; {answer:?} came"
                );
                return Ok(());
            }
            require!(
                Instant::now() < deadline,
                "a message that was throttled is not answered"
            );
        }
    }
}
