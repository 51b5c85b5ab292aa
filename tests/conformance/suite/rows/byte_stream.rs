//! Rows 2 to 5: where PDUs begin and end, and what their lengths claim.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::{Pdu, header_only};

use crate::failure::{Outcome, fail, require, require_of, wrong};
use crate::peers::{BindAs, Client, OnBind, OnRequest};
use crate::scenario::{Part, Scenario};
use crate::sms::{Sms, raw};
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 2,
        name: "any split and merge of the byte stream",
        goal: "However TCP cuts or joins the octets of a session, the result is the same; nothing behind a bind or bind_resp is lost.",
        method: "An ESME writes bind, three submit_sm, enquire_link and unbind in one piece, octet by octet, cut at every seventh place, and in pieces of \
                 changing sizes. An SMSC writes bind_resp, two deliver_sm and enquire_link in one piece, in pieces of 7 octets and octet by octet.",
        expected: "One answer to each request with its number, bind_resp first and unbind_resp last; both deliver_sm reach the ESME once.",
        parts: &[
            Part::standard("an ESME's session in pieces", an_esmes_session_in_pieces),
            Part::standard(
                "an SMSC's bind_resp and what follows it",
                what_follows_a_bind_resp,
            ),
        ],
    },
    Scenario {
        row: 3,
        name: "absurd command_length",
        goal: "A length that cannot be ends the connection, and nothing is kept ready for a length that was only claimed.",
        method: "Strangers send HTTP, a TLS hello, and lengths 0, 15 and 0xFFFFFFFF; a bound ESME sends length 3 and 0xFFFFFFFF with a submit_sm behind; \
                 300 connections claim 79 KiB each and send a header.",
        expected: "Strangers: the connection ends at once. Bound: generic_nack ESME_RINVCMDLEN, then the end, and the submit_sm reaches nobody. The \
                   balancer's memory grows by less than 12 MiB, and others are served.",
        parts: &[
            Part::standard("strangers that speak no SMPP", strangers),
            Part::standard("a bound session out of step", a_bound_session_out_of_step),
            Part::standard("claimed lengths cost nothing", claimed_lengths_cost_nothing),
        ],
    },
    Scenario {
        row: 4,
        name: "a message_payload of 64 KiB",
        goal: "The largest legal message passes.",
        method: "submit_sm and deliver_sm with a message_payload of 65,535 octets.",
        expected: "The same PDU on the other side, octet for octet but for its number.",
        parts: &[Part::standard("65,535 octets each way", the_largest_payload)],
    },
    Scenario {
        row: 5,
        name: "lengths that run past the body",
        goal: "A field that runs past its PDU spoils that PDU alone.",
        method: "submit_sm and deliver_sm whose sm_length says more than there is, or whose destination has no NUL; a bind without any NUL.",
        expected: "The matching response, or generic_nack, with its number and an error status; the next message on the same session passes. The bind is refused or its connection ends, \
                   and nobody else notices.",
        parts: &[
            Part::standard("from an ESME", past_the_body_from_an_esme),
            Part::standard("from an SMSC", past_the_body_from_an_smsc),
            Part::standard("before a bind", past_the_body_before_a_bind),
        ],
    },
];

const SUBMITS: u32 = 3;

fn whole_session() -> Vec<u8> {
    let mut octets = BindAs::transceiver("east").octets(1);
    for number in 0..SUBMITS {
        let text = "piece ".repeat(number as usize);
        octets.extend(Sms::submit("88010001", "447700900001", text).octets(10 + number));
    }
    octets.extend(header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, 90));
    octets.extend(header_only(CommandId::UNBIND, Status::ESME_ROK, 91));
    octets
}

