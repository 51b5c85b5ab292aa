//! The store as an engine sees it: what is told, what is kept, what a failing disk does.

use super::backend::{
    Backend, BackendError, Changes, LetterRow, LineKey, OpenBackend, Put, Row, Take, Times,
};
use super::book::Claimants;
use super::durable::DurableBackend;
use super::memory::MemoryBackend;
use super::thread::{Message, StoreClient, StoreThread};
use super::worker::Worker;
use super::{StoreOpenError, StoreSettings};
use crate::core::contract::CoreIndex;
use crate::core::queue::QueueKey;
use crate::core::settings::{EngineSettings, Settings, VserverIndex};
use crate::core::store_message::{Fate, StoreCommand, StoreEvent, StoreRefusal, StoredMessage};
use crate::core::wire::{Address, Status};
use bytes::BytesMut;
use proptest::prelude::*;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn engine_settings() -> Arc<Settings> {
    Arc::new(plain_settings())
}

fn plain_settings() -> Settings {
    let engine = EngineSettings {
        max_pdu_octets: 81_920,
        first_sequence_number: 1,
        drain_timeout: Duration::from_secs(1),
        core_requests_max: 10,
        sessions_max: 10,
        output_octets_max: 65_536,
        server_output_octets_max: 65_536,
        has_queue: true,
        strict_lengths: false,
    };
    let vserver = crate::core::settings::samples::vserver_settings();
    Settings::new(engine, vec![vserver], Vec::new(), Vec::new(), 1)
}

fn store_settings() -> StoreSettings {
    StoreSettings {
        path: None,
        count_max: 1_000,
        octets_max: 1 << 20,
        account_count_max: 1_000,
        account_octets_max: 1 << 20,
        age_max: Duration::from_secs(60),
        dead_letters_max: 3,
    }
}

fn key(digit: u8) -> QueueKey {
    let address = Address {
        ton: 1,
        npi: 1,
        addr: &[b'8', digit],
    };
    QueueKey::of_destination(VserverIndex(0), address).expect("an address")
}

/// An engine's seat at a store.
struct Seat {
    thread: StoreThread,
    client: StoreClient,
    events: Vec<StoreEvent>,
}

impl Seat {
    fn at(open: OpenBackend, settings: StoreSettings) -> Self {
        Self::with_settings(open, settings, engine_settings())
    }

    fn with_settings(open: OpenBackend, store: StoreSettings, settings: Arc<Settings>) -> Self {
        let thread = StoreThread::start_over(open, store, settings).expect("it opens");
        let client = StoreThread::client(&thread.control(), CoreIndex(0), Waker::noop().clone());
        Self {
            thread,
            client,
            events: Vec::new(),
        }
    }

    fn in_memory() -> Self {
        Self::at(Box::new(|| Ok(Box::<MemoryBackend>::default())), store_settings())
    }

    fn order(&mut self, command: StoreCommand) {
        self.client.order(command);
        self.client.send();
    }

