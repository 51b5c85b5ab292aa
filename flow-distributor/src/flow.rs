//! What is known of a connection when it was accepted, and the octets of it that are hashed.

use std::net::{IpAddr, SocketAddr};

/// A new connection. An IPv4 peer of an IPv6 socket (`::ffff:192.0.2.1`) counts as IPv4 everywhere in this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<'listener> {
    /// The peer's address; behind a proxy, the one that the PROXY protocol names.
    pub source: SocketAddr,
    /// Our own address, as the peer sees it.
    pub destination: SocketAddr,
    /// The name of the listener that accepted it, as rules write it.
    pub listener: &'listener str,
}

/// Which part of the addresses is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuple {
    /// Source and destination addresses: all connections of one host come to one core.
    Two,
    /// Addresses and ports: each connection for itself.
    Four,
}

/// Two IPv6 addresses and two ports.
pub(crate) const TUPLE_OCTETS_MAX: usize = 36;

/// The hashed octets of a flow, in the order that RSS fixes: source address, destination address, source port,
/// destination port, all in network order.
pub(crate) struct TupleOctets {
    octets: [u8; TUPLE_OCTETS_MAX],
    length: usize,
}

impl TupleOctets {
    pub(crate) fn of(flow: &Flow<'_>, tuple: Tuple) -> Self {
        let mut this = Self {
            octets: [0; TUPLE_OCTETS_MAX],
            length: 0,
        };
        match (
            flow.source.ip().to_canonical(),
            flow.destination.ip().to_canonical(),
        ) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                this.push(&source.octets());
                this.push(&destination.octets());
            }
            (source, destination) => {
                this.push(&as_ipv6_octets(source));
                this.push(&as_ipv6_octets(destination));
            }
        }
        if tuple == Tuple::Four {
            this.push(&flow.source.port().to_be_bytes());
            this.push(&flow.destination.port().to_be_bytes());
        }
        this
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn push(&mut self, octets: &[u8]) {
        self.octets[self.length..self.length + octets.len()].copy_from_slice(octets);
        self.length += octets.len();
    }
}

fn as_ipv6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
