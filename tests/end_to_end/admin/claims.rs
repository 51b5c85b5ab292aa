//! Sessions that claim all that their account may have: they share with those who claim a part by its text, on every engine, and
//! follow a reload.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::deliver_sm;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::smsc::Smsc;
use std::thread;
use std::time::{Duration, Instant};

/// By then a busy machine has told all engines of a reload.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
const WIDE: &str = "address-ranges = [\"88\", \"8887\", \"4477\"]";

fn configuration(smsc: &Smsc, wide: &str) -> Configuration {
    Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections = 1")
        .client("wide", wide)
        .client("narrow", "address-ranges = [\"888\"]")
}

fn bind(administered: &Administered, account: &str, range: &str, engine: usize) -> Esme {
    let request = BindRequest::of(account).with_range(range).at_engine(engine);
    Esme::bind_with(administered.smppmux.address(), request)
}

/// Who gets a message to this destination, by its place among the clients; `None`: nobody, and this is the answer's status.
fn receiver(server: &mut Peer, clients: &mut [Esme], destination: &str) -> Result<usize, Status> {
    server.send(&deliver_sm(7, "2000", destination, "whose"));
    for client in (0..clients.len()).cycle() {
        match clients[client].receive_within(Duration::from_millis(5)) {
            Received::Pdu(delivery) => {
                assert_eq!(delivery.destination(), destination);
                clients[client].accept(&delivery);
                let answer = server.expect(CommandId::DELIVER_SM_RESP);
                assert_eq!(answer.status(), Status::ESME_ROK);
                return Ok(client);
            }
            _ => {
                if let Received::Pdu(answer) = server.receive_within(Duration::from_millis(1)) {
                    return Err(answer.status());
                }
            }
        }
    }
    unreachable!("there are clients")
}

/// Goal: sessions that bound with an empty range on either engine get each range of their account in turn; one that another
/// account's session claims by its text they share with it; what is not theirs they do not get.
/// Method: one message at a time, from the SMSC's session on each engine.
#[test]
fn who_claims_everything_shares_with_who_claims_a_part() {
    let smsc = Smsc::start();
    let administered = Administered::start(&configuration(&smsc, WIDE));
    let mut servers = [smsc.accept_bound().0, smsc.accept_bound().0];
    let bind = |account, range, engine| bind(&administered, account, range, engine);
    // Before and behind the session that claims a part, on its engine and on the other.
    let first = bind("wide", "", 0);
    let narrow = bind("narrow", "8887", 0);
    let mut clients = [first, narrow, bind("wide", "", 1), bind("wide", "", 0)];
    for server in &mut servers {
        for (destination, expected) in [("8899", [12, 0, 12, 12]), ("888765", [9, 9, 9, 9])] {
            let mut counts = [0; 4];
            for _ in 0..expected.iter().sum() {
                counts[receiver(server, &mut clients, destination).expect("somebody has it")] += 1;
            }
            assert_eq!(counts, expected, "{destination}");
        }
        assert_eq!(
            receiver(server, &mut clients, "3312"),
            Err(Status::ESME_RINVDSTADR)
        );
    }
    let pools = administered.ctl_text(&["pools"]);
    assert!(
        pools.contains("(ranges of wide)") && pools.contains("8887"),
        "{pools}"
    );
}

/// Goal: who has claimed everything has, after a reload, what its account may have by then, and no other, without a new bind:
/// a range of its own, and one that it shares with another account from now on.
#[test]
fn who_claims_everything_follows_a_reload() {
    let smsc = Smsc::start();
    let administered = Administered::start(&configuration(&smsc, WIDE));
    let mut servers = [smsc.accept_bound().0, smsc.accept_bound().0];
    let bind = |account, range, engine| bind(&administered, account, range, engine);
    let mut clients = [bind("wide", "", 0), bind("narrow", "888", 1)];
    for server in &mut servers {
        assert_eq!(receiver(server, &mut clients, "447701"), Ok(0));
        assert_eq!(
            receiver(server, &mut clients, "3312"),
            Err(Status::ESME_RINVDSTADR)
        );
    }
    administered.rewrite(&configuration(
        &smsc,
        "address-ranges = [\"88\", \"33\", \"888\"]",
    ));
    administered.ctl_text(&["reload"]);
    for server in &mut servers {
        // The other engine hears of it a moment later.
        let deadline = Instant::now() + HEARD_WITHIN;
        loop {
            match receiver(server, &mut clients, "3312") {
                Err(Status::ESME_RINVDSTADR) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                got => {
                    assert_eq!(got, Ok(0), "the range that is new");
                    break;
                }
            }
        }
        assert_eq!(
            receiver(server, &mut clients, "447701"),
            Err(Status::ESME_RINVDSTADR)
        );
        let mut shares = [0, 0];
        for _ in 0..8 {
            shares[receiver(server, &mut clients, "88876").expect("somebody has it")] += 1;
        }
        assert_eq!(shares, [4, 4]);
    }
}
