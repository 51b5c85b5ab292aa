//! Rows 6 and 18, 20 to 23: answers that come early, late, wrong, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::{Pdu, header_only, response_with_id};

use crate::failure::{Outcome, fail, require, require_of};
use crate::peers::{Arrival, BindAs, Client, OnBind, OnRequest, PATIENCE, id_of};
use crate::scenario::{Part, Scenario};
use crate::setting::Setting;
use crate::sms::{Sms, raw, receipt, receipt_ids};
use crate::stage::{Stage, eventually};
use crate::want::Want;

/// Statuses of no specification.
const VENDOR_STATUSES: [Status; 5] = [
    Status(0x0000_0400),
    Status(0x0000_0499),
    Status(0x0000_04FF),
    Status(0x0001_0000),
    Status(0xFFFF_FFFF),
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 6,
        name: "an answer that is there at once",
        goal: "A request is on the books before its octets leave, so that no answer finds nothing, and an answer to no request does no harm.",
        method: "SMSCs answer in the moment of reading, to 8 ESMEs that send 150 messages each without waiting. An SMSC answers numbers that the balancer \
                 has not used yet.",
        expected: "One submit_sm_resp to each submit_sm, with the id that the SMSC made for that very text. An answer to a number that is not in flight \
                   goes nowhere, and the real answer to it later arrives.",
        parts: &[
            Part::standard("a storm of quick answers", a_storm_of_quick_answers),
            Part::standard("answers before their requests", answers_before_their_requests),
        ],
    },
    Scenario {
        row: 18,
        name: "answers without a body, or with one too many",
        goal: "What a peer leaves out or adds to an answer is read leniently, and the balancer writes by the book.",
        method: "An SMSC answers errors with and without a message_id, ESME_ROK without a body, and a bind without a system_id; an ESME answers deliver_sm \
                 with a header alone, with an id, and with an error and a body.",
        expected: "submit_sm_resp with the same status, of 16 octets where it is an error; a session that works after the bare bind_resp; deliver_sm_resp \
                   with the same status.",
        parts: &[
            Part::standard("of an SMSC", an_smscs_bodies),
            Part::standard("a bare bind_resp", a_bare_bind_resp),
            Part::standard("of an ESME", an_esmes_bodies),
        ],
    },
    Scenario {
        row: 20,
        name: "statuses of vendors",
        goal: "All 32 bits of a status come through.",
        method: "submit_sm_resp and deliver_sm_resp with 0x400, 0x499, 0x4FF, 0x10000 and 0xFFFFFFFF.",
        expected: "The same status in the response on the other side.",
        parts: &[Part::standard("both ways", vendor_statuses)],
    },
    Scenario {
        row: 21,
        name: "generic_nack in answer to a request",
        goal: "A generic_nack ends the request that it names, and is never answered itself.",
        method: "An SMSC answers 450 submit_sm, more than the windows hold, with generic_nack; an ESME does so with deliver_sm; an SMSC sends generic_nack \
                 with sequence_number 0, three times, then without end.",
        expected: "The request's own response with the nack's status. After three nacks with number 0 the session still works; without end they close it.",
        parts: &[
            Part::standard("of an SMSC", nacks_of_an_smsc),
            Part::standard("of an ESME", nacks_of_an_esme),
            Part::standard("with sequence_number 0", nacks_that_name_nothing),
        ],
    },
    Scenario {
        row: 22,
        name: "lost answers",
        goal: "A request that is never answered ends by its deadline, and does not hold a place in the window for ever.",
        method: "300 submit_sm, more than the windows hold, and no answer; then, after the time in which a late answer is recognised, 100 more with answers.",
        expected: "One submit_sm_resp to each of the first with an error (ESME_RSYSERR or ESME_RTHROTTLED); ESME_ROK to all of the others.",
        parts: &[Part::under(
            Setting::Impatient,
            "windows become free again",
            lost_answers,
        )],
    },
    Scenario {
        row: 23,
        name: "a message is sent once",
        goal: "A request whose answer is lost is not sent to another SMSC; a late answer is recognised, and its receipt finds the submitter.",
        method: "An SMSC reads a submit_sm and never answers, or ends the connection, or answers after the deadline with ESME_ROK and sends a receipt.",
        expected: "One error answer each, and no second submit_sm anywhere. The late answer reaches nobody; the receipt reaches the account that submitted.",
        parts: &[
            Part::under(Setting::Impatient, "no answer", no_second_try_after_a_timeout),
            Part::under(
                Setting::Impatient,
                "the connection ends",
                no_second_try_after_a_loss,
            ),
            Part::under(
                Setting::Impatient,
                "the receipt of a late answer",
                the_receipt_of_a_late_answer,
            ),
        ],
    },
];

