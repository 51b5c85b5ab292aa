//! What an operator does while messages flow as fast as they can, and what clients see of it.

use super::Administered;
use smppmux_engine::core::wire::{CommandId, Status};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::Pdu;
use smppmux_tests::simulator::Simulator;
use smppmux_tests::smsc::AnsweringSmsc;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Reloads of the long run.
const RELOADS: usize = 100;
/// Drains of each server.
const DRAINS: usize = 10;
/// How often a server is killed.
const KILLS: usize = 5;
/// Requests that a client keeps under way.
const UNDER_WAY: usize = 50;
/// Clients, one at each engine.
const CLIENTS: usize = 2;
/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clients that send as fast as their windows allow.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<HashMap<String, Status>>>,
}

/// The one answer that each message got, by its text.
struct Outcomes(HashMap<String, Status>);

impl Load {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS)
            .map(|engine| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || send_until(&stop, address, engine))
            })
            .collect();
        Self { stop, clients }
    }

    fn stop(self) -> Outcomes {
        self.stop.store(true, Ordering::Relaxed);
        let clients = self.clients.into_iter();
        let outcomes = clients.flat_map(|client| client.join().expect("no answer was wrong"));
        Outcomes(outcomes.collect())
    }
}

impl Outcomes {
    fn answered(&self) -> usize {
        self.0.len()
    }

    fn failed(&self) -> Vec<String> {
        let failed = self.0.iter().filter(|(_, status)| !status.is_ok());
        failed.map(|(text, _)| text.clone()).collect()
    }
}

/// Sends until it is told to stop, then waits for the last answers; each request gets one.
fn send_until(stop: &AtomicBool, address: SocketAddr, engine: usize) -> HashMap<String, Status> {
    let mut esme = Esme::bind_with(address, BindRequest::of("constant").at_engine(engine));
    let mut under_way: HashMap<u32, String> = HashMap::new();
    let mut outcomes = HashMap::new();
    while !stop.load(Ordering::Relaxed) || !under_way.is_empty() {
        while !stop.load(Ordering::Relaxed) && under_way.len() < UNDER_WAY {
            let text = format!("{engine}-{}", outcomes.len() + under_way.len());
            under_way.insert(esme.submit("4477", &text), text);
        }
        let answer = esme.expect(CommandId::SUBMIT_SM_RESP);
        let text = under_way.remove(&answer.sequence_number());
        let text = text.expect("it answers what was sent, once");
        outcomes.insert(text, answer.status());
    }
    // The very session that was bound at the start.
    esme.unbind();
    outcomes
}

