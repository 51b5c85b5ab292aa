//! The message log: a line of JSON for each submit, answer, MO and receipt, and what becomes of the files.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use smppmux_engine::core::wire::{CommandId, Message, Status, udh_8_bit};
use smppmux_tests::PATIENCE;
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{address, deliver_sm, header_only, receipt, response_with_id, submit_sm, written};
use smppmux_tests::peer::Peer;
use smppmux_tests::process::Smppmux;
use smppmux_tests::smsc::{AnsweringSmsc, Smsc};
use tempfile::TempDir;

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The folder of a log.
pub(super) struct Log(pub(super) TempDir);

impl Log {
    pub(super) fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    pub(super) fn section(&self, lines: &str) -> String {
        format!("[message-log]\npath = {:?}\n{lines}", self.0.path())
    }

    pub(super) fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).expect("it is there");
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.contains(".jsonl")).collect();
        // The one that is written is the last: '.' comes before the digits otherwise.
        names.sort_by_key(|name| (name == "messages.jsonl", name.clone()));
        names
    }

    fn text(&self) -> String {
        let read = |name: &String| fs::read_to_string(self.0.path().join(name)).unwrap_or_default();
        self.files().iter().map(read).collect()
    }

    /// All lines, by a real parser.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text[..whole].lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The lines, once there are so many.
    fn wait_for(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines();
            if lines.len() >= count {
                assert_eq!(lines.len(), count, "{lines:#?}");
                return lines;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count}: {lines:#?}",
                lines.len()
            );
            thread::sleep(LOOK);
        }
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["kind"].as_str()).collect()
}

/// The one line of a kind.
fn line<'a>(lines: &'a [Value], kind: &str) -> &'a Value {
    let mut found = lines.iter().filter(|line| line["kind"] == kind);
    let line = found.next().unwrap_or_else(|| panic!("no {kind}: {lines:#?}"));
    assert!(found.next().is_none(), "a second {kind}: {lines:#?}");
    line
}

/// The request and its answers, by the id that joins them.
fn joined<'a>(lines: &'a [Value], kind: &str) -> (&'a Value, Vec<&'a Value>) {
    let request = line(lines, kind);
    let answers = lines.iter().filter(|line| line["kind"] == "answer");
    (
        request,
        answers.filter(|answer| answer["id"] == request["id"]).collect(),
    )
}

#[track_caller]
pub(super) fn check(line: &Value, expected: &[(&str, Value)]) {
    for (key, value) in expected {
        assert_eq!(line[key], *value, "{key} of {line:#}");
    }
}

/// Two engines, one session of the server, and a log.
fn start(log: &Log, lines: &str, rest: impl FnOnce(Configuration) -> Configuration) -> (Smppmux, Peer, Smsc) {
    let smsc = Smsc::start();
    let configuration = Configuration::with_engines(2)
        .server("smsc-a", "0A", smsc.address(), "connections-total = 1")
        .client("alice", "address-ranges = [\"888\"]")
        .section(&log.section(lines));
    let mut smppmux = Smppmux::start(crate::PROGRAM, &rest(configuration));
    let (server, _) = smsc.accept_bound();
    smppmux.wait_for_log("smppmux ready");
    (smppmux, server, smsc)
}

fn alice(smppmux: &Smppmux, engine: usize) -> Esme {
    let request = BindRequest::of("alice").with_range("888").at_engine(engine);
    Esme::bind_with(smppmux.address(), request)
}

/// Submits for a receipt, and has it answered; its number at either side.
fn submit_for_receipt(client: &mut Esme, server: &mut Peer) -> (u32, u32) {
    let number = client.submit_for_receipt("491701234567", "a secret");
    let submitted = server.expect(CommandId::SUBMIT_SM).sequence_number();
    server.send(&response_with_id(CommandId::SUBMIT_SM_RESP, submitted, "77"));
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).message_id(), "77#mx-0A");
    (number, submitted)
}