fn a_storm_of_quick_answers(stage: &mut Stage) -> Outcome {
    const ESMES: usize = 8;
    const MESSAGES: usize = 150;
    const IN_FLIGHT: usize = 10;
    stage.on_request(&OnRequest::Do(Arc::new(|request: &Pdu| {
        let number = request.sequence_number();
        Some(response_with_id(
            CommandId::SUBMIT_SM_RESP,
            number,
            &request.text(),
        ))
    })));
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..ESMES {
        clients.push(stage.esme("east")?);
    }
    let mut waiting: Vec<BTreeMap<u32, String>> = vec![BTreeMap::new(); ESMES];
    for message in 0..MESSAGES + IN_FLIGHT {
        for (index, client) in clients.iter_mut().enumerate() {
            if message < MESSAGES {
                let text = format!("storm-{index}-{message}");
                let number = client.submit("88010001", "447700900001", &text)?;
                waiting[index].insert(number, text);
            }
            if message >= IN_FLIGHT {
                let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
                let Some(text) = waiting[index].remove(&answer.sequence_number()) else {
                    return crate::failure::wrong(&answer, "an answer to no request of this ESME");
                };
                let id = id_of(&answer)?;
                require_of!(
                    &answer,
                    id.starts_with(&text),
                    "the answer to {text} carries the id {id}"
                );
            }
        }
    }
    for client in &mut clients {
        client.is_quiet()?;
    }
    Ok(())
}

fn answers_before_their_requests(stage: &mut Stage) -> Outcome {
    const EARLY: u32 = 4;
    let mut client = stage.esme("east")?;
    let mut last: BTreeMap<(usize, u32), u32> = BTreeMap::new();
    // Finds out where each session's numbers are.
    for _ in 0..16 {
        client.submit("88010001", "447700900001", "where")?;
        let mut arrival = stage.request()?;
        last.insert((arrival.centre, arrival.session), arrival.pdu.sequence_number());
        arrival.accept("where");
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok())?;
    }
    for ((centre, session), number) in last {
        for early in 1..=EARLY {
            let ghost = response_with_id(CommandId::SUBMIT_SM_RESP, next_number(number, early), "ghost");
            stage.centre(centre).send_on(session, &ghost)?;
        }
    }
    client.stays_quiet()?;
    for _ in 0..8 {
        let number = client.submit("88010001", "447700900001", "real")?;
        let mut arrival = stage.request()?;
        client.is_quiet()?;
        arrival.accept("real");
        let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
        let id = id_of(&answer)?;
        require_of!(&answer, id.starts_with("real"), "the answer carries the id {id}");
    }
    client.is_quiet()
}

const fn next_number(number: u32, steps: u32) -> u32 {
    (number - 1 + steps) % 0x7FFF_FFFF + 1
}

fn an_smscs_bodies(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let bodies: [&[u8]; 4] = [b"", b"\0", b"an-id\0", b"an-id\0\x14\x01\0\x01x"];
    for status in [
        Status::ESME_RINVDSTADR,
        Status::ESME_RSUBMITFAIL,
        Status(0x0000_0499),
    ] {
        for body in bodies {
            let number = client.submit("88010001", "447700900001", "bodies")?;
            let mut arrival = stage.request()?;
            let answer = raw(
                CommandId::SUBMIT_SM_RESP,
                status,
                arrival.pdu.sequence_number(),
                body,
            );
            arrival.answer(&answer);
            let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).with(status).numbered(number))?;
            require_of!(
                &answer,
                answer.body().is_empty(),
                "v3.4 has no body in an error answer to submit_sm; {answer:?} came"
            );
        }
    }
    let number = client.submit("88010001", "447700900001", "bare")?;
    let mut arrival = stage.request()?;
    let bare = header_only(
        CommandId::SUBMIT_SM_RESP,
        Status::ESME_ROK,
        arrival.pdu.sequence_number(),
    );
    arrival.answer(&bare);
    let answer = client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    require_of!(
        &answer,
        answer.body().contains(&0),
        "a positive answer carries a message_id, if only an empty one; {answer:?} came"
    );
    client.is_quiet()
}

