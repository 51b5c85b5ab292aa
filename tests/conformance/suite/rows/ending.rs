//! Rows 30 and 31: how sessions and the balancer end.

use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;

use crate::failure::{Outcome, require, require_of, wrong};
use crate::peers::{BindAs, HappeningKind};
use crate::scenario::{Part, Scenario};
use crate::sms::Sms;
use crate::stage::{Stage, eventually};
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 30,
        name: "ends in order",
        goal: "Every request still gets its one answer where the connection allows, and no answer is cut off by a close.",
        method: "An ESME submits and half-closes; submits and unbinds; sends unbind twice; is reset with MO in flight. An SMSC sends unbind with submit_sm \
                 in flight. The SMSC answers afterwards.",
        expected: "submit_sm_resp before the end, or before unbind_resp; then the end. An answer to the deliver_sm of the ESME that was reset. No new \
                   submit_sm on the session that unbinds, unbind_resp after its last answer, and a new bind.",
        parts: &[
            Part::standard("half-closed", a_half_closed_esme),
            Part::standard(
                "unbind with requests in flight",
                an_unbind_with_requests_in_flight,
            ),
            Part::standard("reset with MO in flight", a_reset_with_mo_in_flight),
            Part::standard("the SMSC unbinds", an_smsc_that_unbinds),
        ],
    },
    Scenario {
        row: 31,
        name: "a restart of the balancer",
        goal: "A deploy drains: what is in flight is settled, every session is unbound, and no ghost is left at the far side.",
        method: "SIGTERM with a submit_sm in flight; the ESME submits once more, and both sides unbind at the same moment; the SMSC answers; the balancer \
                 is started again.",
        expected: "No new session. An error to the new submit_sm, submit_sm_resp to the old one; unbind to each ESME and SMSC session, then its end, then \
                   the end of the process. Afterwards all binds come back.",
        parts: &[Part::standard("SIGTERM and start", a_restart)],
    },
];

fn a_half_closed_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let number = client.submit("88010001", "447700900001", "half")?;
    client.peer().finish_writing();
    let mut arrival = stage.request()?;
    std::thread::sleep(Duration::from_millis(100));
    arrival.accept("half");
    let answers = client.until_closed()?;
    let answer = answers
        .iter()
        .find(|pdu| pdu.command() == CommandId::SUBMIT_SM_RESP);
    match answer {
        Some(answer) => {
            require_of!(
                answer,
                answer.sequence_number() == number && answer.status().is_ok(),
                "ESME_ROK was due; {answer:?} came"
            );
            Ok(())
        }
        None => crate::failure::fail("the answer to a half-closed ESME was cut off"),
    }
}

fn an_unbind_with_requests_in_flight(stage: &mut Stage) -> Outcome {
    const REQUESTS: usize = 5;
    let mut client = stage.esme("east")?;
    let mut arrivals = Vec::new();
    for _ in 0..REQUESTS {
        client.submit("88010001", "447700900001", "in flight")?;
        arrivals.push(stage.request()?);
    }
    let unbind = header_only(CommandId::UNBIND, Status::ESME_ROK, 900);
    client.send(&unbind)?;
    std::thread::sleep(Duration::from_millis(100));
    // Twice, and a request after it: neither may cost an answer.
    client.send(&header_only(CommandId::UNBIND, Status::ESME_ROK, 901))?;
    client.send(&Sms::submit("88010001", "447700900001", "too late").octets(902))?;
    for arrival in &mut arrivals {
        arrival.accept("settled");
    }
    let answers = client.until_closed()?;
    let settled = answers
        .iter()
        .filter(|pdu| Want::a(CommandId::SUBMIT_SM_RESP).ok().is(pdu))
        .count();
    require!(
        settled == REQUESTS,
        "{REQUESTS} answers were due before the end; these came: {answers:?}"
    );
    let last_answer = answers
        .iter()
        .rposition(|pdu| Want::a(CommandId::SUBMIT_SM_RESP).ok().is(pdu));
    let unbound = answers
        .iter()
        .position(|pdu| Want::a(CommandId::UNBIND_RESP).numbered(900).is(pdu));
    require!(
        unbound.is_some() && unbound > last_answer,
        "unbind_resp was due after the last answer; these came: {answers:?}"
    );
    stage.no_request()
}

fn a_reset_with_mo_in_flight(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let number = stage
        .a()
        .deliver(0, &Sms::deliver("447700900001", "88010001", "reset"))?;
    client.delivery()?;
    client.reset();
    let answer = stage.a().response_to(number)?;
    require_of!(
        &answer,
        answer.command() == CommandId::DELIVER_SM_RESP && answer.status() == Status::ESME_RX_T_APPN,
        "deliver_sm_resp ESME_RX_T_APPN was due, so that the SMSC tries again; {answer:?} came"
    );
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    client.stays_quiet()
}

fn an_smsc_that_unbinds(stage: &mut Stage) -> Outcome {
    const UNBIND: u32 = 0x0BAD_CAFE;
    let mut client = stage.esme("alpha")?;
    let number = client.submit("88030001", "447700900001", "before")?;
    let mut arrival = stage.request()?;
    let session = arrival.session;
    let unbind = header_only(CommandId::UNBIND, Status::ESME_ROK, UNBIND);
    stage.a().send_on(session, &unbind)?;
    let early = stage.a().response_within(UNBIND, Duration::from_millis(200));
    if let Some(pdu) = early {
        return wrong(&pdu, "unbind_resp came while an answer was due on that session");
    }
    arrival.accept("settled");
    client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    let answer = stage.a().response_to(UNBIND)?;
    require_of!(
        &answer,
        answer.command() == CommandId::UNBIND_RESP,
        "unbind_resp was due; {answer:?} came"
    );
    eventually("a new session in place of the one that unbound", || {
        let sessions = stage.a().sessions();
        !sessions.contains(&session) && !sessions.is_empty()
    })
}

fn a_restart(stage: &mut Stage) -> Outcome {
    let start = std::time::Instant::now();
    let mut client = stage.esme("east")?;
    let mut idle = stage.bind(BindAs::receiver("west").range("8802"))?;
    let binds = [stage.a().sessions().len(), stage.b().sessions().len()];
    let number = client.submit("88010001", "447700900001", "in flight")?;
    let mut arrival = stage.request()?;
    stage.terminate()?;
    // Each part of a balancer hears of it in its own time; until then a request goes its usual way.
    std::thread::sleep(Duration::from_millis(500));
    let late = client.submit("88010001", "447700900001", "too late")?;
    let answer = client.answer_to(late)?;
    require_of!(
        &answer,
        !answer.status().is_ok(),
        "an error was due; {answer:?} came"
    );
    arrival.accept("settled");
    let answer = client.answer_to(number)?;
    require_of!(
        &answer,
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    idle.send(&header_only(CommandId::UNBIND, Status::ESME_ROK, 900))?;
    for client in [&mut client, &mut idle] {
        let before = client.until_closed_answering_unbinds()?;
        require!(
            before.unbinds + before.unbind_responses > 0,
            "the connection ended without an unbind"
        );
    }
    stage.await_exit()?;
    for (place, binds) in binds.into_iter().enumerate() {
        let unbound = stage.centre(place).times_of(HappeningKind::Unbound, start).len();
        require!(
            unbound >= binds && stage.centre(place).sessions().is_empty(),
            "of {binds} sessions {unbound} were unbound"
        );
    }
    stage.start_again()?;
    for (place, binds) in binds.into_iter().enumerate() {
        stage.centre(place).await_sessions(binds)?;
    }
    let mut client = stage.esme("east")?;
    stage.carries(&mut client, "88010001")
}
