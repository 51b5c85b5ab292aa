//! Wrong files and what is said about them, with the exact place.

use super::problem::Source;
use super::{Configuration, Settled, settle};
use smppmux_engine::core::settings::{Connections, VserverIndex};

/// A file that is right: the lines that every case adds to or replaces.
const VSERVER: &str = "[[vserver]]\nname = \"sms\"\nlisten = [\"127.0.0.1:2775\"]\n";
const SERVER: &str =
    "[[server]]\nname = \"a\"\nuid = \"0A\"\naddress = \"h:1\"\nsystem-id = \"mux\"\npassword = \"x\"\n";
const CLIENT: &str = "[[client]]\nsystem-id = \"esme1\"\npassword = \"x\"\n";

fn settled(text: &str) -> Result<Settled, Vec<super::problem::Problem>> {
    Configuration::parse(text).map(|(configuration, problems)| settle(&configuration, problems, &[0, 1]))
}

/// `line:column: message` of each problem, in order.
fn complaints(text: &str) -> Vec<String> {
    let source = Source {
        name: "f".into(),
        text: text.into(),
    };
    let problems = settled(text).map_or_else(|problems| problems, |settled| settled.problems);
    let all = source.describe_all(&problems);
    all.lines()
        .filter_map(|line| line.strip_prefix("f:").map(str::to_owned))
        .collect()
}

fn good() -> String {
    format!("{VSERVER}{SERVER}{CLIENT}")
}

/// Goal: a small file is enough; everything else has a default.
#[test]
fn defaults_are_enough() {
    let settled = settled(&good()).expect("this is TOML");
    assert_eq!((settled.problems, settled.warnings), (vec![], vec![]));
    let effective = settled.effective.expect("there is no problem");
    let server = &effective.settings.servers[0];
    assert_eq!(server.connections, Connections::PerCore(1));
    assert_eq!(server.mobile_originated_vserver, Some(VserverIndex(0)));
    assert_eq!(effective.settings.vservers[0].servers.len(), 1);
    assert_eq!(effective.process.shell.cpus, [0, 1]);
}

/// Goal: more may wait for servers where one has a large window, within limits, and what is written counts, but not below what clients
/// have.
#[test]
fn what_waits_for_servers_follows_their_windows() {
    const MIB: usize = 1 << 20;
    for (engine, expected) in [
        ("window = 1000", MIB),
        ("window = 8192", 2 * MIB),
        ("window = 65535", 8 * MIB),
        ("output-buffer = \"16MiB\"", 16 * MIB),
        ("window = 65535\nserver-output-buffer = \"2MiB\"", 2 * MIB),
        ("server-output-buffer = \"64KiB\"", MIB),
    ] {
        let settled = settled(&format!("{}\n[engine]\n{engine}", good())).expect("this is TOML");
        let effective = settled
            .effective
            .unwrap_or_else(|| panic!("{engine}: {:?}", settled.problems));
        let limit = effective.settings.engine.server_output_octets_max;
        assert_eq!(limit, expected, "{engine}");
    }
}