/// Goal: under load, with servers and accounts coming and going in each of a hundred reloads, every message gets its one good
/// answer, a session that the changes do not concern is never lost, and what is configured in the end is there.
#[test]
fn a_hundred_reloads_lose_nothing() {
    let names = ["one", "two", "three"];
    let smscs = names.map(AnsweringSmsc::start);
    // The first server stays; of the other two, one is there at a time or both.
    let configuration = |round: usize| {
        let mut configuration = Configuration::with_engines(2)
            .server(
                "one",
                "01",
                smscs[0].address(),
                &format!("weight = {}", 1 + round % 3),
            )
            .client("constant", "");
        for (place, uid) in [(1, "02"), (2, "03")] {
            if round % 3 != place {
                configuration = configuration.server(names[place], uid, smscs[place].address(), "");
            }
        }
        configuration.client(&format!("guest{}", round % 5), "")
    };
    let mut administered = Administered::start(&configuration(0));
    administered.smppmux.wait_for_log("smppmux ready");
    let address = administered.smppmux.address();
    let load = Load::start(address);
    for round in 1..=RELOADS {
        administered.rewrite(&configuration(round));
        administered.ctl_text(&["reload"]);
        let mut guest = Esme::bind(address, &format!("guest{}", round % 5));
        assert_eq!(guest.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    }
    let outcomes = load.stop();
    let answered = outcomes.answered();
    assert_eq!(outcomes.failed(), Vec::<String>::new());
    println!("{RELOADS} reloads, {answered} messages on two engines, each answered once with ESME_ROK");
    let servers = administered.get("/api/v1/servers").json();
    let losses = |name: &str| {
        let rows = servers["servers"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["name"] == name);
        row.and_then(|row| row["losses"].as_u64())
    };
    assert_eq!(losses("one"), Some(0), "it was in every configuration");
    // 100 is 1 in the count of three: the second server is not there.
    assert_eq!((losses("two"), losses("three")), (None, Some(0)));
}

/// Goal: servers are drained and undrained under load and no client sees an error; while one is drained it gets nothing.
#[test]
fn drains_cost_no_client_anything() {
    let names = ["one", "two"];
    let smscs = names.map(AnsweringSmsc::start);
    let configuration = Configuration::with_engines(2)
        .server("one", "01", smscs[0].address(), "")
        .server("two", "02", smscs[1].address(), "")
        .client("constant", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let load = Load::start(administered.smppmux.address());
    for drain in 0..2 * DRAINS {
        let (name, smsc) = (names[drain % 2], &smscs[drain % 2]);
        administered.ctl_text(&["drain", "--server", name]);
        wait_until("all that it had is answered", || {
            row(&administered, name)["outstanding"] == 0
        });
        smsc.requests_so_far();
        thread::sleep(Duration::from_millis(30));
        assert_eq!(smsc.requests_so_far().len(), 0, "{name} is drained");
        administered.ctl_text(&["undrain", "--server", name]);
        wait_until("it gets messages again", || !smsc.requests_so_far().is_empty());
    }
    let outcomes = load.stop();
    println!(
        "{} drains, {} messages, no error",
        2 * DRAINS,
        outcomes.answered()
    );
    assert_eq!(outcomes.failed(), Vec::<String>::new());
    for name in names {
        assert_eq!(row(&administered, name)["losses"], 0, "{name} stayed bound");
    }
}

/// Goal: a server is killed and started again under load. Only what was in flight there fails, nothing that fails was sent
/// anywhere else, and afterwards it gets its share again.
#[test]
fn a_killed_server_costs_what_was_in_flight_there() {
    let survivor = AnsweringSmsc::start("survivor");
    let mut victim = Simulator::start(crate::PROGRAM);
    let configuration = Configuration::with_engines(2)
        .server("survivor", "01", survivor.address(), "")
        .server("victim", "02", victim.address(), "")
        .client("constant", "");
    let mut administered = Administered::start(&configuration);
    administered.smppmux.wait_for_log("smppmux ready");
    let is_at_work = |administered: &Administered| {
        let before = row(administered, "victim")["answers"].clone();
        wait_until("both engines are bound and it answers", || {
            let row = row(administered, "victim");
            row["sessions"] == 2 && row["answers"].as_u64() > before.as_u64()
        });
    };
    let load = Load::start(administered.smppmux.address());
    for _ in 0..KILLS {
        is_at_work(&administered);
        let address = victim.kill();
        wait_until("its loss is seen", || {
            row(&administered, "victim")["sessions"] == 0
        });
        victim = Simulator::start_at(crate::PROGRAM, address);
    }
    is_at_work(&administered);
    let outcomes = load.stop();
    victim.kill();
    let failed = outcomes.failed();
    println!(
        "{KILLS} kills, {} messages, {} in flight there failed",
        outcomes.answered(),
        failed.len()
    );
    assert!(
        failed.len() <= KILLS * CLIENTS * UNDER_WAY,
        "{} failed: more than can be in flight",
        failed.len()
    );
    let elsewhere: HashSet<String> = survivor.requests_so_far().iter().map(Pdu::text).collect();
    for text in failed {
        assert!(!elsewhere.contains(&text), "{text} was taken by the other server");
        assert_eq!(outcomes.0[&text], Status::ESME_RSYSERR, "{text}");
    }
}

/// What the admin interface says of a server.
fn row(administered: &Administered, name: &str) -> serde_json::Value {
    let servers = administered.get("/api/v1/servers").json();
    let rows = servers["servers"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["name"] == name);
    row.unwrap_or_else(|| panic!("no {name}")).clone()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        // Figures are up to 100 ms old.
        thread::sleep(Duration::from_millis(20));
    }
}
