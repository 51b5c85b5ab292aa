//! Rows 32 to 34: what surrounds a session: addresses, credentials, clocks.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::pdu::header_only;
use smppmux_tests::peer::Received;

use crate::failure::{Outcome, require, require_of};
use crate::peers::{BindAs, PATIENCE};
use crate::scenario::{Part, Scenario};
use crate::setting::{LONG_PASSWORD, LONG_SYSTEM_ID, Setting};
use crate::stage::Stage;
use crate::want::Want;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        row: 32,
        name: "PROXY protocol",
        goal: "Behind another balancer, the ESME's own address is known.",
        method: "Connections begin with a header of version 1 or 2, for IPv4 and IPv6, whole with the bind behind it and octet by octet; an account may come \
                 from the networks 192.0.2.0/24 and 2001:db8::/32 only. Then a header of the balancer's own (UNKNOWN, LOCAL), none at all, and wrong ones.",
        expected: "bind_resp ESME_ROK where the header names an address of those networks, else an error; the end of the connection, and nothing before it, where \
                   the header is missing or wrong.",
        parts: &[Part::under(
            Setting::BehindAnother,
            "the header names the ESME",
            headers,
        )],
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

/// A header of version 2 for a connection from this address, with a TLV behind the addresses.
fn header_v2(source: IpAddr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    let addresses = match source {
        IpAddr::V4(source) => [source.octets(), [192, 0, 2, 200]].concat(),
        IpAddr::V6(source) => [source.octets(), source.octets()].concat(),
    };
    let tail = [&addresses[..], &[0x12, 0x34, 0x0A, 0xD7, 0x04, 0, 2, 7, 7]].concat();
    header.push(if source.is_ipv4() { 0x11 } else { 0x21 });
    header.extend(u16::try_from(tail.len()).expect("short").to_be_bytes());
    header.extend(tail);
    header
}

fn headers(stage: &mut Stage) -> Outcome {
    let v4 = |last: u8| IpAddr::from([192, 0, last, 7]);
    let v6 = |second: u16| IpAddr::from([0x2001, second, 0, 0, 0, 0, 0, 9]);
    let cases = [
        (b"PROXY TCP4 192.0.2.7 192.0.2.200 4660 2775\r\n".to_vec(), true),
        (
            b"PROXY TCP4 198.51.100.7 192.0.2.200 4660 2775\r\n".to_vec(),
            false,
        ),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 4660 2775\r\n".to_vec(), true),
        (b"PROXY UNKNOWN\r\n".to_vec(), false),
        (header_v2(v4(2)), true),
        (header_v2(v4(3)), false),
        (header_v2(v6(0xDB8)), true),
        (header_v2(v6(0xDB9)), false),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), false),
    ];
    for (header, is_allowed) in cases {
        for in_pieces in [false, true] {
            let mut client = stage.connect()?;
            let bind = BindAs::transceiver("east").octets(1);
            let octets = [&header[..], &bind].concat();
            if in_pieces {
                for octet in octets.chunks(1) {
                    client.send(octet)?;
                    std::thread::sleep(Duration::from_micros(200));
                }
            } else {
                client.send(&octets)?;
            }
            let answer = client.expect(Want::a(CommandId::BIND_TRANSCEIVER_RESP).numbered(1))?;
            require_of!(
                &answer,
                answer.status().is_ok() == is_allowed,
                "the header {:?} was not understood",
                String::from_utf8_lossy(&header)
            );
            if is_allowed {
                stage.carries(&mut client, "88010001")?;
            }
        }
    }
    let bind = BindAs::transceiver("west").octets(1);
    for wrong in [&bind[..], b"PROXY TCP4 192.0.2.7\r\n", b"PROXY TCP9 1 2 3 4\r\n"] {
        let mut stranger = stage.connect()?;
        stranger.send(wrong)?;
        match stranger.peer().receive_any_within(PATIENCE) {
            Received::Closed => {}
            other => return crate::failure::fail(format!("a connection without a header got {other:?}")),
        }
    }
    Ok(())
}

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