/// Goal: a submit, its answer and its receipt, with the receipt's answer, wherever the client is bound, have all that billing asks
/// for, joined by ids; and nothing of the text.
#[test]
fn a_message_can_be_followed() {
    for engine in [0, 1] {
        let log = Log::new();
        let (smppmux, mut server, _smsc) = start(&log, "", |configuration| configuration);
        let mut client = alice(&smppmux, engine);
        let (number, submitted) = submit_for_receipt(&mut client, &mut server);
        let mut lines = log.wait_for(2);
        assert_eq!(kinds(&lines), ["submit", "answer"]);
        let (request, answers) = joined(&lines, "submit");
        check(
            request,
            &[
                ("account", "alice".into()),
                ("vserver", "sms".into()),
                ("command", "submit_sm".into()),
                ("sequence_number", number.into()),
                ("source", "1000".into()),
                ("destination", "491701234567".into()),
                ("registered_delivery", 1.into()),
                ("text_octets", 8.into()),
                ("server", Value::Null),
            ],
        );
        check(
            answers[0],
            &[
                ("account", "alice".into()),
                ("server", "smsc-a".into()),
                ("command", "submit_sm_resp".into()),
                ("command_status", "ESME_ROK".into()),
                ("command_status_code", 0.into()),
                ("outcome", "passed".into()),
                ("server_message_id", "77".into()),
                ("client_message_id", "77#mx-0A".into()),
                ("sequence_number", number.into()),
            ],
        );
        let time = |line: &Value| line["time"].as_str().unwrap_or_default().to_owned();
        assert!(time(request) <= time(answers[0]));
        assert!(answers[0]["latency_us"].as_u64() >= answers[0]["far_latency_us"].as_u64());
        // The server's session may be the other engine's, whose numbers this one does not know.
        let far = &answers[0]["far_sequence_number"];
        assert!(*far == Value::Null || *far == submitted, "{far}");

        server.send(&receipt(5, "491701234567", "1000", "77", "DELIVRD"));
        let delivery = client.take_delivery();
        assert_eq!(server.expect(CommandId::DELIVER_SM_RESP).sequence_number(), 5);
        lines = log.wait_for(4);
        let (receipt, answers) = joined(&lines, "receipt");
        check(
            receipt,
            &[
                ("server", "smsc-a".into()),
                ("account", "alice".into()),
                ("server_message_id", "77".into()),
                ("client_message_id", "77#mx-0A".into()),
                ("receipt_state", "DELIVERED".into()),
                ("receipt_is_final", true.into()),
                ("sequence_number", 5.into()),
            ],
        );
        check(
            answers[0],
            &[
                ("account", "alice".into()),
                ("outcome", "passed".into()),
                ("command_status", "ESME_ROK".into()),
                ("far_sequence_number", delivery.sequence_number().into()),
            ],
        );
        assert!(!log.text().contains("secret"));
    }
}

/// Goal: an MO, wherever its client is bound, is told with the account that took it.
#[test]
fn a_delivery_is_told_with_its_account() {
    for engine in [0, 1] {
        let log = Log::new();
        let (smppmux, mut server, _smsc) = start(&log, "", |configuration| configuration);
        let mut client = alice(&smppmux, engine);
        server.send(&deliver_sm(9, "2000", "888123", "a secret"));
        let delivery = client.expect(CommandId::DELIVER_SM);
        let number = delivery.sequence_number();
        client.send(&header_only(
            CommandId::DELIVER_SM_RESP,
            Status::ESME_RX_R_APPN,
            number,
        ));
        assert_eq!(
            server.expect(CommandId::DELIVER_SM_RESP).status(),
            Status::ESME_RX_R_APPN
        );
        let lines = log.wait_for(2);
        let (request, answers) = joined(&lines, "mo");
        check(
            request,
            &[
                ("server", "smsc-a".into()),
                ("source", "2000".into()),
                ("destination", "888123".into()),
                ("sequence_number", 9.into()),
            ],
        );
        check(
            answers[0],
            &[
                ("server", "smsc-a".into()),
                ("account", "alice".into()),
                ("outcome", "passed".into()),
                ("command_status", "ESME_RX_R_APPN".into()),
                ("far_sequence_number", number.into()),
            ],
        );
        assert!(
            answers[0]["far_session"]
                .as_str()
                .is_some_and(|far| far.starts_with(&format!("{engine}-")))
        );
    }
}

/// Goal: what is queued is told as such, and again when it leaves the queue, with what its client said.
#[test]
fn what_waits_in_the_queue_is_told() {
    let log = Log::new();
    let (smppmux, mut server, _smsc) = start(&log, "", |configuration| {
        configuration.queue("store = \"memory\"")
    });
    server.send(&deliver_sm(9, "2000", "888123", "text"));
    assert_eq!(
        server.expect(CommandId::DELIVER_SM_RESP).status(),
        Status::ESME_ROK
    );
    let lines = log.wait_for(2);
    let (_, answers) = joined(&lines, "mo");
    check(
        answers[0],
        &[
            ("outcome", "queued".into()),
            ("command_status", "ESME_ROK".into()),
            ("server", "smsc-a".into()),
            ("account", Value::Null),
        ],
    );
    let mut client = alice(&smppmux, 1);
    client.take_delivery();
    let lines = log.wait_for(4);
    let out = &lines[2];
    check(
        out,
        &[
            ("kind", "mo".into()),
            ("from_queue", true.into()),
            ("destination", "888123".into()),
        ],
    );
    assert_eq!(lines[3]["id"], out["id"]);
    check(
        &lines[3],
        &[("outcome", "passed".into()), ("account", "alice".into())],
    );
}

