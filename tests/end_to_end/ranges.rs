//! MO by address range, over two engines: the right clients, in turn, in equal shares.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::deliver_sm;
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::Smsc;

const RANGES: [&str; 3] = ["888765", "24457", "11144"];

/// Where the two clients of each range are: on both engines, on the first alone, on the second alone.
const ENGINES: [[usize; 2]; 3] = [[0, 1], [0, 0], [1, 1]];

/// One session of the SMSC on each engine, and two clients for each range.
struct Setting {
    _smppmux: Smppmux,
    servers: Vec<Peer>,
    clients: Vec<[Esme; 2]>,
}

fn start() -> Setting {
    let smsc = Smsc::start();
    let mut configuration =
        Configuration::with_engines(2).server("smsc", "0A", smsc.address(), "connections = 1");
    for range in RANGES {
        for client in ["a", "b"] {
            let lines = format!("address-ranges = [\"{range}\"]");
            configuration = configuration.client(&format!("{range}{client}"), &lines);
        }
    }
    let mut smppmux = Smppmux::start(crate::PROGRAM, &configuration);
    let servers = vec![smsc.accept_bound().0, smsc.accept_bound().0];
    smppmux.wait_for_log("smppmux ready");
    let clients = RANGES.iter().zip(ENGINES).map(|(range, engines)| {
        let bind = |name: &str, engine: usize| {
            let system_id = format!("{range}{name}");
            let request = BindRequest::of(&system_id).with_range(range).at_engine(engine);
            Esme::bind_with(smppmux.address(), request)
        };
        [bind("a", engines[0]), bind("b", engines[1])]
    });
    let clients = clients.collect();
    Setting {
        _smppmux: smppmux,
        servers,
        clients,
    }
}

/// Goal: one message after the other, from either engine's SMSC session, goes to the two clients of its range in turn,
/// wherever they are.
#[test]
fn clients_of_a_range_take_turns() {
    const MESSAGES: usize = 10;
    let mut setting = start();
    for (origin, server) in setting.servers.iter_mut().enumerate() {
        for (range, clients) in RANGES.iter().zip(&mut setting.clients) {
            let receivers = (0..MESSAGES).map(|number| {
                let number = u32::try_from(number).expect("few");
                server.send(&deliver_sm(number, "2000", &format!("{range}123"), "turn"));
                let receiver = receiver_of_next(clients);
                let answer = server.expect(CommandId::DELIVER_SM_RESP);
                assert_eq!(
                    (answer.sequence_number(), answer.status()),
                    (number, Status::ESME_ROK)
                );
                receiver
            });
            let receivers: Vec<usize> = receivers.collect();
            let takes_turns = receivers.windows(2).all(|two| two[0] != two[1]);
            assert!(takes_turns, "range {range} from session {origin}: {receivers:?}");
        }
    }
}

/// Which of the two gets the message that is on its way; it is accepted.
fn receiver_of_next(clients: &mut [Esme; 2]) -> usize {
    let limit = Duration::from_millis(5);
    for client in (0..2).cycle().take(12_000) {
        if let Received::Pdu(delivery) = clients[client].receive_within(limit) {
            assert_eq!(delivery.command(), CommandId::DELIVER_SM);
            clients[client].accept(&delivery);
            return client;
        }
    }
    panic!("nobody got the message");
}

/// Goal: of 10,000 messages from both engines to the three ranges each is accepted by a client of its range, and the
/// shares of a range's clients differ by less than 5 %.
#[test]
fn clients_of_a_range_get_equal_shares() {
    const MESSAGES: u32 = 10_000;
    const IN_FLIGHT: u32 = 50;
    let Setting {
        _smppmux: smppmux,
        servers,
        clients,
    } = start();
    let takers: Vec<_> = clients
        .into_iter()
        .zip(RANGES)
        .flat_map(|(pair, range)| pair.map(|client| thread::spawn(move || take_all(client, range))))
        .collect();
    let senders: Vec<_> = servers
        .into_iter()
        .map(|server| thread::spawn(move || send_to_all_ranges(server, MESSAGES / 2, IN_FLIGHT)))
        .collect();
    let mut sent: BTreeMap<usize, u32> = BTreeMap::new();
    for sender in senders {
        for (range, count) in sender.join().expect("every message was accepted") {
            *sent.entry(range).or_default() += count;
        }
    }
    // Ends the clients' connections.
    drop(smppmux);
    let taken: Vec<u32> = takers
        .into_iter()
        .map(|taker| taker.join().expect("only messages of the range"))
        .collect();
    for (range, shares) in taken.chunks(2).enumerate() {
        let (one, other) = (shares[0], shares[1]);
        let difference = f64::from(one.abs_diff(other)) * 100.0 / f64::from(one + other);
        println!("{}: {one} and {other}, {difference:.2} % apart", RANGES[range]);
        assert_eq!(one + other, sent[&range], "each message came once");
        assert!(
            one.abs_diff(other) * 20 < one + other,
            "{}: {one} and {other}",
            RANGES[range]
        );
    }
}

/// Accepts what comes until the connection ends; gives how many.
fn take_all(mut client: Esme, range: &str) -> u32 {
    let mut taken = 0;
    while let Received::Pdu(delivery) = client.receive_within(smppmux_tests::PATIENCE) {
        assert!(
            delivery.destination().starts_with(range),
            "{} is not of {range}",
            delivery.destination()
        );
        client.accept(&delivery);
        taken += 1;
    }
    taken
}

/// Sends to the ranges in turn, some in flight at once; gives how many to each.
fn send_to_all_ranges(mut server: Peer, messages: u32, in_flight: u32) -> BTreeMap<usize, u32> {
    let mut sent = BTreeMap::new();
    let mut answered = 0;
    for number in 0..messages {
        let range = number as usize % RANGES.len();
        let destination = format!("{}{number:05}", RANGES[range]);
        server.send(&deliver_sm(number, "2000", &destination, "share"));
        *sent.entry(range).or_default() += 1;
        while number + 1 - answered >= in_flight || (number + 1 == messages && answered < messages) {
            let answer = server.expect(CommandId::DELIVER_SM_RESP);
            assert_eq!(answer.status(), Status::ESME_ROK);
            answered += 1;
        }
    }
    sent
}
