//! Clients that submit and do not read what they are answered.
//!
//! The kernel takes as little of it as it can be brought to, so that the rest is smppmux's to hold.

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::{Configuration, PASSWORD};
use smppmux_tests::esme::Esme;
use smppmux_tests::pdu::{bind, submit_sm};
use smppmux_tests::peer::{Peer, Received};
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::AnsweringSmsc;
use socket2::{Domain, Socket, Type};

use crate::measure::{peak_kib, resident_kib};
use crate::{PROGRAM, alone, is_long, tell};

const OUTPUT_BUFFER_KIB: u64 = 64;
/// By default.
const READ_BUFFER_KIB: u64 = 64;
/// So long after it was last read from a client is given up that does not read. Until it notices that, the kernel takes some more
/// of its submits: that time is in it too.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_secs(6);
/// Of each client's sockets; the kernel makes somewhat more of it.
const KERNEL_BUFFER_OCTETS: usize = 8 * 1024;
/// Small segments, for which the kernel keeps small buffers on the other side too.
const SEGMENT_OCTETS: u32 = 536;
/// As long as an id may be that still fits a tag: long ids make long answers.
const SMSC: &str = "a-message-centre-that-gives-long-message-ids";
/// So many submits at once, then a pause: the crowd is to fill its outputs, not the SMSC's windows.
const BATCH: usize = 100;
const PAUSE_PER_CLIENT: Duration = Duration::from_millis(1);
/// Several times of what fills an output and all that the kernel has: who gets so many away is not stopped at all.
const SUBMITS_MAX: usize = 50_000;
/// A write that gets no octet away for so long tells that smppmux reads no more.
const BLOCKED_AFTER: Duration = Duration::from_secs(3);

/// A client that submits, and how much of it the connection took.
struct Flood {
    stream: TcpStream,
    submits: Vec<u8>,
    submit_octets: usize,
    written_octets: usize,
    pause: Duration,
}

/// Why a flood stopped.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Blocked,
    Closed,
    Never,
}

impl Flood {
    fn bind(address: SocketAddr, pause: Duration) -> (Self, Peer) {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a file descriptor");
        socket
            .set_recv_buffer_size(KERNEL_BUFFER_OCTETS)
            .expect("an option of TCP");
        socket
            .set_send_buffer_size(KERNEL_BUFFER_OCTETS)
            .expect("an option of TCP");
        socket.set_tcp_mss(SEGMENT_OCTETS).expect("an option of TCP");
        socket
            .connect_timeout(&address.into(), PATIENCE)
            .expect("smppmux listens");
        let mut peer = Peer::new(socket.try_clone().expect("a file descriptor").into());
        let account = ("esme1", PASSWORD);
        peer.send(&bind(CommandId::BIND_TRANSCEIVER, 1, account, Version::V34, ""));
        assert_eq!(
            peer.expect(CommandId::BIND_TRANSCEIVER_RESP).status(),
            Status::ESME_ROK
        );
        let stream: TcpStream = socket.into();
        stream.set_write_timeout(Some(BLOCKED_AFTER)).expect("not zero");
        let submit = submit_sm(2, "1000", "4477", "unread");
        let flood = Self {
            stream,
            submit_octets: submit.len(),
            submits: submit.repeat(BATCH),
            written_octets: 0,
            pause,
        };
        (flood, peer)
    }

    /// Submits until the connection takes nothing more.
    fn run(&mut self) -> Stop {
        loop {
            let from = self.written_octets % self.submits.len();
            match self.stream.write(&self.submits[from..]) {
                Ok(octets) => self.written_octets += octets,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Stop::Blocked;
                }
                Err(_) => return Stop::Closed,
            }
            if self.written_octets.is_multiple_of(self.submits.len()) {
                sleep(self.pause);
            }
            if self.submits() > SUBMITS_MAX {
                return Stop::Never;
            }
        }
    }

    /// Whole submits so far, the one that is being written included.
    const fn submits(&self) -> usize {
        self.written_octets.div_ceil(self.submit_octets)
    }

    /// The rest of the submit that is being written.
    fn rest(&self) -> &[u8] {
        let rest = (self.submit_octets - self.written_octets % self.submit_octets) % self.submit_octets;
        &self.submits[self.submit_octets - rest..self.submit_octets]
    }
}

/// Never reads: whether it was stopped before it was closed, the submits that were taken, and how long it stood still.
fn run_to_the_end(address: SocketAddr, pause: Duration) -> (usize, Duration) {
    let (mut flood, _peer) = Flood::bind(address, pause);
    assert_eq!(
        flood.run(),
        Stop::Blocked,
        "it is not read from any more, for a while"
    );
    let start = Instant::now();
    let end = loop {
        match flood.run() {
            Stop::Blocked => assert!(start.elapsed() < PATIENCE, "neither read from nor closed"),
            end => break end,
        }
    };
    assert_eq!(end, Stop::Closed);
    (flood.submits(), start.elapsed() + BLOCKED_AFTER)
}