fn a_bare_bind_resp(stage: &mut Stage) -> Outcome {
    stage.a().on_bind(OnBind::AcceptBare);
    stage.a().drop_sessions();
    stage.a().await_sessions(1)?;
    let mut client = stage.bind(BindAs::transceiver("alpha").range("8803"))?;
    eventually_carries(stage, &mut client, "88030001")?;
    let sms = Sms::deliver("447700900001", "88030001", "bare");
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

/// A session that has just bound may not be known everywhere yet.
fn eventually_carries(stage: &Stage, client: &mut Client, source: &str) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let number = client.submit(source, "447700900001", "is it there")?;
        if let Some(mut arrival) = stage.request_within(Duration::from_millis(200)) {
            arrival.accept("there");
        }
        let answer = client.answer_to(number)?;
        if answer.status().is_ok() {
            return Ok(());
        }
        require_of!(
            &answer,
            Instant::now() < deadline,
            "the SMSC is not used again; {answer:?} came"
        );
    }
}

fn an_esmes_bodies(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let cases: [(Status, &[u8]); 5] = [
        (Status::ESME_ROK, b""),
        (Status::ESME_ROK, b"an-id\0"),
        (Status::ESME_RX_R_APPN, b""),
        (Status::ESME_RX_R_APPN, b"\0"),
        (Status::ESME_RX_R_APPN, b"an-id\0"),
    ];
    for (status, body) in cases {
        let number = stage
            .a()
            .deliver(0, &Sms::deliver("447700900001", "88010001", "bodies"))?;
        let delivery = client.delivery()?;
        client.send(&raw(
            CommandId::DELIVER_SM_RESP,
            status,
            delivery.sequence_number(),
            body,
        ))?;
        let answer = stage.a().response_to(number)?;
        require_of!(
            &answer,
            Want::a(CommandId::DELIVER_SM_RESP).with(status).is(&answer),
            "deliver_sm_resp {status} was due; {answer:?} came"
        );
    }
    client.is_quiet()
}

fn vendor_statuses(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    for status in VENDOR_STATUSES {
        let number = client.submit("88010001", "447700900001", "vendor")?;
        stage.request()?.refuse(status);
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).with(status).numbered(number))?;
        let number = stage
            .a()
            .deliver(0, &Sms::deliver("447700900001", "88010001", "vendor"))?;
        let delivery = client.delivery()?;
        client.refuse(&delivery, status)?;
        let answer = stage.a().response_to(number)?;
        require_of!(
            &answer,
            answer.status() == status,
            "{status} was due; {answer:?} came"
        );
    }
    client.is_quiet()
}

fn nack(arrival: &mut Arrival, status: Status) {
    let octets = header_only(CommandId::GENERIC_NACK, status, arrival.pdu.sequence_number());
    arrival.answer(&octets);
}

fn nacks_of_an_smsc(stage: &mut Stage) -> Outcome {
    const REQUESTS: usize = 450;
    let statuses = [
        Status::ESME_RINVCMDID,
        Status::ESME_RINVCMDLEN,
        Status(0x0000_0499),
    ];
    let mut client = stage.esme("east")?;
    for status in statuses.into_iter().cycle().take(REQUESTS) {
        let number = client.submit("88010001", "447700900001", "nack")?;
        nack(&mut stage.request()?, status);
        client.expect(Want::a(CommandId::SUBMIT_SM_RESP).with(status).numbered(number))?;
    }
    stage.carries(&mut client, "88010001")
}

fn nacks_of_an_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    for status in [Status::ESME_RINVCMDID, Status(0x0000_0499)] {
        let number = stage
            .a()
            .deliver(0, &Sms::deliver("447700900001", "88010001", "nack"))?;
        let delivery = client.delivery()?;
        client.send(&header_only(
            CommandId::GENERIC_NACK,
            status,
            delivery.sequence_number(),
        ))?;
        let answer = stage.a().response_to(number)?;
        require_of!(
            &answer,
            Want::a(CommandId::DELIVER_SM_RESP).with(status).is(&answer),
            "deliver_sm_resp {status} was due; {answer:?} came"
        );
    }
    client.is_quiet()
}