/// Lines behind a right file, from line 13 on, and what is said of them.
const MISTAKES: &[(&str, &[&str])] = &[
    ("widnow = 10", &["13:1: unknown key `widnow` in [[client]]"]),
    (
        "window = \"10\"",
        &["13:10: `window`: found text \"10\", expected a whole number from 0 to 4294967295"],
    ),
    (
        "window = 0",
        &["13:10: `window` is 0; it must be from 1 to 65535"],
    ),
    (
        "window = ",
        &["13:10: string values must be quoted, expected literal string"],
    ),
    ("password = \"y\"", &["13:1: duplicate key"]),
    (
        "window = 1\nallow = [\"10.0.0.0/8\", \"10/8\"]\nbind = [\"both\"]",
        &[
            "14:24: `allow`: \"10/8\" is not a network like \"10.0.0.0/8\"",
            "15:9: `bind`: \"both\" is not one of transmitter, receiver, transceiver",
        ],
    ),
    ("servers = [\"a\", \"b\"]", &["13:17: there is no server \"b\""]),
    (
        "servers = [\"a\", \"a\"]",
        &["13:17: server \"a\" is listed twice"],
    ),
    ("vservers = [\"smss\"]", &["13:13: there is no vserver \"smss\""]),
    (
        "burst = 5",
        &["13:9: `burst` needs `rate`: it says how far the rate may be exceeded"],
    ),
    (
        "[[client]]\nsystem-id = \"esme1\"\npassword = \"y\"",
        &["14:13: the system-id \"esme1\" is used twice"],
    ),
    (
        "[[client]]\nsystem-id = \"e2\"",
        &["13:1: [[client]] has no `password`"],
    ),
    (
        "[[vserver]]\nname = \"sms\"\nlisten = [\"127.0.0.1:2775\"]\nservers = []",
        &[
            "14:8: the vserver name \"sms\" is used twice",
            "15:11: the listen address \"127.0.0.1:2775\" is used twice",
            "16:11: this vserver has no server behind it",
        ],
    ),
    (
        "[[vserver]]\nname = \"b\"\nlisten = []\ntls-listen = [\"127.0.0.1:2775\"]\nservers = [\"a\"]",
        &[
            "4:1: 2 vservers list the server \"a\", so it must say whose clients get its messages",
            "16:14: `tls-listen` needs a certificate and its key: there are 0 in `tls-certificate` and 0 in `tls-key`",
            "16:15: the listen address \"127.0.0.1:2775\" is used twice",
        ],
    ),
    (
        "[[vserver]]\nname = \"b\"\nlisten = [\"127.0.0.1:2776\"]",
        &["4:1: 2 vservers list the server \"a\", so it must say whose clients get its messages"],
    ),
    (
        "[engine]\nrss-bits = 8",
        &["14:12: `rss-bits` is 8; it must be from 1 to 7"],
    ),
    (
        "[engine]\nrebalance-interval = \"1ms\"\nrebalance-threshold = 4",
        &[
            "14:22: `rebalance-interval` is 1ms; it must be from 100ms to 1h",
            "15:23: `rebalance-threshold` is 4; it must be from 5 to 1000",
        ],
    ),
    (
        "[engine]\nmax-pdu = 1000000",
        &[
            "14:11: `output-buffer` (1048576) must be at least twice `max-pdu` (1000000), so that a large PDU does not fill it alone",
        ],
    ),
    (
        "[engine]\npins = [\"listener:x=0\", \"10.0.0.0/8=7\"]",
        &[
            "14:9: there is no vserver \"x\"",
            "14:25: the pin names engine 7, but they are numbered 0 to 1",
        ],
    ),
    (
        "[queue]\naccount-max-bytes = 5\npath = \"\"",
        &[
            "14:21: `account-max-bytes` is 5; it must be from 1024 to 1125899906842624",
            "15:8: `path` is empty; it names the queue's file",
        ],
    ),
    (
        "[[route]]\ndirection = \"mo\"\nvendor-commands = true",
        &["15:19: vendor commands of servers need `to-client`: nothing in them says whose they are"],
    ),
    (
        "[[route]]\ndirection = \"mo\"\nto-client = \"esme1\"",
        &["15:13: `to-client` is for `vendor-commands`: a message goes by its destination"],
    ),
    (
        "[[route]]\nvendor-commands = true\nto-client = \"esme1\"",
        &["15:13: `to-client` means nothing with direction = \"mt\""],
    ),
    (
        "[[route]]\ndirection = \"mo\"\nvendor-commands = true\nto-client = \"nobody\"",
        &["16:13: there is no client \"nobody\""],
    ),
    ("[[engine]]", &["13:1: this must be a table, not array"]),
    ("[server.x]", &["13:9: unknown key `x` in [[server]]"]),
    ("[quue]", &["13:2: unknown section `quue`"]),
];

