//! What clients refused for good: listed, put back and forgotten by command and by call.

use super::{Administered, TOKEN};
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::Esme;
use smppmux_tests::http;
use smppmux_tests::pdu::{deliver_sm, header_only};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::smsc::Smsc;
use std::time::{Duration, Instant};

/// Longer than anything takes that must not come.
const NEVER: Duration = Duration::from_millis(300);

fn start(store: &str) -> (Administered, Peer) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc", "0A", smsc.address(), "connections-total = 1")
        .client("esme1", "address-ranges = [\"888\"]")
        .queue(store);
    let mut administered = Administered::start(&configuration);
    let (server, _) = smsc.accept_bound();
    administered.smppmux.wait_for_log("smppmux ready");
    (administered, server)
}

/// Messages that wait, for this destination.
fn queue(server: &mut Peer, numbers: std::ops::RangeInclusive<u32>, destination: &str) {
    for number in numbers {
        server.send(&deliver_sm(number, "2000", destination, &number.to_string()));
        assert_eq!(
            server.expect(CommandId::DELIVER_SM_RESP).status(),
            Status::ESME_ROK
        );
    }
}

/// The dead letters' numbers, once there are so many.
fn dead_letters(administered: &Administered, count: usize) -> Vec<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = administered.get("/api/v1/queue/dead-letters").json();
        let rows = answer["dead_letters"].as_array().expect("a list");
        if rows.len() == count {
            for row in rows {
                assert_eq!(row["destination"], "888123", "{row}");
                assert_eq!(row["status"], "ESME_RX_P_APPN", "{row}");
            }
            return rows.iter().filter_map(|row| row["number"].as_u64()).collect();
        }
        assert!(Instant::now() < deadline, "{count} dead letters: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Binds, and refuses for good so many messages that wait.
fn refuse(administered: &Administered, count: usize) -> Esme {
    let mut client = Esme::bind_with_range(administered.smppmux.address(), "esme1", "888");
    for _ in 0..count {
        let delivery = client.expect(CommandId::DELIVER_SM);
        let number = delivery.sequence_number();
        client.send(&header_only(
            CommandId::DELIVER_SM_RESP,
            Status::ESME_RX_P_APPN,
            number,
        ));
    }
    client
}

/// Goal: what a client has refused for good is listed with the reason; one that is put back is delivered again, as it was; what
/// is forgotten never comes.
#[test]
fn dead_letters_are_put_back_or_forgotten() {
    for store in ["store = \"memory\"", "store = \"durable\""] {
        let (administered, mut server) = start(store);
        queue(&mut server, 1..=5, "888123");
        let mut client = refuse(&administered, 5);
        let numbers = dead_letters(&administered, 5);
        let listed = administered.ctl_text(&["queue", "dead-letters"]);
        assert_eq!(listed.matches("ESME_RX_P_APPN").count(), 5, "{listed}");
        assert_eq!(listed.matches("888123").count(), 5, "{listed}");
        assert!(
            administered
                .ctl_text(&["queue", "list"])
                .contains("5 dead letters")
        );

        let second = numbers[1].to_string();
        let told = administered.ctl_text(&["queue", "redrive", &second]);
        assert!(told.contains("1 put back"), "{told}");
        assert_eq!(client.take_delivery().text(), "2");
        let unknown = administered.ctl(&["queue", "redrive", &second]);
        assert_ne!(unknown.status.code(), Some(0), "it is no dead letter any more");
        let told = administered.ctl_text(&["queue", "purge-dead-letters", &numbers[0].to_string()]);
        assert!(told.contains("1 forgotten"), "{told}");

        let path = "/api/v1/queue/redrive";
        assert_eq!(http::call(administered.address, "POST", path, &[]).status, 401);
        let token = format!("Authorization: Bearer {TOKEN}");
        let answer = http::call(administered.address, "POST", path, &[&token]);
        assert_eq!(
            (answer.status, &answer.json()["done"]),
            (200, &"3 put back into the queue".into())
        );
        let texts: Vec<String> = (0..3).map(|_| client.take_delivery().text()).collect();
        assert_eq!(texts, ["3", "4", "5"], "{store}");
        assert!(dead_letters(&administered, 0).is_empty());
        assert!(matches!(client.receive_within(NEVER), Received::Nothing));
    }
}

/// Goal: messages that wait are forgotten by destination, or all of them; dead letters all at once.
#[test]
fn what_waits_is_forgotten() {
    let (administered, mut server) = start("store = \"durable\"");
    queue(&mut server, 1..=2, "888123");
    drop(refuse(&administered, 2));
    dead_letters(&administered, 2);
    let told = administered.ctl_text(&["queue", "purge-dead-letters"]);
    assert!(told.contains("2 forgotten"), "{told}");
    dead_letters(&administered, 0);

    queue(&mut server, 3..=4, "888001");
    queue(&mut server, 5..=6, "888002");
    let told = administered.ctl_text(&["queue", "purge", "888001"]);
    assert!(told.contains("2 forgotten"), "{told}");
    let lines = administered.get("/api/v1/queue").json();
    assert_eq!(
        (&lines["messages"], &lines["lines"][0]["destination"]),
        (&2.into(), &"888002".into())
    );
    let mut client = Esme::bind_with_range(administered.smppmux.address(), "esme1", "888");
    assert_eq!(
        [client.take_delivery().text(), client.take_delivery().text()],
        ["5", "6"]
    );
    client.unbind();
    queue(&mut server, 7..=9, "888003");
    let told = administered.ctl_text(&["queue", "purge", "--all"]);
    assert!(told.contains("3 forgotten"), "{told}");
    let mut client = Esme::bind_with_range(administered.smppmux.address(), "esme1", "888");
    assert!(matches!(client.receive_within(NEVER), Received::Nothing));
}
