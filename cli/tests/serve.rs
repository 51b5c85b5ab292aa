//! The built binary as a server: it says when it is ready, and a signal ends it in an orderly way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

const BIND_TRANSCEIVER: u32 = 9;
const SUBMIT_SM: u32 = 4;
const RESPONSE: u32 = 0x8000_0000;

/// A running `smppmux serve` and its log.
struct Server {
    child: Child,
    log: Receiver<String>,
}

impl Server {
    fn start(listen: SocketAddr, server: SocketAddr, more: &[&str]) -> Self {
        let (listen, server) = (listen.to_string(), server.to_string());
        let mut child = Command::new(env!("CARGO_BIN_EXE_smppmux"))
            .args(["serve", "--cores", "0", "--listen", &listen, "--server", &server])
            .args(["--client", "esme1:secret"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, log }
    }

    /// Waits for a line that contains `text`.
    fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .log
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no line with {text:?} came"));
            if line.contains(text) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status()
            .expect("there is a shell");
        assert!(status.success());
    }

    fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended in tests that pass.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn pdu(command: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("short");
    let mut pdu: Vec<u8> = [length, command, 0, sequence]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect();
    pdu.extend(body);
    pdu
}

/// The next PDU's command_id, command_status and sequence_number; `None` at the end of the stream.
fn read_pdu(stream: &mut TcpStream) -> Option<(u32, u32, u32)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    let field = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four octets"));
    let mut body = vec![0; field(0) as usize - 16];
    stream.read_exact(&mut body).ok()?;
    Some((field(4), field(8), field(12)))
}

/// An SMSC that answers everything; a submit_sm only after `answer_after`, and not at all for `None`. It
/// tells of each submit_sm.
fn smsc(answer_after: Option<Duration>) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (sender, submits) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let submits = sender.clone();
            thread::spawn(move || answer_all(stream, answer_after, &submits));
        }
    });
    (address, submits)
}

fn answer_all(mut stream: TcpStream, answer_after: Option<Duration>, submits: &Sender<()>) {
    while let Some((command, _, sequence)) = read_pdu(&mut stream) {
        if command == SUBMIT_SM {
            let _ = submits.send(());
            let Some(pause) = answer_after else { continue };
            thread::sleep(pause);
        }
        if command & RESPONSE == 0 {
            let body: &[u8] = if matches!(command, SUBMIT_SM | BIND_TRANSCEIVER) {
                b"id\0"
            } else {
                b""
            };
            let _ = stream.write_all(&pdu(command | RESPONSE, sequence, body));
        }
    }
}

/// A client that has bound and submitted one message.
fn submitting_client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("smppmux listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time-out");
    stream
        .write_all(&pdu(BIND_TRANSCEIVER, 1, b"esme1\0secret\0\0\x34\0\0\0"))
        .expect("connected");
    assert_eq!(read_pdu(&mut stream), Some((BIND_TRANSCEIVER | RESPONSE, 0, 1)));
    let body = b"\0\x01\x01100\0\x01\x01200\0\0\0\0\0\0\0\0\0\0\x02hi";
    stream.write_all(&pdu(SUBMIT_SM, 7, body)).expect("connected");
    stream
}

/// Goal: a taken port is told and exits 69.
#[test]
fn a_taken_port_exits_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let mut server = Server::start(address, free_address(), &[]);
    server.wait_for("is taken");
    assert_eq!(server.end().code(), Some(69));
}

/// Goal: without a server it gets ready all the same, in JSON too, and SIGTERM ends it with 0.
#[test]
fn it_gets_ready_without_servers() {
    let mut server = Server::start(free_address(), free_address(), &["--log-format", "json"]);
    server.wait_for("\"message\":\"smppmux ready\"");
    server.signal("HUP");
    server.wait_for("there is no file to read again");
    server.signal("TERM");
    assert_eq!(server.end().code(), Some(0));
}

/// Goal: a drain waits for the answer that is due, the client gets it, and the exit code is 0.
#[test]
fn a_drain_waits_for_answers() {
    let (smsc, submits) = smsc(Some(Duration::from_secs(1)));
    let listen = free_address();
    let mut server = Server::start(listen, smsc, &[]);
    server.wait_for("smppmux ready");
    let mut client = submitting_client(listen);
    submits.recv_timeout(LIMIT).expect("the SMSC gets the message");
    server.signal("INT");
    assert_eq!(read_pdu(&mut client), Some((SUBMIT_SM | RESPONSE, 0, 7)));
    drop(client);
    assert_eq!(server.end().code(), Some(0));
}

/// Goal: a second signal ends at once, and the exit code tells that a message was under way.
#[test]
fn a_second_signal_ends_at_once() {
    let (smsc, submits) = smsc(None);
    let listen = free_address();
    let mut server = Server::start(listen, smsc, &[]);
    server.wait_for("smppmux ready");
    let _client = submitting_client(listen);
    submits.recv_timeout(LIMIT).expect("the SMSC gets the message");
    server.signal("TERM");
    server.wait_for("draining");
    let second = Instant::now();
    server.signal("TERM");
    assert_eq!(server.end().code(), Some(75));
    assert!(
        second.elapsed() < Duration::from_secs(5),
        "{:?}",
        second.elapsed()
    );
}