/// Goal: what nobody has asked for in its time has a line that says so, with its addresses.
#[test]
fn what_ends_in_the_queue_is_told() {
    let log = Log::new();
    let (_smppmux, mut server, _smsc) = start(&log, "", |configuration| {
        configuration.queue("store = \"memory\"\nmax-age = \"1s\"")
    });
    server.send(&deliver_sm(9, "2000", "888123", "text"));
    server.expect(CommandId::DELIVER_SM_RESP);
    let lines = log.wait_for(3);
    check(
        &lines[2],
        &[
            ("kind", "mo".into()),
            ("from_queue", true.into()),
            ("outcome", "expired".into()),
            ("source", "2000".into()),
            ("destination", "888123".into()),
            ("vserver", "sms".into()),
            ("id", Value::Null),
        ],
    );
}

/// The last submit is answered by smppmux itself.
fn refused(log: &Log, told: &mut usize, client: &mut Esme, status: Status, reason: &str) {
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).status(), status);
    *told += 2;
    let lines = log.wait_for(*told);
    let (request, answer) = (&lines[*told - 2], &lines[*told - 1]);
    assert_eq!(request["id"], answer["id"]);
    check(
        answer,
        &[
            ("outcome", "own".into()),
            ("reason", reason.into()),
            ("command_status", status.name().into()),
            ("account", request["account"].clone()),
        ],
    );
}

/// Goal: a submit that never gets to a server has its own answer, and why: no server, a rule, the window, a fault.
#[test]
fn refusals_are_told_with_their_reason() {
    let log = Log::new();
    let rule = "[[route]]\nvservers = [\"sms\"]\ndestination = \"999\"\nreject = \"ESME_RINVDSTADR\"\n";
    let (smppmux, mut server, smsc) = start(&log, "", |configuration| {
        configuration
            .section(rule)
            .vserver("overload = \"throttle\"")
            .client("bob", "window = 1")
    });
    let mut client = alice(&smppmux, 0);
    let mut told = 0;
    client.submit("999123", "text");
    refused(&log, &mut told, &mut client, Status::ESME_RINVDSTADR, "rule");
    let number = client.next_sequence_number();
    client.send(&submit_sm(number, "1000", "", "text"));
    refused(&log, &mut told, &mut client, Status::ESME_RINVDSTADR, "malformed");

    // Where the server's session is, it is known what has become of that.
    let mut bob = Esme::bind_with(smppmux.address(), BindRequest::of("bob").at_engine(0));
    bob.submit("4477", "first");
    server.expect(CommandId::SUBMIT_SM);
    told += 1;
    log.wait_for(told);
    bob.submit("4477", "second");
    refused(&log, &mut told, &mut bob, Status::ESME_RTHROTTLED, "limit");
    // The first one's server is gone, and then there is none.
    drop((server, smsc));
    assert_eq!(
        bob.expect(CommandId::SUBMIT_SM_RESP).status(),
        Status::ESME_RSYSERR
    );
    told += 1;
    let lines = log.wait_for(told);
    check(
        &lines[told - 1],
        &[("reason", "session-lost".into()), ("outcome", "own".into())],
    );
    bob.submit("4477", "third");
    refused(&log, &mut told, &mut bob, Status::ESME_RSYSERR, "no-server");
}

