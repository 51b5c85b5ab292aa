//! Rows 28, 29 and 35: more than can be taken, and nobody to take it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;
use smppmux_tests::peer::Received;

use crate::failure::{Outcome, fail, require, require_of, wrong};
use crate::peers::{BindAs, Client, OnBind, OnRequest, PATIENCE};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::sms::Sms;
use crate::stage::Stage;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 28,
        name: "an ESME that does not read",
        goal: "It costs bounded memory and nobody else's messages; in the end it is closed.",
        method: "Of two sessions of a pool one does not read, while 300 deliver_sm of 30 KiB come for the pool. An ESME writes enquire_links without end \
                 and reads nothing.",
        expected: "An answer to every deliver_sm, most of them ESME_ROK by the other session; another account's submit_sm are answered within a second \
                   each. The connection that does not read ends; the balancer's memory grows by less than 64 MiB.",
        parts: &[
            Part::under(
                Setting::Impatient,
                "its MO goes to the rest of the pool",
                a_slow_session_of_a_pool,
            ),
            Part::under(
                Setting::QuickLinks,
                "it floods and does not read",
                a_flood_that_does_not_read,
            ),
        ],
    },
    Scenario {
        row: 29,
        name: "all SMSCs are down",
        goal: "ESMEs are neither dropped without a word nor left hanging.",
        method: "Both SMSCs hang up; an ESME submits, an SMSC comes back, the ESME submits again.",
        expected: "As configured: an error answer to each submit_sm (ESME_RSYSERR); or the message reaches the SMSC that comes back in time; or unbind. \
                   Afterwards messages pass.",
        parts: &[
            Part::standard("each message is answered", answered_while_down),
            Part::under(Setting::HoldWhileDown, "messages wait", held_while_down),
            Part::under(Setting::UnbindWhileDown, "ESMEs are unbound", unbound_while_down),
        ],
    },
    Scenario {
        row: 35,
        name: "nothing is dropped inside",
        goal: "Where a part of the balancer lags, requests may be refused, but no answer and no news of a bind is lost.",
        method: "Twelve ESMEs push 100 submit_sm each through one SMSC session with as little room inside as can be had, while others bind and unbind and \
                 get MO.",
        expected: "One answer to each request, ESME_ROK or ESME_RTHROTTLED. A deliver_sm that is sent after a bind_resp reaches that ESME, and after \
                   the unbind_resp never again.",
        parts: &[
            Part::under(Setting::NarrowLanes, "answers", no_answer_is_dropped),
            Part::under(Setting::NarrowLanes, "news of binds", no_bind_goes_unnoticed),
        ],
    },
];

fn a_slow_session_of_a_pool(stage: &mut Stage) -> Outcome {
    const MESSAGES: usize = 300;
    const TEXT_OCTETS: usize = 30_000;
    let before = stage.memory_kib();
    // Never read from.
    let _slow = stage.bind(BindAs::receiver("east").range("8801"))?;
    let mut quick = stage.bind(BindAs::receiver("east").range("8801"))?;
    let mut neighbour = stage.esme("west")?;
    let sms = Sms::deliver("447700900001", "88010001", "").with_payload(&[b'x'; TEXT_OCTETS]);
    let mut numbers = Vec::new();
    let mut slowest = Duration::ZERO;
    for place in 0..MESSAGES {
        numbers.push(stage.a().deliver(place, &sms)?);
        while let Some(delivery) = quick.next_within(Duration::from_millis(2)) {
            quick.accept(&delivery)?;
        }
        if place % 50 == 0 {
            let start = Instant::now();
            stage.carries(&mut neighbour, "88020001")?;
            slowest = slowest.max(start.elapsed());
        }
    }
    let mut accepted = 0;
    for number in numbers {
        let answer = answer_while_reading(stage, &mut quick, number)?;
        accepted += usize::from(answer == Status::ESME_ROK);
    }
    require!(
        accepted >= MESSAGES / 3,
        "of {MESSAGES} messages only {accepted} were taken by the session that reads"
    );
    require!(
        slowest < Duration::from_secs(2),
        "another account's message took {slowest:?} meanwhile"
    );
    grew_little(stage, before)
}

