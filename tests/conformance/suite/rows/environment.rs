//! Rows 32 to 34: what surrounds a session: addresses, credentials, clocks.

use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;
use smppmux_tests::peer::Received;

use crate::failure::{Outcome, require, require_of};
use crate::peers::BindAs;
use crate::scenario::{Part, Scenario};
use crate::setting::{LONG_PASSWORD, LONG_SYSTEM_ID, Setting};
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 32,
        name: "PROXY protocol",
        goal: "Behind another balancer, the ESME's own address is known.",
        method: "Not yet written: smppmux does not claim it yet.",
        expected: "—",
        parts: &[],
    },
    Scenario {
        row: 33,
        name: "long passwords and system_ids",
        goal: "Credentials beyond the specification work, and are never cut.",
        method: "A bind with a system_id of 24 and a password of 20 octets; with the password cut to 8, and to 19; with the system_id cut to 15.",
        expected: "bind_resp ESME_ROK for the first, an error for the others.",
        parts: &[Part::standard(
            "accepted whole, refused when cut",
            long_credentials,
        )],
    },
    Scenario {
        row: 34,
        name: "the wall clock steps",
        goal: "No timer notices.",
        method: "The balancer's wall clock jumps a day forward, then two days back, with a submit_sm in flight and idle sessions. (The suite starts the \
                 balancer with a small library that shifts its clock.)",
        expected: "The answer that is due within the second still comes through; one that never comes is given up after a second as before; sessions live.",
        parts: &[Part::under(
            Setting::SteppedClock,
            "a day forward, two days back",
            the_clock_steps,
        )],
    },
];

fn long_credentials(stage: &mut Stage) -> Outcome {
    let long = BindAs::transceiver(LONG_SYSTEM_ID).password(LONG_PASSWORD);
    let mut client = stage.bind(long)?;
    stage.carries(&mut client, "88010001")?;
    let cut_name = BindAs {
        system_id: &LONG_SYSTEM_ID[..15],
        ..long
    };
    for cut in [
        long.password(&LONG_PASSWORD[..8]),
        long.password(&LONG_PASSWORD[..19]),
        cut_name,
    ] {
        let answer = stage.connect()?.try_bind(cut)?;
        require_of!(
            &answer,
            !answer.status().is_ok(),
            "a bind with cut credentials was accepted: {cut:?}"
        );
    }
    Ok(())
}

fn the_clock_steps(stage: &mut Stage) -> Outcome {
    const DAY_S: i64 = 24 * 3600;
    let true_time = stage.clock()?.seen_by_a_process()?;
    let mut idle = stage.bind(BindAs::transceiver("west").range("8802"))?;
    let mut client = stage.esme("east")?;
    for offset_s in [DAY_S, -DAY_S, 0] {
        let number = client.submit("88010001", "447700900001", "in flight")?;
        let mut arrival = stage.request()?;
        stage.clock()?.step_to(offset_s)?;
        let shown = stage.clock()?.seen_by_a_process()?;
        require!(
            (shown - true_time - offset_s).abs() < 600,
            "the clock could not be stepped by {offset_s} s: it is off by {} s",
            shown - true_time
        );
        std::thread::sleep(Duration::from_millis(200));
        // A little of everything, so that every timer is looked at.
        client.send(&header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 950))?;
        client.expect(Want::a(CommandId::ENQUIRE_LINK_RESP).numbered(950))?;
        arrival.accept("in time");
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;

        let start = Instant::now();
        let number = client.submit("88010001", "447700900001", "never answered")?;
        let _arrival = stage.request()?;
        let answer = client.answer_to(number)?;
        let took = start.elapsed();
        require_of!(
            &answer,
            !answer.status().is_ok(),
            "an error was due; {answer:?} came"
        );
        require!(
            took > Duration::from_millis(700) && took < Duration::from_secs(6),
            "a request without answer was due to be given up after a second; it took {took:?}"
        );
        match idle.peer().receive_any_within(Duration::from_millis(300)) {
            Received::Nothing => {}
            other => return crate::failure::fail(format!("an idle ESME noticed the step: {other:?}")),
        }
    }
    idle.is_quiet()
}