/// Goal: a request that is sent again is told with each try, and has one end.
#[test]
fn another_try_is_told() {
    let log = Log::new();
    let other = Smsc::start();
    let (smppmux, mut first, _smsc) = start(&log, "", |configuration| {
        let lines = "connections-total = 1\npriority = 1";
        configuration
            .vserver("on-throttle = \"retry\"\nmethod = \"priority\"")
            .server("smsc-b", "0B", other.address(), lines)
    });
    let (mut second, _) = other.accept_bound();
    let mut client = alice(&smppmux, 0);
    // The pace of a server that throttles is another server's chance.
    let number = client.submit("4477", "text");
    let submit = first.expect(CommandId::SUBMIT_SM);
    let throttled = header_only(
        CommandId::SUBMIT_SM_RESP,
        Status::ESME_RTHROTTLED,
        submit.sequence_number(),
    );
    first.send(&throttled);
    let again = second.expect(CommandId::SUBMIT_SM);
    second.send(&response_with_id(
        CommandId::SUBMIT_SM_RESP,
        again.sequence_number(),
        "5",
    ));
    assert_eq!(client.expect(CommandId::SUBMIT_SM_RESP).sequence_number(), number);
    let lines = log.wait_for(3);
    let (_, answers) = joined(&lines, "submit");
    check(
        answers[0],
        &[
            ("outcome", "tried-again".into()),
            ("command_status", "ESME_RTHROTTLED".into()),
        ],
    );
    check(
        answers[1],
        &[
            ("outcome", "passed".into()),
            ("server", "smsc-b".into()),
            ("client_message_id", "5#mx-0B".into()),
        ],
    );
}

/// Goal: segments are told with their place; addresses are masked or hashed, and texts told, as a reload says; and a reload can end
/// the log and begin it anew.
#[test]
fn a_reload_changes_the_log() {
    let (log, smsc) = (Log::new(), AnsweringSmsc::start("one"));
    let configuration = Configuration::with_engines(1)
        .server("smsc-a", "0A", smsc.address(), "")
        .client("alice", "");
    let with = |lines: &str| configuration.clone().section(&log.section(lines));
    let mut smppmux = Smppmux::start_ready(crate::PROGRAM, &with(""));
    let mut client = Esme::bind(smppmux.address(), "alice");
    let mut told = 0;
    let mut submit = |log: &Log| {
        let text = [&udh_8_bit(7, 2, 1)[..], b"a secret"].concat();
        let number = client.next_sequence_number();
        let message = Message {
            source: address("1000"),
            destination: address("491701234567"),
            esm_class: 0x40,
            short_message: &text,
            ..Message::default()
        };
        client.send(&written(CommandId::SUBMIT_SM, Status::ESME_ROK, number, &message));
        client.expect(CommandId::SUBMIT_SM_RESP);
        told += 2;
        log.wait_for(told)[told - 2].clone()
    };
    let segment = [
        ("segment_reference", 7.into()),
        ("segment_number", 1.into()),
        ("segment_total", 2.into()),
        ("text_octets", 8.into()),
    ];
    let line = submit(&log);
    check(&line, &segment);
    check(
        &line,
        &[("destination", "491701234567".into()), ("text", Value::Null)],
    );

    reload(&mut smppmux, &with("addresses = \"masked\"\ncontent = \"text\""));
    let line = submit(&log);
    check(&line, &segment);
    check(
        &line,
        &[
            ("destination", "49170*****67".into()),
            ("text", "a secret".into()),
        ],
    );

    let key = "0123456789abcdef";
    let hashed = format!("addresses = \"hashed\"\naddress-key = \"{key}\"");
    reload(&mut smppmux, &with(&hashed));
    let line = submit(&log);
    check(&line, &[("destination", "b63403be0a8c57b00f9c".into())]);

    reload(&mut smppmux, &configuration);
    smppmux.wait_for_log("messages are not logged any more");
    client_is_served(&smppmux);
    let other = Log::new();
    let elsewhere = configuration.clone().section(&other.section("name = \"sms\""));
    reload(&mut smppmux, &elsewhere);
    client_is_served(&smppmux);
    let deadline = Instant::now() + PATIENCE;
    while other.lines().len() < 2 {
        assert!(Instant::now() < deadline, "nothing in the new file");
        thread::sleep(LOOK);
    }
    assert_eq!(log.lines().len(), 6, "what came while the log was off is in none");
    assert_eq!(other.files(), ["sms.jsonl"]);
}

fn reload(smppmux: &mut Smppmux, configuration: &Configuration) {
    smppmux.rewrite(configuration);
    smppmux.signal(Signal::HUP);
    let line = smppmux.wait_for_log("configuration read again");
    let changes = line["changes"].as_str().unwrap_or_default();
    assert!(changes.contains("[message-log] changed"), "{changes}");
}

fn client_is_served(smppmux: &Smppmux) {
    let mut client = Esme::bind(smppmux.address(), "alice");
    assert_eq!(client.submit_and_wait("4477", "text").status(), Status::ESME_ROK);
    client.unbind();
}