fn answer_while_reading(stage: &mut Stage, client: &mut Client, number: u32) -> Outcome<Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = stage.a().response_within(number, Duration::from_millis(5)) {
            return Ok(answer.status());
        }
        if Instant::now() > deadline {
            return fail(format!("a deliver_sm, number {number:#x}, was never answered"));
        }
        while let Some(delivery) = client.next_within(Duration::from_millis(2)) {
            client.accept(&delivery)?;
        }
    }
}

fn grew_little(stage: &mut Stage, before: Option<u64>) -> Outcome {
    const GROWTH_KIB_MAX: u64 = 64 * 1024;
    match (before, stage.memory_kib()) {
        (Some(before), Some(after)) => {
            let growth = after.saturating_sub(before);
            require!(
                growth < GROWTH_KIB_MAX,
                "the balancer's memory grew by {growth} KiB"
            );
        }
        _ => stage.note("the balancer's process is not known, so that its memory was not looked at"),
    }
    Ok(())
}

fn a_flood_that_does_not_read(stage: &mut Stage) -> Outcome {
    const ENQUIRIES_AT_ONCE: usize = 4_096;
    let before = stage.memory_kib();
    let mut neighbour = stage.esme("west")?;
    let mut client = stage.esme("east")?;
    let mut writer = client.peer().writer();
    let enquiries = header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 1).repeat(ENQUIRIES_AT_ONCE);
    let flood = std::thread::spawn(move || while writer.try_send(&enquiries) {});
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while !flood.is_finished() {
        require!(
            start.elapsed() < Duration::from_secs(60),
            "a connection that is written to and never read from is kept for a minute"
        );
        let asked = Instant::now();
        stage.carries(&mut neighbour, "88020001")?;
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    require!(
        slowest < Duration::from_secs(2),
        "another account's message took {slowest:?} meanwhile"
    );
    loop {
        match client.peer().receive_any_within(PATIENCE) {
            Received::Pdu(_) => {}
            Received::Closed => break,
            Received::Nothing => return fail("the connection is still open"),
        }
    }
    grew_little(stage, before)
}

fn all_down(stage: &mut Stage) {
    for place in 0..2 {
        stage.centre(place).on_bind(OnBind::HangUp);
        stage.centre(place).drop_sessions();
    }
}

fn all_up(stage: &mut Stage) -> Outcome {
    stage.on_request(&OnRequest::Accept);
    for place in 0..2 {
        stage.centre(place).on_bind(OnBind::Accept);
    }
    for place in 0..2 {
        stage.centre(place).await_sessions(1)?;
    }
    Ok(())
}

/// A message that no SMSC was there for is answered with an error.
fn eventually_passes(client: &mut Client) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = client.submit("88010001", "447700900001", "up again")?;
        let answer = client.answer_to(number)?;
        if answer.status().is_ok() {
            return Ok(());
        }
        require_of!(&answer, Instant::now() < deadline, "messages do not pass again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answered_while_down(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    all_down(stage);
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..10 {
        let start = Instant::now();
        let number = client.submit("88010001", "447700900001", "down")?;
        let answer = client.answer_to(number)?;
        require_of!(
            &answer,
            answer.status() == Status::ESME_RSYSERR,
            "ESME_RSYSERR was due; {answer:?} came"
        );
        require!(
            start.elapsed() < Duration::from_secs(5),
            "the answer took {:?}",
            start.elapsed()
        );
    }
    let mut late = stage.esme("west")?;
    late.is_quiet()?;
    all_up(stage)?;
    eventually_passes(&mut client)?;
    client.is_quiet()
}

