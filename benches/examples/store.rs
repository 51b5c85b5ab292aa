//! The durable store of the queue: how many messages a second it makes safe, and how long it takes to open again.
//!
//! ```text
//! target/release/examples/store [FOLDER]
//! ```
//!
//! The file lies in the folder, or where temporary files do, and is removed in the end; a folder on tmpfs shows the store without a
//! disk. One engine's worth of orders is under way at a time, as one thread gives them.

use bytes::BytesMut;
use smppmux_benches::settings;
use smppmux_engine::core::contract::CoreIndex;
use smppmux_engine::core::queue::QueueKey;
use smppmux_engine::core::settings::VserverIndex;
use smppmux_engine::core::store_message::{StoreCommand, StoreEvent};
use smppmux_engine::core::wire::Address;
use smppmux_engine::store::{StoreSettings, StoreThread};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

const MESSAGES: u32 = 200_000;
const PDU_OCTETS: usize = 200;
const DESTINATIONS: u32 = 10_000;
const UNDER_WAY: u32 = 1_000;

fn main() {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!("smppmux-store-{}.redb", std::process::id()));
    let store = StoreSettings {
        path: Some(path.clone()),
        count_max: u64::MAX,
        octets_max: u64::MAX,
        account_count_max: u64::MAX,
        account_octets_max: u64::MAX,
        age_max: Duration::from_secs(3_600),
        dead_letters_max: 0,
    };
    fill(&store);
    open_again(store);
    let octets = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("the file has {} MiB", octets >> 20);
    let _ = std::fs::remove_file(&path);
}

/// Stores all messages, as many under way as one engine may have.
fn fill(store: &StoreSettings) {
    let thread = StoreThread::start(store.clone(), Arc::new(settings())).expect("it opens");
    let control = thread.control();
    let mut client = StoreThread::client(&control, CoreIndex(0), Waker::noop().clone());
    let pdu = BytesMut::from(&[7; PDU_OCTETS][..]);
    let (mut ordered, mut stored, started_at) = (0, 0, Instant::now());
    while stored < MESSAGES {
        while ordered < MESSAGES && ordered - stored < UNDER_WAY {
            client.order(StoreCommand::Append {
                reference: ordered,
                key: line_of(ordered % DESTINATIONS),
                pdu: pdu.clone(),
            });
            ordered += 1;
        }
        client.send();
        let Some(events) = client.poll() else {
            std::thread::yield_now();
            continue;
        };
        for event in &events {
            assert!(matches!(event, StoreEvent::Stored { .. }), "{event:?}");
        }
        stored += events.len() as u32;
    }
    let took = started_at.elapsed();
    let rate = f64::from(MESSAGES) / took.as_secs_f64();
    let commits = control.report().expect("an answer").commits;
    println!(
        "{MESSAGES} messages of {PDU_OCTETS} octets stored in {took:.2?}: {rate:.0} a second, {commits} commits"
    );
}

/// Opens the file that was closed in order: all is there.
fn open_again(store: StoreSettings) {
    let started_at = Instant::now();
    let thread = StoreThread::start(store, Arc::new(settings())).expect("it opens again");
    println!("opened again in {:.2?}", started_at.elapsed());
    assert_eq!(
        thread.control().report().map(|report| report.messages),
        Ok(u64::from(MESSAGES))
    );
}

fn line_of(destination: u32) -> QueueKey {
    let digits = destination.to_string();
    let address = Address {
        ton: 1,
        npi: 1,
        addr: digits.as_bytes(),
    };
    QueueKey::of_destination(VserverIndex(0), address).expect("an address")
}
