//! The PROXY protocol, versions 1 and 2: what a balancer in front of smppmux says about the client that it speaks for.
//!
//! Reads octets that a network named trusted sent, which is no reason to trust their form: a header has a bounded length,
//! nothing is allocated, and no input panics. Text of version 1 is read strictly. TLVs of version 2 are passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a header of version 1 at most, CR LF included (the specification, section 2.1).
const TEXT_OCTETS_MAX: usize = 107;
/// Octets behind the fixed part of version 2 that are accepted. Addresses take 36; the rest is for TLVs.
const TAIL_OCTETS_MAX: usize = 4096;
/// The fixed part of version 2.
const FIXED_OCTETS: usize = 16;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const TEXT_START: &[u8; 6] = b"PROXY ";

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Not enough was read yet.
    Incomplete,
    /// No header, or a wrong one. The connection must be closed: its client would pass for the balancer.
    Wrong,
    /// A header of so many octets.
    Complete {
        /// Those that belong to it; what follows is the client's.
        octets: usize,
        /// The client. `None`: the balancer speaks for itself (a health check), or does not know.
        client: Option<SocketAddr>,
    },
}

/// Reads a header at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> ProxyHeader {
    if starts_alike(bytes, SIGNATURE) {
        return read_binary(bytes);
    }
    if starts_alike(bytes, TEXT_START) {
        return read_text(bytes);
    }
    ProxyHeader::Wrong
}

/// Whether one of the two is a beginning of the other.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    let common = bytes.len().min(start.len());
    bytes[..common] == start[..common]
}

fn read_text(bytes: &[u8]) -> ProxyHeader {
    let shown = &bytes[..bytes.len().min(TEXT_OCTETS_MAX)];
    let Some(end) = shown.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < TEXT_OCTETS_MAX {
            ProxyHeader::Incomplete
        } else {
            ProxyHeader::Wrong
        };
    };
    let octets = end + 2;
    let Some(line) = shown
        .get(TEXT_START.len()..end)
        .and_then(|line| std::str::from_utf8(line).ok())
    else {
        return ProxyHeader::Wrong;
    };
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return ProxyHeader::Complete { octets, client: None };
    }
    match client_of_text(line) {
        Some(client) => ProxyHeader::Complete {
            octets,
            client: Some(client),
        },
        None => ProxyHeader::Wrong,
    }
}

/// The source of `TCP4 source destination source-port destination-port`, all of which must be right.
fn client_of_text(line: &str) -> Option<SocketAddr> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let source: IpAddr = words.next()?.parse().ok()?;
    let destination: IpAddr = words.next()?.parse().ok()?;
    let source_port = port(words.next()?)?;
    port(words.next()?)?;
    let is_right = words.next().is_none()
        && match family {
            "TCP4" => source.is_ipv4() && destination.is_ipv4(),
            "TCP6" => source.is_ipv6() && destination.is_ipv6(),
            _ => false,
        };
    is_right.then(|| SocketAddr::new(source.to_canonical(), source_port))
}