    fn event(&mut self) -> StoreEvent {
        let end = Instant::now() + PATIENCE;
        while self.events.is_empty() {
            assert!(Instant::now() < end, "no event");
            match self.client.poll() {
                Some(events) => self.events = events,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        self.events.remove(0)
    }

    /// Appends a message; whether it is kept.
    fn append(&mut self, digit: u8, text: &str) -> Result<(), StoreRefusal> {
        self.order(StoreCommand::Append {
            reference: 7,
            key: key(digit),
            pdu: BytesMut::from(text),
        });
        match self.event() {
            StoreEvent::Stored { reference: 7, .. } => Ok(()),
            StoreEvent::Refused {
                reference: 7, reason, ..
            } => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    fn load(&mut self, digit: u8, after: u64) -> (Vec<StoredMessage>, bool) {
        self.order(StoreCommand::Load {
            key: key(digit),
            after,
            messages_max: 3,
            octets_max: 1_000,
        });
        match self.event() {
            StoreEvent::Loaded { messages, is_end, .. } => (messages, is_end),
            other => panic!("{other:?}"),
        }
    }

    fn remove(&mut self, digit: u8, number: u64, fate: Fate) {
        self.order(StoreCommand::Remove {
            key: key(digit),
            number,
            fate,
        });
    }

    fn texts(&mut self, digit: u8) -> Vec<String> {
        let (messages, _) = self.load(digit, 0);
        let texts = messages
            .iter()
            .map(|message| String::from_utf8_lossy(&message.pdu).into_owned());
        texts.collect()
    }
}

/// Goal: messages come back in their order, by line, as many as were asked for, and what is removed does not.
#[test]
fn lines_keep_their_order() {
    let mut seat = Seat::in_memory();
    for text in ["a", "b", "c", "d"] {
        seat.append(1, text).expect("room");
        seat.append(2, "other").expect("room");
    }
    let (first, is_end) = seat.load(1, 0);
    assert_eq!((first.len(), is_end), (3, false));
    assert!(first.iter().all(|it| it.expires_in > Duration::from_secs(50)));
    seat.remove(1, first[1].number, Fate::Delivered);
    assert_eq!(seat.texts(1), ["a", "c", "d"]);
    let (last, is_end) = seat.load(1, first[2].number);
    assert_eq!((last.len(), is_end), (1, true));
    seat.order(StoreCommand::ListLines { after: None });
    match seat.event() {
        StoreEvent::Lines {
            keys,
            has_more: false,
        } => assert_eq!(keys, [key(1), key(2)]),
        other => panic!("{other:?}"),
    }
}

/// Goal: what a client refused for good is listed, bounded, and comes back behind its line when it is re-driven.
#[test]
fn dead_letters_are_kept_and_redriven() {
    let mut seat = Seat::in_memory();
    for text in ["a", "b", "c", "d", "e"] {
        seat.append(1, text).expect("room");
    }
    for number in 1..=4 {
        seat.remove(1, number, Fate::Refused(Status::ESME_RX_P_APPN));
    }
    let control = seat.thread.control();
    let letters = control.dead_letters(0, 10).expect("an answer");
    let shown: Vec<_> = letters
        .iter()
        .map(|it| (it.number, it.pdu.as_slice(), it.status))
        .collect();
    let status = Status::ESME_RX_P_APPN;
    assert_eq!(
        shown,
        [(2, &b"b"[..], status), (3, b"c", status), (4, b"d", status)],
        "three are kept"
    );
    assert_eq!(control.redrive(Some(3)), Ok(1));
    assert!(matches!(seat.event(), StoreEvent::MoreLines { keys } if keys == [key(1)]));
    assert_eq!(seat.texts(1), ["e", "c"]);
    assert_eq!(control.redrive(None), Ok(2));
    assert!(matches!(seat.event(), StoreEvent::MoreLines { .. }));
    let report = control.report().expect("an answer");
    assert_eq!((report.messages, report.dead_letters, report.buried), (4, 0, 4));
    assert_eq!(control.purge(Some("8\u{1}")), Ok(4));
    assert_eq!(control.report().map(|report| report.messages), Ok(0));
}

/// Goal: the age of the oldest message is told right, also where the line that had it goes on with younger ones.
#[test]
fn the_oldest_message_is_known() {
    const PAUSE: Duration = Duration::from_millis(30);
    let mut seat = Seat::in_memory();
    let control = seat.thread.control();
    let age = || control.report().expect("an answer").oldest_age;
    assert_eq!(age(), Duration::ZERO);
    let mut came = vec![Instant::now()];
    for digit in [1, 2, 1] {
        seat.append(digit, "m").expect("room");
        std::thread::sleep(PAUSE);
        came.push(Instant::now());
    }
    // The message by whose turn it is came between these two moments; it counts in milliseconds.
    for (first, digit, number) in [(0, 1, 1), (1, 2, 2), (2, 1, 3)] {
        let least = came[first + 1].elapsed();
        let told = age();
        let most = came[first].elapsed() + Duration::from_millis(1);
        assert!((least..=most).contains(&told), "{least:?} {told:?} {most:?}");
        seat.remove(digit, number, Fate::Delivered);
    }
    assert_eq!(age(), Duration::ZERO);
}

/// A storage that can be told to fail.
#[derive(Debug)]
struct FailingStorage(Arc<InMemoryBackend>, Arc<AtomicBool>);

impl FailingStorage {
    fn check(&self) -> Result<(), std::io::Error> {
        if self.1.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("the disk is gone"));
        }
        Ok(())
    }
}

impl StorageBackend for FailingStorage {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.0.write(offset, data)
    }
}

/// Goal: after a failed fsync nothing is acknowledged until the file was opened again; then what was acknowledged before is
/// there, what was refused is not, and what a client had taken meanwhile is not delivered again.
#[test]
fn a_failed_fsync_stops_the_acknowledgements() {
    let (storage, fails) = (Arc::new(InMemoryBackend::new()), Arc::new(AtomicBool::new(false)));
    let is_failing = Arc::clone(&fails);
    let open: OpenBackend = Box::new(move || {
        let unusable = |error: BackendError| StoreOpenError::Unusable {
            path: "memory".into(),
            reason: error.to_string(),
        };
        let storage = FailingStorage(Arc::clone(&storage), Arc::clone(&is_failing));
        Ok(Box::new(DurableBackend::over(storage).map_err(unusable)?))
    });
    let mut seat = Seat::at(open, store_settings());
    seat.append(1, "a").expect("room");
    seat.append(1, "b").expect("room");
    fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(seat.append(1, "lost"), Err(StoreRefusal::Failed));
    }
    seat.remove(1, 1, Fate::Delivered);
    assert_eq!(
        seat.thread.control().report().map(|report| report.is_broken),
        Ok(true)
    );
    fails.store(false, Ordering::SeqCst);
    let end = Instant::now() + PATIENCE;
    while seat.append(1, "c").is_err() {
        assert!(Instant::now() < end, "it was not opened again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(seat.texts(1), ["b", "c"]);
    let report = seat.thread.control().report().expect("an answer");
    assert_eq!((report.messages, report.is_broken), (2, false));
}

/// Goal: a message whose time is over before it could be stored is refused as such.
#[test]
fn a_message_without_a_lifetime_is_refused() {
    let settings = StoreSettings {
        age_max: Duration::ZERO,
        ..store_settings()
    };
    let mut seat = Seat::at(Box::new(|| Ok(Box::<MemoryBackend>::default())), settings);
    assert_eq!(seat.append(1, "a"), Err(StoreRefusal::Expired));
}

/// Goal: while messages are logged, one whose time is over is told of, whole and once; what a client took is not, and nothing is
/// while they are not logged.
#[test]
fn a_message_whose_time_is_over_is_told_of() {
    for is_logged in [true, false] {
        let store = StoreSettings {
            age_max: Duration::from_millis(400),
            ..store_settings()
        };
        let settings = plain_settings().with_message_log(is_logged);
        let open: OpenBackend = Box::new(|| Ok(Box::<MemoryBackend>::default()));
        let mut seat = Seat::with_settings(open, store, Arc::new(settings));
        for text in ["taken", "late"] {
            assert_eq!(seat.append(1, text), Ok(()));
        }
        let number = seat.load(1, 0).0[0].number;
        seat.order(StoreCommand::Remove {
            key: key(1),
            number,
            fate: Fate::Delivered,
        });
        let control = seat.thread.control();
        let end = Instant::now() + PATIENCE;
        while control.report().expect("an answer").expired == 0 {
            assert!(Instant::now() < end, "it expires");
            std::thread::sleep(Duration::from_millis(20));
        }
        if is_logged {
            assert!(
                matches!(seat.event(), StoreEvent::Expired { key: Some(of), pdu } if of == key(1) && pdu == "late")
            );
        }
        assert!(seat.client.poll().is_none_or(|events| events.is_empty()));
    }
}

/// Goal: a message that comes while an older one of its line expires still expires in its own time.
#[test]
fn a_message_that_comes_during_a_sweep_expires() {
    const AGE: Duration = Duration::from_millis(30);
    let store = StoreSettings {
        age_max: AGE,
        ..store_settings()
    };
    let (settings, (_messages, received)) = (engine_settings(), std::sync::mpsc::channel());
    let claimants = Claimants::new(&store, &settings, 0);
    let open: OpenBackend = Box::new(|| Ok(Box::<MemoryBackend>::default()));
    let mut worker = Worker::open(open, store, settings, claimants, received).expect("it opens");
    for text in ["old", "new"] {
        let append = StoreCommand::Append {
            reference: 7,
            key: key(1),
            pdu: BytesMut::from(text),
        };
        worker.take(Message::Commands(CoreIndex(0), vec![append]));
        worker.end_round();
        std::thread::sleep(AGE * 2);
    }
    worker.end_round();
    assert_eq!((worker.report.expired, worker.book.total.count), (2, 0));
}

fn put(line: u8, number: u64) -> Put {
    Put {
        key: LineKey::from([line]),
        number,
        times: Times {
            arrived_ms: number,
            expires_ms: number + 10,
        },
        pdu: BytesMut::from(format!("{line} {number}").as_bytes()),
    }
}

/// PDUs by line and number.
type Rows = BTreeMap<(Vec<u8>, u64), Vec<u8>>;

/// All that a backend has.
fn contents(backend: &dyn Backend) -> (Rows, Vec<LetterRow>) {
    let (mut rows, mut letters) = (BTreeMap::new(), Vec::new());
    let mut show = |key: &[u8], row: Row<'_>| {
        rows.insert((key.to_vec(), row.number), row.pdu.to_vec());
    };
    backend.scan(&mut show).expect("readable");
    let mut show = |letter| {
        letters.push(letter);
        true
    };
    backend.letters(0, &mut show).expect("readable");
    (rows, letters)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Goal: the file behaves like the memory, whatever goes in and out, also after it was closed and opened again.
    #[test]
    fn the_file_is_like_the_memory(
        batches in proptest::collection::vec(proptest::collection::vec((0..3_u8, any::<bool>(), any::<bool>(), 0..12_u64), 1..8), 1..8),
    ) {
        let folder = std::env::temp_dir().join(format!("smppmux-store-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("like-memory.redb");
        let _ = std::fs::remove_file(&path);
        let mut memory = MemoryBackend::default();
        let mut next = 0;
        for batch in batches {
            let mut changes = Changes::default();
            for (line, goes_in, is_letter, pick) in batch {
                if goes_in {
                    next += 1;
                    changes.puts.push(put(line, next));
                } else {
                    let buried = is_letter.then_some((8, 9));
                    changes.takes.push(Take { key: LineKey::from([line]), number: pick, buried, is_shown: pick % 2 == 0 });
                    changes.forgotten_letters.extend((pick == 0).then_some(next / 2));
                }
            }
            let mut file = DurableBackend::open(&path).expect("it opens");
            let is_in_use = matches!(DurableBackend::open(&path), Err(StoreOpenError::InUse { .. }));
            prop_assert!(is_in_use);
            prop_assert_eq!(file.commit(&changes).expect("it commits"), memory.commit(&changes).expect("always"));
            prop_assert_eq!(contents(&file), contents(&memory));
            for line in 0..3 {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                let ends = (
                    file.load(&[line], 3, &mut |row| { one.push(row.number); one.len() < 2 }).expect("readable"),
                    memory.load(&[line], 3, &mut |row| { other.push(row.number); other.len() < 2 }).expect("always"),
                );
                prop_assert_eq!((one, ends.0), (other, ends.1));
            }
        }
        let _ = std::fs::remove_dir_all(&folder);
    }
}