/// Goal: each kind of mistake is told at its place.
#[test]
fn mistakes_are_told_at_their_place() {
    for (added, expected) in MISTAKES {
        assert_eq!(complaints(&format!("{}{added}\n", good())), *expected, "{added}");
    }
}

/// Goal: the relations of limits are checked, and the key that somebody set is blamed.
#[test]
fn relations_of_limits_are_checked() {
    for (vserver, server, expected) in [
        (
            "hold-time = \"10s\"\n",
            "",
            "4:13: `hold-time` (10s) must be shorter than the vserver's `response-timeout` (10s)",
        ),
        (
            "",
            "response-timeout = \"1s\"\n",
            "10:20: the vserver's `hold-time` (2s) must be shorter than the `response-timeout` (1s) of the servers behind it",
        ),
        (
            "",
            "reconnect-min = \"1min\"\n",
            "10:17: `reconnect-min` (1min) is longer than `reconnect-max` (30s)",
        ),
        (
            "",
            "slow-start = \"25h\"\n",
            "10:14: `slow-start` is 25h; it must be from 0s to 1d",
        ),
        (
            "",
            "eject-min = \"10min\"\n",
            "10:13: `eject-min` (10min) is longer than `eject-max` (5min)",
        ),
        (
            "",
            "eject-errors = 101\n",
            "10:16: `eject-errors` is 101; it must be from 0 to 100",
        ),
        (
            "",
            "eject-rise = 0\n",
            "10:14: `eject-rise` is 0; it must be from 1 to 1000",
        ),
        (
            "eject-limit = 200\n",
            "",
            "4:15: `eject-limit` is 200; it must be from 0 to 100",
        ),
        (
            "",
            "connections-total = 1\nconnections = 2\n",
            "11:15: `connections` (per core) and `connections-total` (on all cores) exclude each other",
        ),
        (
            "",
            "addresses = [\"h:2\"]\n",
            "10:13: `address` and `addresses` exclude each other",
        ),
        (
            "message-id = \"signed\"\n",
            "",
            "4:14: `message-id = \"signed\"` needs a `message-id-key`",
        ),
        (
            "timeout-status = \"ESME_ROK\"\n",
            "",
            "4:18: `timeout-status` must be an error: ESME_ROK would tell the client that its message was taken",
        ),
    ] {
        let text = format!("{VSERVER}{vserver}{SERVER}{server}{CLIENT}");
        assert_eq!(complaints(&text), [expected], "{text}");
    }
}

/// Goal: a listener for a server's own connections is not open to everybody, has an address of its own, and keys without it are
/// blamed; what is right comes to what was asked for.
#[test]
fn outbind_is_checked() {
    let listen = "outbind-listen = \"127.0.0.1:2779\"\n";
    for (server, vserver, expected) in [
        (
            listen.to_owned(),
            "",
            "10:18: whoever connects to `outbind-listen` would be told this server's `system-id` and `password`",
        ),
        (
            "outbind-password = \"x\"\n".into(),
            "",
            "10:20: `outbind-password` needs `outbind-listen`",
        ),
        (
            "outbind-listen = \"127.0.0.1:0\"\noutbind-password = \"x\"\n".into(),
            "",
            "10:18: `outbind-listen` needs a port: the server must know it",
        ),
        (
            "outbind-listen = \"127.0.0.1:2775\"\noutbind-password = \"x\"\n".into(),
            "",
            "10:18: the listen address \"127.0.0.1:2775\" is used twice",
        ),
        (
            format!("{listen}outbind-password = \"x\"\noutbind-connections = 0\n"),
            "",
            "12:23: `outbind-connections` is 0; it must be from 1 to 1000",
        ),
        (
            format!("{listen}outbind-password = \"x\"\n"),
            "auth = \"forward\"\n",
            "11:18: `outbind-listen` needs a vserver with `auth = \"local\"` for the server's messages",
        ),
    ] {
        let text = format!("{VSERVER}{vserver}{SERVER}{server}{CLIENT}");
        assert_eq!(complaints(&text), [expected], "{text}");
    }
    let text = format!("{VSERVER}{SERVER}{listen}outbind-allow = [\"192.0.2.0/24\"]\n{CLIENT}");
    let settled = settled(&text).expect("this is TOML");
    let effective = settled.effective.expect("it is right");
    let server = &effective.settings.servers[0];
    let outbind = server.outbind.as_ref().expect("it is asked for");
    assert_eq!((outbind.allow.len(), outbind.connections), (1, 4));
    let (_, words) = effective.binds(server);
    assert!(
        words.ends_with("and up to 4 on each core that it opens itself"),
        "{words}"
    );
}

