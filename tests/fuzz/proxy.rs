//! PROXY headers: however many octets of a connection are there, the same header is found at its beginning or none; who believes
//! it consumes only what belongs to it; and what a balancer would write for the client that was found is read as that client.

use crate::input::Input;
use smppmux_engine::shell::proxy_header::{ProxyHeader, read};
use std::net::{IpAddr, SocketAddr};

/// A header of version 2 with all that may stand behind its fixed part; one of version 1 is shorter.
const HEADER_OCTETS_MAX: usize = 16 + 4096;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // Mostly what could be a header: an arbitrary beginning is refused at once.
    let start: &[u8] = [&b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE][input.below(5)];
    let bytes = [start, input.rest()].concat();
    let whole = read(&bytes);
    check_beginnings(&bytes, whole);
    match whole {
        ProxyHeader::Wrong => {}
        ProxyHeader::Incomplete => {
            assert!(
                bytes.len() < HEADER_OCTETS_MAX,
                "it waits for more than a header may have"
            );
            let longest = [&bytes[..], &vec![b'x'; HEADER_OCTETS_MAX]].concat();
            assert_ne!(read(&longest), ProxyHeader::Incomplete, "it waits for ever");
        }
        ProxyHeader::Complete { octets, client } => {
            assert!(octets <= bytes.len() && octets <= HEADER_OCTETS_MAX);
            assert_eq!(read(&bytes[..octets]), whole, "what follows has been read too");
            if let Some(client) = client {
                check_client(&bytes[..octets], client);
            }
        }
    }
}

/// A beginning is undecided, or says what the whole says.
fn check_beginnings(bytes: &[u8], whole: ProxyHeader) {
    let mut is_decided = false;
    for end in 0..=bytes.len().min(300) {
        let shown = read(&bytes[..end]);
        assert!(
            shown == ProxyHeader::Incomplete && !is_decided || shown == whole,
            "{end} octets are {shown:?}, all {whole:?}"
        );
        is_decided = shown != ProxyHeader::Incomplete;
    }
}

/// Written again in both versions, and, for IPv4, octet for octet in the version that it came in.
fn check_client(header: &[u8], client: SocketAddr) {
    assert_eq!(client.ip(), client.ip().to_canonical(), "an IPv4 address in IPv6");
    for written in [text(client), binary(client)] {
        let octets = written.len();
        let expected = ProxyHeader::Complete {
            octets,
            client: Some(client),
        };
        assert_eq!(read(&written), expected);
    }
    if header.starts_with(b"PROXY TCP4 ") {
        let words: Vec<&[u8]> = header.split(|octet| *octet == b' ').collect();
        assert_eq!(words.len(), 6, "a line with other words");
        let source = [client.ip().to_string(), client.port().to_string()];
        assert_eq!([words[2], words[4]], [source[0].as_bytes(), source[1].as_bytes()]);
    }
}

fn text(client: SocketAddr) -> Vec<u8> {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let ip = client.ip();
    format!("PROXY {family} {ip} {ip} {} 2775\r\n", client.port()).into_bytes()
}

fn binary(client: SocketAddr) -> Vec<u8> {
    let (family, address) = match client.ip() {
        IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
        IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let tail = [&address[..], &address, &client.port().to_be_bytes(), &[10, 0xD7]].concat();
    let octets = u16::try_from(tail.len()).expect("two addresses");
    [SIGNATURE, &[0x21, family], &octets.to_be_bytes(), &tail].concat()
}