fn nacks_that_name_nothing(stage: &mut Stage) -> Outcome {
    const WITHOUT_END: usize = 5_000;
    let mut client = stage.esme("alpha")?;
    let session = stage.a().sessions()[0];
    let nack = header_only(CommandId::GENERIC_NACK, Status::ESME_RINVCMDLEN, 0);
    stage.a().send_on(session, &nack.repeat(3))?;
    for _ in 0..8 {
        stage.carries(&mut client, "88030001")?;
    }
    require!(
        stage.a().sessions().contains(&session),
        "three nacks that name nothing ended the session"
    );
    require!(
        stage.a().other_responses().is_empty(),
        "a generic_nack was answered"
    );
    for _ in 0..WITHOUT_END / 100 {
        // It may be closed by now.
        let _ = stage.a().send_on(session, &nack.repeat(100));
    }
    eventually("the end of a session that sends nothing but nacks", || {
        !stage.a().sessions().contains(&session)
    })
}

fn lost_answers(stage: &mut Stage) -> Outcome {
    const LOST: usize = 300;
    const AFTERWARDS: usize = 100;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(stage.esme("east")?);
    }
    for client in &mut clients {
        let mut waiting: BTreeSet<u32> = BTreeSet::new();
        for _ in 0..LOST / 6 {
            waiting.insert(client.submit("88010001", "447700900001", "lost")?);
        }
        while let Some(number) = waiting.pop_first() {
            let answer = client.answer_to(number)?;
            let is_due = [Status::ESME_RSYSERR, Status::ESME_RTHROTTLED].contains(&answer.status());
            require_of!(
                &answer,
                is_due,
                "an error for want of an answer was due; {answer:?} came"
            );
        }
        client.is_quiet()?;
    }
    stage.requests_so_far();
    // Longer than the setting's time for late answers.
    std::thread::sleep(Duration::from_millis(3_500));
    for _ in 0..AFTERWARDS / 6 {
        for client in &mut clients {
            stage.carries(client, "88010001")?;
        }
    }
    Ok(())
}

fn no_second_try_after_a_timeout(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let number = client.submit("88010001", "447700900001", "once")?;
    let mut arrival = stage.request()?;
    let answer = client.answer_to(number)?;
    require_of!(
        &answer,
        !answer.status().is_ok(),
        "an error was due; {answer:?} came"
    );
    stage.no_request()?;
    arrival.accept("late");
    client.stays_quiet()?;
    stage.no_request()?;
    stage.carries(&mut client, "88010001")
}

fn no_second_try_after_a_loss(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    let number = client.submit("88010001", "447700900001", "once")?;
    let arrival = stage.request()?;
    stage.centre(arrival.centre).drop_sessions();
    let answer = client.answer_to(number)?;
    require_of!(
        &answer,
        !answer.status().is_ok(),
        "an error was due; {answer:?} came"
    );
    stage.no_request()?;
    client.stays_quiet()
}

fn the_receipt_of_a_late_answer(stage: &mut Stage) -> Outcome {
    // The source is in another account's range, so that only the receipt's entry leads to the submitter.
    let mut submitter = stage.esme("mute")?;
    let mut other = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let sms = Sms::submit("88010009", "447700900009", "late").asking_for_receipt();
    let number = submitter.send_sms(&sms)?;
    let mut arrival = stage.request()?;
    submitter.answer_to(number)?;
    arrival.accept("late-1");
    std::thread::sleep(Duration::from_millis(100));
    let centre = arrival.centre;
    let number = stage
        .centre(centre)
        .deliver(0, &receipt("447700900009", "88010009", "late-1"))?;
    let delivery = submitter.take_delivery()?;
    let (text_id, tlv_id) = receipt_ids(&delivery)?;
    require_of!(
        &delivery,
        text_id.is_some_and(|id| id.starts_with("late-1"))
            && tlv_id.is_some_and(|id| id.starts_with("late-1")),
        "the receipt names another message"
    );
    let answer = stage.centre(centre).response_to(number)?;
    require_of!(
        &answer,
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    match other.next_within(Duration::from_millis(200)) {
        None => Ok(()),
        Some(pdu) => fail(format!("another account got {pdu:?}")),
    }
}