fn held_while_down(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    all_down(stage);
    std::thread::sleep(Duration::from_millis(300));
    let number = client.submit("88010001", "447700900001", "held in vain")?;
    client.is_quiet()?;
    let answer = client.answer_to(number)?;
    require_of!(
        &answer,
        answer.status() == Status::ESME_RSYSERR,
        "ESME_RSYSERR was due when nobody came; {answer:?} came"
    );
    // Tries come each second at the latest, as long as a message is held: now and then one must be in time.
    all_up_later(stage);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = client.submit("88010001", "447700900001", "held")?;
        let answer = client.answer_to(number)?;
        if answer.status().is_ok() {
            return Ok(());
        }
        require_of!(
            &answer,
            Instant::now() < deadline,
            "no held message reached the SMSC that came back"
        );
    }
}

fn all_up_later(stage: &mut Stage) {
    stage.on_request(&OnRequest::Accept);
    for place in 0..2 {
        stage.centre(place).on_bind(OnBind::Accept);
    }
}

fn unbound_while_down(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    all_down(stage);
    let before = client.until_unbound()?;
    if let Some(pdu) = before.first() {
        return wrong(pdu, format!("unbind was due; {pdu:?} came first"));
    }
    all_up(stage)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(mut client) = stage.esme("east") {
            return eventually_passes(&mut client);
        }
        require!(Instant::now() < deadline, "ESMEs cannot bind again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn no_answer_is_dropped(stage: &mut Stage) -> Outcome {
    const ESMES: usize = 12;
    const MESSAGES: usize = 100;
    stage.on_request(&OnRequest::Accept);
    let mut clients = Vec::new();
    for _ in 0..ESMES {
        clients.push(stage.esme("alpha")?);
    }
    let mut waiting: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); ESMES];
    for _ in 0..MESSAGES {
        for (client, waiting) in clients.iter_mut().zip(&mut waiting) {
            waiting.insert(client.submit("88030001", "447700900001", "crowd")?);
        }
    }
    let mut accepted = 0;
    for (client, waiting) in clients.iter_mut().zip(&mut waiting) {
        while !waiting.is_empty() {
            let answer = client.next()?;
            require_of!(
                &answer,
                answer.command() == CommandId::SUBMIT_SM_RESP && waiting.remove(&answer.sequence_number()),
                "an answer to no request, or a second one"
            );
            let is_due = [Status::ESME_ROK, Status::ESME_RTHROTTLED].contains(&answer.status());
            require_of!(
                &answer,
                is_due,
                "ESME_ROK or ESME_RTHROTTLED was due; {answer:?} came"
            );
            accepted += usize::from(answer.status().is_ok());
        }
        client.is_quiet()?;
    }
    let reached = stage.requests_so_far().len();
    require!(
        accepted == reached,
        "{accepted} messages were answered ESME_ROK, and {reached} reached the SMSC"
    );
    Ok(())
}

fn no_bind_goes_unnoticed(stage: &mut Stage) -> Outcome {
    const ROUNDS: usize = 40;
    stage.on_request(&OnRequest::Accept);
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(stage.esme("alpha")?);
    }
    for round in 0..ROUNDS {
        for client in &mut crowd {
            for _ in 0..5 {
                client.submit("88030001", "447700900001", "crowd")?;
            }
        }
        let mut client = stage.bind(BindAs::receiver("east").range("8801"))?;
        let sms = Sms::deliver("447700900001", "88010001", format!("round {round}"));
        // Where there is no room inside, the SMSC is told so, and tries again.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = stage.centre(round % 2).deliver(0, &sms)?;
            let delivery = client.next_within(Duration::from_millis(100));
            if let Some(delivery) = &delivery {
                sms.is_relayed_as(delivery)?;
                client.accept(delivery)?;
            }
            let answer = stage.centre(round % 2).response_to(number)?;
            require_of!(
                &answer,
                answer.status().is_ok() == delivery.is_some(),
                "{answer:?} came for a deliver_sm of which {delivery:?} reached the ESME"
            );
            if answer.status().is_ok() {
                break;
            }
            require_of!(
                &answer,
                Instant::now() < deadline,
                "no deliver_sm finds the ESME that has bound"
            );
        }
        client.unbind()?;
        for client in &mut crowd {
            for _ in 0..5 {
                client.next()?;
            }
        }
    }
    Ok(())
}
