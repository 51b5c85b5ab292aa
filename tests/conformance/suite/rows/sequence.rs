//! Row 1: sequence numbers.

use std::collections::{BTreeMap, BTreeSet};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;

use crate::failure::{Outcome, require, require_of};
use crate::peers::BindAs;
use crate::scenario::{Part, Scenario};
use crate::sms::Sms;
use crate::stage::Stage;
use crate::want::Want;

/// Any 32-bit value may come; these are the ones at which implementations break.
const ODD_NUMBERS: [u32; 7] = [
    0,
    1,
    0x7FFF_FFFE,
    0x7FFF_FFFF,
    0x8000_0000,
    0xDEAD_BEEF,
    0xFFFF_FFFF,
];

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    row: 1,
    name: "sequence numbers",
    goal: "A peer's number comes back as it was, whatever it was; the balancer's own are 1 to 0x7FFFFFFF, then 1, and never in flight twice.",
    method: "ESME and SMSC number their requests 0, 1, 0x7FFFFFFE, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF and 0xFFFFFFFF. Hundreds of submit_sm pass the end \
             of the number space (the setting starts the SMSC sessions just before it), one of each session unanswered.",
    expected: "submit_sm_resp, enquire_link_resp and deliver_sm_resp with the request's number; submit_sm and deliver_sm with numbers from 1 to 0x7FFFFFFF \
               that no unanswered request of the session has, 1 after 0x7FFFFFFF.",
    parts: &[
        Part::standard("an ESME's numbers are echoed", an_esmes_numbers_are_echoed),
        Part::standard("an SMSC's numbers are echoed", an_smscs_numbers_are_echoed),
        Part::standard(
            "own numbers towards an SMSC are sound",
            own_numbers_towards_an_smsc,
        ),
        Part::standard(
            "own numbers towards an ESME are sound",
            own_numbers_towards_an_esme,
        ),
    ],
}];

fn an_esmes_numbers_are_echoed(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    for number in ODD_NUMBERS {
        client.send(&Sms::submit("88010001", "447700900001", "odd number").octets(number))?;
        stage.request()?.accept("odd");
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
        client.send(&header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, number))?;
        client.expect(Want::a(CommandId::ENQUIRE_LINK_RESP).ok().numbered(number))?;
    }
    client.is_quiet()
}

fn an_smscs_numbers_are_echoed(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let sms = Sms::deliver("447700900001", "88010001", "odd number");
    for number in ODD_NUMBERS {
        stage.a().deliver_numbered(0, &sms, number)?;
        client.take_delivery()?;
        let answer = stage.a().response_to(number)?;
        require_of!(
            &answer,
            Want::a(CommandId::DELIVER_SM_RESP).ok().is(&answer),
            "deliver_sm_resp ESME_ROK was due; {answer:?} came"
        );
    }
    Ok(())
}

fn own_numbers_towards_an_smsc(stage: &mut Stage) -> Outcome {
    const ROUNDS: usize = 40;
    const AT_ONCE: usize = 10;
    let mut client = stage.esme("east")?;
    let mut unanswered = BTreeMap::new();
    let mut last: BTreeMap<(usize, u32), u32> = BTreeMap::new();
    let mut has_wrapped = false;
    for _ in 0..ROUNDS {
        for _ in 0..AT_ONCE {
            client.submit("88010001", "447700900001", "count")?;
        }
        let mut round = Vec::new();
        for _ in 0..AT_ONCE {
            let arrival = stage.request()?;
            let number = arrival.pdu.sequence_number();
            let session = (arrival.centre, arrival.session);
            require_of!(
                &arrival.pdu,
                (1..=0x7FFF_FFFF).contains(&number),
                "the balancer numbered a request {number:#x}; 1 to 0x7fffffff are allowed"
            );
            let in_flight: &mut BTreeSet<u32> = unanswered.entry(session).or_default();
            require_of!(
                &arrival.pdu,
                in_flight.insert(number),
                "number {number:#x} is in flight twice on one session"
            );
            if last.insert(session, number).is_some_and(|last| number < last) {
                require_of!(&arrival.pdu, number == 1, "1 follows 0x7fffffff, not {number:#x}");
                has_wrapped = true;
            }
            round.push(arrival);
        }
        for mut arrival in round {
            let in_flight = unanswered.entry((arrival.centre, arrival.session)).or_default();
            // The first of each session stays unanswered.
            if in_flight.len() > 1 {
                in_flight.remove(&arrival.pdu.sequence_number());
                arrival.accept("counted");
                client.next()?;
            }
        }
    }
    if !has_wrapped {
        require!(
            !stage.is_smppmux(),
            "no session passed the end of the number space, though the setting starts just before it"
        );
        stage.note("the numbers did not start near the end of their space, so the step from 0x7FFFFFFF to 1 was not seen");
    }
    Ok(())
}

fn own_numbers_towards_an_esme(stage: &mut Stage) -> Outcome {
    const MESSAGES: usize = 60;
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let sms = Sms::deliver("447700900001", "88010001", "count");
    let mut numbers = BTreeSet::new();
    let mut deliveries = Vec::new();
    for place in 0..MESSAGES {
        stage.centre(place % 2).deliver(place, &sms)?;
        let delivery = client.delivery()?;
        let number = delivery.sequence_number();
        require_of!(
            &delivery,
            (1..=0x7FFF_FFFF).contains(&number) && numbers.insert(number),
            "number {number:#x} is out of range or in flight twice"
        );
        deliveries.push(delivery);
    }
    for delivery in &deliveries {
        client.accept(delivery)?;
    }
    client.is_quiet()
}