/// Goal: a secret that is no text is not repeated.
#[test]
fn secrets_are_not_repeated() {
    let told = complaints(&format!("{VSERVER}{SERVER}outbind-password = 31337\n{CLIENT}"));
    assert_eq!(
        told,
        ["10:20: `outbind-password`: the value must be text in quotes"]
    );
}

/// Goal: nobody gets plain SMPP, or clients without certificates, where the file speaks of TLS; what nobody can do is warned of.
#[test]
fn tls_is_not_dropped_without_a_word() {
    for (vserver, expected) in [
        (
            "tls-certificate = [\"c\"]",
            "4:19: `tls-certificate` needs `tls-listen`",
        ),
        ("tls-key = [\"k\"]", "4:11: `tls-key` needs `tls-listen`"),
        (
            "tls-client-ca = \"ca\"",
            "4:17: `tls-client-ca` needs `tls-listen`",
        ),
        (
            "tls-client-required = true",
            "4:23: `tls-client-required` needs `tls-listen`",
        ),
        (
            "tls-minimum-version = \"1.3\"",
            "4:23: `tls-minimum-version` needs `tls-listen`",
        ),
    ] {
        let text = format!("{VSERVER}{vserver}\n{SERVER}{CLIENT}");
        assert_eq!(complaints(&text), [expected], "{text}");
    }
    let listen = "tls-listen = [\"127.0.0.1:3550\"]\ntls-client-required = true\n";
    let told = complaints(&format!("{VSERVER}{listen}{SERVER}{CLIENT}"));
    let expected = "5:23: `tls-client-required` needs `tls-client-ca`";
    assert!(told.iter().any(|told| told == expected), "{told:?}");
    let listen = listen.replace("true", "false");
    let told = complaints(&format!("{VSERVER}{listen}{SERVER}{CLIENT}"));
    assert!(!told.iter().any(|told| told.contains("client")), "{told:?}");

    let text = format!("{}certificate-names = [\"esme1.example.net\"]\n", good());
    let settled = settled(&text).expect("this is TOML");
    assert!(settled.effective.is_some());
    let words =
        "the account can never bind: none of its vservers asks clients for a certificate (`tls-client-ca`)";
    let warned: Vec<&str> = settled.warnings.iter().map(|warning| &*warning.message).collect();
    assert_eq!(warned, [words]);
}

/// Goal: keys without effect are warned of once each, and are no error; those that have one are not warned of.
#[test]
fn keys_without_effect_are_warned_of() {
    let text = format!(
        "{VSERVER}{SERVER}{CLIENT}rate = 5\n[receipts]\nstore = \"durable\"\n[engine]\ndistribution = \"account\"\n\
         rebalance = \"auto\"\n"
    );
    let settled = settled(&text).expect("this is TOML");
    assert!(settled.effective.is_some());
    let warned: Vec<&str> = settled
        .warnings
        .iter()
        .filter_map(|warning| warning.message.split(" has no effect").next())
        .collect();
    assert_eq!(warned, ["`rebalance`"]);
}
