//! Rows 13 and 26: who gets MO, and what may be claimed.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::Pdu;

use crate::failure::{Outcome, require, require_of};
use crate::peers::{BindAs, Client};
use crate::scenario::{Part, Scenario};
use crate::sms::Sms;
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 13,
        name: "no deliver_sm to a transmitter",
        goal: "A session that is bound as transmitter never gets a message.",
        method: "A transmitter that names an address_range, alone and beside a receiver; 20 deliver_sm to its range.",
        expected: "No deliver_sm at the transmitter; all 20 at the receiver once there is one.",
        parts: &[Part::standard(
            "alone and beside a receiver",
            no_delivery_to_a_transmitter,
        )],
    },
    Scenario {
        row: 26,
        name: "address ranges",
        goal: "An account gets what it may have and no more; no expression makes the balancer slow.",
        method: "Binds with an empty range, with a range inside and outside of what the account may claim, with the most specific of several, and with \
                 expressions that take a backtracking matcher for ever or a compiler gigabytes.",
        expected: "bind_resp ESME_ROK inside, an error outside. deliver_sm of the allowed range at the empty one; of several at the most specific. An \
                   answer to each expression within 2 s, and messages flow meanwhile.",
        parts: &[
            Part::standard("claims inside and outside", claims),
            Part::standard("an empty range", an_empty_range),
            Part::standard("the most specific range", the_most_specific_range),
            Part::standard("hostile expressions", hostile_expressions),
        ],
    },
];

fn no_delivery_to_a_transmitter(stage: &mut Stage) -> Outcome {
    const MESSAGES: usize = 20;
    let mut transmitter = stage.bind(BindAs::transmitter("east").range("8801"))?;
    stage
        .a()
        .deliver(0, &Sms::deliver("447700900001", "88010001", "alone"))?;
    transmitter.stays_quiet()?;
    let mut receiver = stage.bind(BindAs::receiver("east").range("8801"))?;
    for place in 0..MESSAGES {
        let sms = Sms::deliver("447700900001", "88010002", format!("beside {place}"));
        stage.centre(place % 2).deliver(place, &sms)?;
    }
    let mut texts: Vec<String> = (0..MESSAGES).map(|place| format!("beside {place}")).collect();
    while !texts.is_empty() {
        let delivery = receiver.take_delivery()?;
        // The one that waited while nobody could take it comes too.
        texts.retain(|text| *text != delivery.text());
    }
    transmitter.stays_quiet()
}

fn try_range(stage: &Stage, system_id: &str, range: &str) -> Outcome<(Client, Pdu)> {
    let mut client = stage.connect()?;
    let answer = client.try_bind(BindAs::transceiver(system_id).range(range))?;
    Ok((client, answer))
}

fn claims(stage: &mut Stage) -> Outcome {
    for range in ["8801", "88015", "^88015$", "880155501"] {
        let (_client, answer) = try_range(stage, "east", range)?;
        require_of!(
            &answer,
            answer.status().is_ok(),
            "{range} is inside, and was refused"
        );
    }
    for range in ["8802", "88", "^8", ".*", "^88[0-9]", "8801|8802", "44"] {
        let (_client, answer) = try_range(stage, "east", range)?;
        require_of!(
            &answer,
            Want::a(CommandId::BIND_TRANSCEIVER_RESP)
                .with(Status::ESME_RBINDFAIL)
                .is(&answer),
            "{range} is outside; ESME_RBINDFAIL was due"
        );
    }
    Ok(())
}

fn delivers_to(stage: &mut Stage, address: &str, client: &mut Client) -> Outcome {
    let sms = Sms::deliver("447700900001", address, format!("to {address}"));
    let number = stage.a().deliver(0, &sms)?;
    sms.is_relayed_as(&client.take_delivery()?)?;
    let answer = stage.a().response_to(number)?;
    require_of!(
        &answer,
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    Ok(())
}

fn an_empty_range(stage: &mut Stage) -> Outcome {
    let mut east = stage.bind(BindAs::transceiver("east"))?;
    let mut mute = stage.bind(BindAs::transceiver("mute"))?;
    delivers_to(stage, "88010001", &mut east)?;
    stage
        .a()
        .deliver(0, &Sms::deliver("447700900001", "88020001", "for west"))?;
    stage
        .a()
        .deliver(0, &Sms::deliver("447700900001", "99990001", "for nobody"))?;
    east.stays_quiet()?;
    mute.stays_quiet()
}

fn the_most_specific_range(stage: &mut Stage) -> Outcome {
    let mut broad = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let mut longer = stage.bind(BindAs::transceiver("east").range("880155"))?;
    let mut exact = stage.bind(BindAs::transceiver("east").range("^880155501$"))?;
    let mut expression = stage.bind(BindAs::transceiver("wide").range("^87(1|2)[0-9]*5$"))?;
    for _ in 0..4 {
        delivers_to(stage, "88010001", &mut broad)?;
        delivers_to(stage, "880155502", &mut longer)?;
        delivers_to(stage, "880155501", &mut exact)?;
        delivers_to(stage, "87100005", &mut expression)?;
    }
    for client in [&mut broad, &mut longer, &mut exact, &mut expression] {
        client.is_quiet()?;
    }
    Ok(())
}

fn hostile_expressions(stage: &mut Stage) -> Outcome {
    const LONGEST: Duration = Duration::from_secs(2);
    let mut neighbour = stage.esme("west")?;
    let mut kept = Vec::new();
    for expression in [
        "^87(8+)+$",
        "^87(8|88|888)*9$",
        "^87(8*)*(8*)*(8*)*9$",
        "^87((((8{99}){99}){99}){99}){99}$",
        "^87((((((((8?){9}){9}){9}){9}){9}){9}$",
        "^87[",
        "^87(",
        "^87\\",
        "^87*****",
    ] {
        let start = Instant::now();
        let (client, answer) = try_range(stage, "wide", expression)?;
        let took = start.elapsed();
        require!(took < LONGEST, "the bind with {expression} took {took:?}");
        if answer.status().is_ok() {
            kept.push(client);
        }
        stage.carries(&mut neighbour, "88020001")?;
    }
    for _ in 0..20 {
        let start = Instant::now();
        let sms = Sms::deliver("447700900001", "87888888888888888888", "hostile");
        let number = stage.a().deliver(0, &sms)?;
        stage.carries(&mut neighbour, "88020001")?;
        if let Some(client) = kept.iter_mut().find_map(|client| {
            let delivery = client.next_within(Duration::from_millis(20))?;
            Some((client, delivery))
        }) {
            client.0.accept(&client.1)?;
        }
        stage.a().response_within(number, Duration::from_millis(200));
        let took = start.elapsed();
        require!(
            took < LONGEST,
            "a deliver_sm under hostile expressions took {took:?}"
        );
    }
    Ok(())
}
