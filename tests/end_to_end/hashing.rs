//! `method = "hash"`: what has the same key goes to the same server, whatever kind of message it is.

use smppmux_engine::core::wire::{CommandId, Status, Version};
use smppmux_tests::configuration::Configuration;
use smppmux_tests::esme::{BindRequest, Esme};
use smppmux_tests::pdu::{header_only, submit_multi, submit_sm, with_tlvs};
use smppmux_tests::smsc::AnsweringSmsc;

use crate::start_ready;

const SOURCES: u32 = 24;

fn broadcast(number: u32, source: &str) -> Vec<u8> {
    let mut pdu = header_only(CommandId::BROADCAST_SM, Status::ESME_ROK, number);
    pdu.extend_from_slice(format!("\0\x01\x01{source}\0\0\0\0\0\0\0\0").as_bytes());
    let tlvs: [(u16, &[u8]); 4] = [
        (0x0606, b"\0north"),
        (0x0601, &[0, 0, 0]),
        (0x0604, &[0, 1]),
        (0x0605, &[8, 0, 1]),
    ];
    with_tlvs(pdu, &tlvs)
}

/// Sends requests one after the other; gives the server of each.
fn servers_of(client: &mut Esme, servers: &[AnsweringSmsc; 2], requests: &[Vec<u8>]) -> Vec<usize> {
    let mut taken = Vec::new();
    for request in requests {
        client.send(request);
        assert!(client.receive().status().is_ok());
        let counts = servers.each_ref().map(|server| server.requests_so_far().len());
        assert_eq!(counts.iter().sum::<usize>(), 1);
        taken.push(counts[1]);
    }
    taken
}

fn start(hash_key: &str) -> ([AnsweringSmsc; 2], impl Fn(usize) -> Esme) {
    let servers = [AnsweringSmsc::start("a"), AnsweringSmsc::start("b")];
    let configuration = Configuration::with_engines(2)
        .vserver(&format!("method = \"hash\"\nhash-key = \"{hash_key}\""))
        .server("a", "0A", servers[0].address(), "interface-version = \"5.0\"")
        .server("b", "0B", servers[1].address(), "interface-version = \"5.0\"")
        .client("esme", "");
    let smppmux = start_ready(&configuration);
    let bind = move |engine| {
        let request = BindRequest::of("esme")
            .at_engine(engine)
            .with_version(Version::V50);
        Esme::bind_with(smppmux.address(), request)
    };
    (servers, bind)
}

/// Goal: with `hash-key = "source"` submit_sm, submit_multi and broadcast_sm of one source go to one server, from every engine, and
/// different sources to both.
#[test]
fn a_source_keeps_its_server() {
    let (servers, bind) = start("source");
    let mut used = [0, 0];
    for source in (1000..1000 + SOURCES).map(|source| source.to_string()) {
        let mut all = Vec::new();
        for engine in 0..2 {
            let requests = [
                submit_sm(2, &source, "4477", "text"),
                submit_multi(3, &source, &["4477", "4488"], "text"),
                submit_multi(4, &source, &["4499"], "text"),
                broadcast(5, &source),
            ];
            all.extend(servers_of(&mut bind(engine), &servers, &requests));
        }
        assert!(all.iter().all(|server| *server == all[0]), "{source}: {all:?}");
        used[all[0]] += 1;
    }
    assert!(used.iter().all(|used| *used > 0), "{used:?}");
}

/// Goal: with `hash-key = "destination"` a submit_multi to one address goes where a submit_sm to it goes; one to several addresses goes by its
/// source, so that such messages do not all meet at one server.
#[test]
fn a_destination_keeps_its_server() {
    let (servers, bind) = start("destination");
    let mut client = bind(0);
    let mut used = [0, 0];
    for number in 1000..1000 + SOURCES {
        let digits = number.to_string();
        let requests = [
            submit_sm(2, "1", &digits, "text"),
            submit_multi(3, "2", &[&digits], "text"),
            submit_multi(4, &digits, &["4477", "4488"], "text"),
        ];
        let taken = servers_of(&mut client, &servers, &requests);
        assert!(
            taken.iter().all(|server| *server == taken[0]),
            "{digits}: {taken:?}"
        );
        used[taken[0]] += 1;
    }
    assert!(used.iter().all(|used| *used > 0), "{used:?}");
}