fn an_esmes_session_in_pieces(stage: &mut Stage) -> Outcome {
    stage.on_request(&OnRequest::Accept);
    let session = whole_session();
    play(stage, &[&session], "in one piece")?;
    play(stage, &session.chunks(1).collect::<Vec<_>>(), "octet by octet")?;
    for cut in (1..session.len()).step_by(7) {
        let (front, back) = session.split_at(cut);
        play(stage, &[front, back], &format!("cut at {cut}"))?;
    }
    for seed in 1..=10_usize {
        let mut pieces = Vec::new();
        let mut rest = session.as_slice();
        let mut state = seed;
        while !rest.is_empty() {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            let (piece, behind) = rest.split_at((1 + (state >> 8) % 60).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        play(
            stage,
            &pieces,
            &format!("in pieces of changing sizes, seed {seed}"),
        )?;
    }
    Ok(())
}

fn play(stage: &Stage, pieces: &[&[u8]], how: &str) -> Outcome {
    let mut client = stage.connect()?;
    for piece in pieces {
        client.send(piece)?;
    }
    let answers = client.until_closed()?;
    let outcome = |pdu: &Pdu| (pdu.command(), pdu.status(), pdu.sequence_number());
    let mut expected = BTreeSet::from([
        (CommandId::BIND_TRANSCEIVER_RESP, Status::ESME_ROK, 1),
        (CommandId::ENQUIRE_LINK_RESP, Status::ESME_ROK, 90),
        (CommandId::UNBIND_RESP, Status::ESME_ROK, 91),
    ]);
    expected.extend((0..SUBMITS).map(|number| (CommandId::SUBMIT_SM_RESP, Status::ESME_ROK, 10 + number)));
    let is_right = answers.len() == expected.len()
        && answers.iter().map(outcome).collect::<BTreeSet<_>>() == expected
        && answers[0].command() == CommandId::BIND_TRANSCEIVER_RESP
        && answers[answers.len() - 1].command() == CommandId::UNBIND_RESP;
    require!(
        is_right,
        "{how}: one answer to each request was due; {answers:?} came"
    );
    Ok(())
}

fn what_follows_a_bind_resp(stage: &mut Stage) -> Outcome {
    const ENQUIRY: u32 = 77;
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    for piece_octets in [1, 7, usize::MAX] {
        let octets = move |session: u32| {
            let first = session * 1000;
            let sms = |text: &str| Sms::deliver("447700900001", "88010001", format!("{text} {session}"));
            let enquiry = header_only(CommandId::ENQUIRE_LINK, Status::ESME_ROK, ENQUIRY);
            [sms("one").octets(first), sms("two").octets(first + 1), enquiry].concat()
        };
        let old = stage.a().sessions();
        stage.a().on_bind(OnBind::AcceptThen {
            octets: Arc::new(octets),
            piece_octets,
        });
        stage.a().drop_sessions();
        stage.a().await_sessions(1)?;
        let new = stage.a().sessions();
        let Some(session) = new.iter().find(|session| !old.contains(session)) else {
            return fail("the balancer did not bind anew");
        };
        // Other sessions may have come meanwhile; theirs are wanted once each too.
        let mut wanted = BTreeSet::from([format!("one {session}"), format!("two {session}")]);
        let mut seen = BTreeSet::new();
        while !wanted.is_empty() {
            let delivery = client.take_delivery()?;
            require_of!(&delivery, seen.insert(delivery.text()), "a deliver_sm came twice");
            wanted.remove(&delivery.text());
        }
        for number in [session * 1000, session * 1000 + 1, ENQUIRY] {
            let answer = stage.a().response_to(number)?;
            require_of!(
                &answer,
                answer.status().is_ok(),
                "ESME_ROK was due; {answer:?} came"
            );
        }
        // The last sessions' deliveries of this round.
        while let Some(delivery) = client.next_within(Duration::from_millis(600)) {
            client.accept(&delivery)?;
        }
        stage.a().other_responses();
    }
    Ok(())
}

fn strangers(stage: &mut Stage) -> Outcome {
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let lengths = [0_u32, 15, 0xFFFF_FFFF].map(|length| {
        let mut octets = BindAs::transceiver("east").octets(1);
        octets[..4].copy_from_slice(&length.to_be_bytes());
        octets
    });
    let mut openings = vec![
        b"GET / HTTP/1.1\r\nHost: smsc.example.net\r\n\r\n".to_vec(),
        tls_hello.repeat(4),
    ];
    openings.extend(lengths);
    for octets in openings {
        let mut stranger = stage.connect()?;
        stranger.send(&octets)?;
        let deadline = std::time::Instant::now();
        let replies = stranger.until_closed()?;
        let took = deadline.elapsed();
        let is_quick = took < Duration::from_secs(4);
        require!(is_quick, "a stranger was kept for {took:?} after {octets:02x?}");
        if let Some(reply) = replies.iter().find(|reply| !is_nack_of_length(reply)) {
            return wrong(reply, format!("a stranger got {reply:?}"));
        }
        require!(replies.len() <= 1, "a stranger got {} replies", replies.len());
    }
    let mut client = stage.esme("east")?;
    stage.carries(&mut client, "88010001")
}

fn is_nack_of_length(pdu: &Pdu) -> bool {
    Want::a(CommandId::GENERIC_NACK)
        .with(Status::ESME_RINVCMDLEN)
        .is(pdu)
}

fn a_bound_session_out_of_step(stage: &mut Stage) -> Outcome {
    for length in [3_u32, 0xFFFF_FFFF] {
        let mut client = stage.esme("east")?;
        let submit = Sms::submit("88010001", "447700900001", "out of step").octets(9);
        let mut octets = submit.clone();
        octets[..4].copy_from_slice(&length.to_be_bytes());
        client.send(&[octets, submit].concat())?;
        client.expect(Want::a(CommandId::GENERIC_NACK).with(Status::ESME_RINVCMDLEN))?;
        client.expect_closed()?;
        stage.no_request()?;
    }
    let mut client = stage.esme("east")?;
    stage.carries(&mut client, "88010001")
}

fn claimed_lengths_cost_nothing(stage: &mut Stage) -> Outcome {
    const CONNECTIONS: usize = 300;
    const CLAIMED_OCTETS: u32 = 79 * 1024;
    const GROWTH_KIB_MAX: u64 = 12 * 1024;
    let mut neighbour = stage.esme("east")?;
    stage.carries(&mut neighbour, "88010001")?;
    let before = stage.memory_kib();
    let mut claim = BindAs::transceiver("east").octets(1);
    claim[..4].copy_from_slice(&CLAIMED_OCTETS.to_be_bytes());
    let strangers: Outcome<Vec<Client>> = (0..CONNECTIONS)
        .map(|_| {
            let mut stranger = stage.connect()?;
            stranger.send(&claim[..20])?;
            Ok(stranger)
        })
        .collect();
    let strangers = strangers?;
    stage.carries(&mut neighbour, "88010001")?;
    match (before, stage.memory_kib()) {
        (Some(before), Some(after)) => {
            let growth = after.saturating_sub(before);
            require!(
                growth < GROWTH_KIB_MAX,
                "{CONNECTIONS} claims of {CLAIMED_OCTETS} octets cost {growth} KiB"
            );
        }
        _ => stage.note("the balancer's process is not known, so that its memory was not looked at"),
    }
    drop(strangers);
    Ok(())
}

fn the_largest_payload(stage: &mut Stage) -> Outcome {
    let payload: Vec<u8> = (0..65_535_u32).map(|place| place.to_be_bytes()[3]).collect();
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let submit = Sms::submit("88010001", "447700900001", "").with_payload(&payload);
    let number = client.send_sms(&submit)?;
    let mut arrival = stage.request()?;
    submit.is_relayed_as(&arrival.pdu)?;
    arrival.accept("large");
    client.expect(Want::a(CommandId::SUBMIT_SM_RESP).ok().numbered(number))?;
    let deliver = Sms::deliver("447700900001", "88010001", "").with_payload(&payload);
    let number = stage.b().deliver(0, &deliver)?;
    deliver.is_relayed_as(&client.take_delivery()?)?;
    let answer = stage.b().response_to(number)?;
    require_of!(
        &answer,
        answer.status().is_ok(),
        "ESME_ROK was due; {answer:?} came"
    );
    Ok(())
}

/// Two PDUs of this command that run past their end.
fn past_the_end(command: CommandId, number: u32) -> [Vec<u8>; 2] {
    let long_text = b"\0\x01\x01\x31\x32\0\x01\x01\x34\x34\0\0\0\0\0\0\0\0\0\0\xc8short";
    let no_nul = b"\0\x01\x01\x31\x32\0\x01\x0144444444444444";
    [long_text.as_slice(), no_nul].map(|body| raw(command, Status::ESME_ROK, number, body))
}

/// A PDU that breaks off inside a field may also get a generic_nack with its number.
fn is_refused(answer: &Pdu, response: CommandId, number: u32) -> Outcome {
    let is_right_kind = [response, CommandId::GENERIC_NACK].contains(&answer.command());
    require_of!(
        answer,
        is_right_kind && answer.sequence_number() == number && !answer.status().is_ok(),
        "{response} {number:#x} with an error was due; {answer:?} came"
    );
    Ok(())
}

fn past_the_body_from_an_esme(stage: &mut Stage) -> Outcome {
    let mut client = stage.esme("east")?;
    for octets in past_the_end(CommandId::SUBMIT_SM, 500) {
        client.send(&octets)?;
        is_refused(&client.next()?, CommandId::SUBMIT_SM_RESP, 500)?;
        stage.no_request()?;
        stage.carries(&mut client, "88010001")?;
    }
    client.is_quiet()
}

fn past_the_body_from_an_smsc(stage: &mut Stage) -> Outcome {
    let mut client = stage.bind(BindAs::transceiver("east").range("8801"))?;
    let session = stage.a().receiving_sessions()[0];
    for (place, number) in [(0, 500), (1, 501)] {
        let octets = &past_the_end(CommandId::DELIVER_SM, number)[place];
        stage.a().send_on(session, octets)?;
        let answer = stage.a().response_to(number)?;
        is_refused(&answer, CommandId::DELIVER_SM_RESP, number)?;
        client.stays_quiet()?;
        let sms = Sms::deliver("447700900001", "88010001", "whole");
        stage.a().send_on(session, &sms.octets(600 + number))?;
        sms.is_relayed_as(&client.take_delivery()?)?;
        stage.a().response_to(600 + number)?;
    }
    Ok(())
}

fn past_the_body_before_a_bind(stage: &mut Stage) -> Outcome {
    let mut neighbour = stage.esme("west")?;
    for body in [b"aaaaaaaaaaaaaaaaaaaaaaaa".as_slice(), b"east", b"", &[0xFF; 200]] {
        let mut stranger = stage.connect()?;
        stranger.send(&raw(CommandId::BIND_TRANSCEIVER, Status::ESME_ROK, 7, body))?;
        stranger.peer().finish_writing();
        for reply in stranger.until_closed()? {
            require_of!(
                &reply,
                !reply.status().is_ok(),
                "a bind that cannot be read got {reply:?}"
            );
        }
        stage.carries(&mut neighbour, "88020001")?;
    }
    Ok(())
}