/// Reads when nothing more is taken: the submits that were taken, and how many of them were throttled.
fn run_and_read_late(address: SocketAddr, pause: Duration) -> (usize, usize) {
    let (mut flood, mut peer) = Flood::bind(address, pause);
    assert_eq!(
        flood.run(),
        Stop::Blocked,
        "it is not read from any more, for a while"
    );
    let (submits, mut throttled) = (flood.submits(), 0);
    thread::scope(|scope| {
        // It goes out when there is room again, which our reading makes.
        scope.spawn(|| {
            let stream = &mut &flood.stream;
            stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
            stream.write_all(flood.rest()).expect("it reads again");
        });
        for number in 0..submits {
            match peer.receive_within(PATIENCE) {
                Received::Pdu(answer) if answer.status() == Status::ESME_RTHROTTLED => throttled += 1,
                Received::Pdu(answer) => assert_eq!(answer.status(), Status::ESME_ROK),
                other => panic!("{other:?} instead of answer {number} of {submits}"),
            }
        }
    });
    peer.send(&submit_sm(3, "1000", "4477", "reads again"));
    let answer = peer.expect(CommandId::SUBMIT_SM_RESP);
    assert_eq!((answer.sequence_number(), answer.status()), (3, Status::ESME_ROK));
    (submits, throttled)
}

/// Good submits of a neighbour until something is over: how many, and how long the longest took.
fn submit_until(neighbour: &mut Esme, is_over: impl Fn() -> bool) -> (u32, Duration) {
    let (mut calm, mut longest) = (0, Duration::ZERO);
    while !is_over() {
        let sent_at = Instant::now();
        let answer = neighbour.submit_and_wait("4477", "calm");
        assert_eq!(
            answer.status(),
            Status::ESME_ROK,
            "submit {calm} of the neighbour"
        );
        longest = longest.max(sent_at.elapsed());
        calm += 1;
        sleep(Duration::from_millis(20));
    }
    (calm, longest)
}

fn joined<T>(clients: Vec<thread::JoinHandle<T>>) -> Vec<T> {
    let outcomes = clients.into_iter().map(|client| client.join().expect("no panic"));
    outcomes.collect()
}

/// Goal: what clients do not read costs smppmux no more than their output buffers, and nobody else anything. Method: one half
/// never reads, the other half when it is stopped. `docs/SECURITY.md` says what happens to them: their requests are throttled,
/// then they are not read from, then they are closed.
#[test]
fn answers_that_nobody_reads_have_a_limit() {
    let _alone = alone();
    let crowd: u64 = if is_long() { 100 } else { 40 };
    let pause = PAUSE_PER_CLIENT * u32::try_from(crowd).expect("few");
    let smsc = AnsweringSmsc::start(SMSC);
    let configuration = Configuration::with_engines(2)
        .engine(&format!(
            "max-pdu = 8192\noutput-buffer = \"{OUTPUT_BUFFER_KIB}KiB\""
        ))
        .vserver(&format!("response-timeout = \"{}s\"", RESPONSE_TIMEOUT.as_secs()))
        .server("smsc", "0A", smsc.address(), "window = 65535")
        .client("esme1", "window = 65535");
    let mut smppmux = Smppmux::start_ready(PROGRAM, &configuration);
    let address = smppmux.address();
    let mut neighbour = Esme::bind(address, "esme1");
    let start_kib = resident_kib(smppmux.process_id());
    // Of each client twice the limit, since buffers grow by doubling, and what the last read took; then something for connections
    // and for the windows of the two server sessions, of 65,535 requests each.
    let bound_kib = start_kib + (2 * OUTPUT_BUFFER_KIB + READ_BUFFER_KIB) * crowd + (32 << 10);
    let never: Vec<_> = (0..crowd / 2)
        .map(|_| thread::spawn(move || run_to_the_end(address, pause)))
        .collect();
    let late: Vec<_> = (0..crowd / 2)
        .map(|_| thread::spawn(move || run_and_read_late(address, pause)))
        .collect();
    let (calm, longest) = submit_until(&mut neighbour, || {
        never.iter().all(thread::JoinHandle::is_finished) && late.iter().all(thread::JoinHandle::is_finished)
    });
    let peak_kib = peak_kib(smppmux.process_id());
    let (never, late) = (joined(never), joined(late));
    // The log leaves lines out where there are many. That each was closed they have seen themselves; for what, it tells.
    while smppmux.wait_for_log("client gone")["reason"] != "the peer does not read what it is sent" {}
    let stood_still = never.iter().map(|(_, time)| *time).max().unwrap_or_default();
    let least_throttled = late.iter().map(|(_, throttled)| *throttled).min();
    let submits_of_never = never.iter().map(|(submits, _)| *submits);
    let submits: usize = submits_of_never
        .chain(late.iter().map(|(submits, _)| *submits))
        .sum();
    tell(
        "clients that submit and do not read their answers",
        &format!(
            "throttled, then not read from, then closed after the response-timeout ({} s); one that reads again gets one answer for \
             each submit and goes on; at most {} MiB in all; a neighbour is served",
            RESPONSE_TIMEOUT.as_secs(),
            bound_kib >> 10
        ),
        &format!(
            "{crowd} clients, output-buffer {OUTPUT_BUFFER_KIB} KiB, {submits} submits: the {} that never read were closed, at \
             most {:.1} s after nothing more was taken; the {} that read late had {} throttled or more each; {} MiB at the start, peak \
             {} MiB; the neighbour's {calm} submits were good, and took {} ms at most",
            never.len(),
            stood_still.as_secs_f64(),
            late.len(),
            least_throttled.unwrap_or_default(),
            start_kib >> 10,
            peak_kib >> 10,
            longest.as_millis(),
        ),
    );
    assert!(stood_still < RESPONSE_TIMEOUT + SLACK, "{stood_still:?}");
    assert!(least_throttled > Some(0));
    // Else it was the kernel that held the answers, and nothing was tried.
    assert!(
        peak_kib > start_kib + OUTPUT_BUFFER_KIB / 2 * crowd,
        "{peak_kib} KiB"
    );
    assert!(peak_kib < bound_kib, "{peak_kib} KiB");
    assert!(calm > 0 && longest < SLACK, "{longest:?}");
}