fn port(word: &str) -> Option<u16> {
    let is_plain =
        word.bytes().all(|octet| octet.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    is_plain.then(|| word.parse().ok()).flatten()
}

fn read_binary(bytes: &[u8]) -> ProxyHeader {
    let Some(fixed) = bytes.first_chunk::<FIXED_OCTETS>() else {
        return ProxyHeader::Incomplete;
    };
    let [
        ..,
        version_and_command,
        family_and_protocol,
        length_high,
        length_low,
    ] = *fixed;
    let tail_octets = usize::from(u16::from_be_bytes([length_high, length_low]));
    if version_and_command >> 4 != 2 || tail_octets > TAIL_OCTETS_MAX {
        return ProxyHeader::Wrong;
    }
    let is_local = match version_and_command & 0x0F {
        0 => true,
        1 => false,
        _ => return ProxyHeader::Wrong,
    };
    let octets = FIXED_OCTETS + tail_octets;
    let Some(tail) = bytes.get(FIXED_OCTETS..octets) else {
        return ProxyHeader::Incomplete;
    };
    if is_local {
        return ProxyHeader::Complete { octets, client: None };
    }
    let client = match family_and_protocol {
        // Unspecified, and Unix sockets: there is no address to use.
        0x00 | 0x31 | 0x32 => return ProxyHeader::Complete { octets, client: None },
        0x11 => client_of_v4(tail),
        0x21 => client_of_v6(tail),
        _ => None,
    };
    match client {
        Some(client) => ProxyHeader::Complete {
            octets,
            client: Some(client),
        },
        None => ProxyHeader::Wrong,
    }
}

fn client_of_v4(tail: &[u8]) -> Option<SocketAddr> {
    let addresses = tail.first_chunk::<12>()?;
    let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
    Some(SocketAddr::new(
        Ipv4Addr::new(a, b, c, d).into(),
        u16::from_be_bytes([high, low]),
    ))
}

fn client_of_v6(tail: &[u8]) -> Option<SocketAddr> {
    let addresses = tail.first_chunk::<36>()?;
    let source = addresses.first_chunk::<16>()?;
    let port = u16::from_be_bytes([addresses[32], addresses[33]]);
    Some(SocketAddr::new(
        IpAddr::from(Ipv6Addr::from(*source)).to_canonical(),
        port,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The header that a balancer writes for a client, in either version.
    fn write(version: u8, client: SocketAddr, server: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
        if version == 1 {
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (client.ip(), server.ip());
            return format!(
                "PROXY {family} {from} {to} {} {}\r\n",
                client.port(),
                server.port()
            )
            .into_bytes();
        }
        let mut header = SIGNATURE.to_vec();
        let mut tail = Vec::new();
        for address in [client, server] {
            match address.ip() {
                IpAddr::V4(address) => tail.extend(address.octets()),
                IpAddr::V6(address) => tail.extend(address.octets()),
            }
        }
        tail.extend(client.port().to_be_bytes());
        tail.extend(server.port().to_be_bytes());
        tail.extend(tlvs);
        header.extend([0x21, if client.is_ipv4() { 0x11 } else { 0x21 }]);
        header.extend(u16::try_from(tail.len()).unwrap().to_be_bytes());
        header.extend(tail);
        header
    }

    fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
        let of_v4 = (any::<[u8; 4]>(), any::<u16>(), any::<[u8; 4]>(), any::<u16>())
            .prop_map(|(a, p, b, q)| (SocketAddr::from((a, p)), SocketAddr::from((b, q))));
        let of_v6 = (any::<[u16; 8]>(), any::<u16>(), any::<[u16; 8]>(), any::<u16>())
            .prop_map(|(a, p, b, q)| (SocketAddr::from((a, p)), SocketAddr::from((b, q))));
        prop_oneof![of_v4, of_v6]
    }

    proptest! {
        /// Goal: what a balancer writes is read, whatever follows; no beginning of it is taken for a whole header.
        #[test]
        fn what_is_written_is_read(
            version in 1_u8..=2,
            (client, server) in addresses(),
            tlvs in proptest::collection::vec(any::<u8>(), 0..200),
            behind in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let header = write(version, client, server, &tlvs);
            for end in 0..header.len() {
                prop_assert_eq!(read(&header[..end]), ProxyHeader::Incomplete);
            }
            let mut bytes = header.clone();
            bytes.extend(behind);
            let client = SocketAddr::new(client.ip().to_canonical(), client.port());
            prop_assert_eq!(read(&bytes), ProxyHeader::Complete { octets: header.len(), client: Some(client) });
        }

        /// Goal: no octets make it panic, reach behind what it was shown, or wait for more than its limits.
        #[test]
        fn hostile_octets_are_bounded(
            start in prop_oneof![Just(SIGNATURE.to_vec()), Just(TEXT_START.to_vec()), Just(Vec::new())],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = start;
            bytes.extend(rest);
            match read(&bytes) {
                ProxyHeader::Complete { octets, .. } => prop_assert!(octets <= bytes.len()),
                ProxyHeader::Incomplete => prop_assert!(bytes.len() < FIXED_OCTETS + TAIL_OCTETS_MAX),
                ProxyHeader::Wrong => {}
            }
            bytes.resize(FIXED_OCTETS + TAIL_OCTETS_MAX, b'x');
            prop_assert_ne!(read(&bytes), ProxyHeader::Incomplete);
        }

        /// Goal: a changed octet of a header's fixed part never turns it into a header of another length that is believed to
        /// be longer than it may.
        #[test]
        fn changed_octets_stay_within_limits(
            (client, server) in addresses(), place in 0_usize..16, octet: u8,
        ) {
            let mut header = write(2, client, server, &[]);
            header[place] = octet;
            if let ProxyHeader::Complete { octets, .. } = read(&header) {
                prop_assert!(octets <= header.len());
            }
        }
    }

    /// Goal: what is not a header is refused at its first octet that cannot be one: SMPP, TLS, HTTP, and wrong lines.
    #[test]
    fn other_beginnings_are_wrong() {
        let wrong: [&[u8]; 12] = [
            &[0, 0, 0, 42],
            &[0x16, 3, 1],
            b"GET / HTTP/1.1\r\n",
            b"PROXY \r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY UNKNOWNX\r\n",
        ];
        for bytes in wrong {
            assert_eq!(
                read(bytes),
                ProxyHeader::Wrong,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        let mut long = b"PROXY UNKNOWN ".to_vec();
        long.resize(TEXT_OCTETS_MAX, b'x');
        assert_eq!(read(&long), ProxyHeader::Wrong);
    }

    /// Goal: a balancer that speaks for itself, or does not know its client, leaves the connection's own address.
    #[test]
    fn no_client_may_be_named() {
        assert_eq!(
            read(b"PROXY UNKNOWN\r\n\0\0"),
            ProxyHeader::Complete {
                octets: 15,
                client: None
            }
        );
        for (command, family) in [(0x20, 0x00), (0x20, 0x11), (0x21, 0x00), (0x21, 0x31)] {
            let mut header = SIGNATURE.to_vec();
            header.extend([command, family, 0, 3, 1, 2, 3]);
            assert_eq!(
                read(&header),
                ProxyHeader::Complete {
                    octets: 19,
                    client: None
                }
            );
        }
    }
}
