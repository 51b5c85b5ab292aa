//! Addresses that are written as text: of listeners, servers, networks, and the ranges that clients claim.

use super::value::{Text, text_values};
use smppmux_engine::core::range::AddressRange;
use std::net::{IpAddr, SocketAddr};

impl Text for SocketAddr {
    const EXPECTED: &'static str =
        "an IP address and port in quotes, such as \"127.0.0.1:2775\" or \"[::]:2775\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let only_port = text.trim_start_matches(':').parse::<u16>();
            let suggestion = only_port
                .map(|port| format!("; did you mean \"0.0.0.0:{port}\"?"))
                .unwrap_or_default();
            format!("\"{text}\" is not an IP address and port like \"127.0.0.1:2775\"{suggestion}")
        })
    }
}

impl Text for IpAddr {
    const EXPECTED: &'static str = "an IP address in quotes, such as \"192.0.2.7\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("\"{text}\" is not an IP address"))
    }
}

/// A host (name or address) and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort(
    /// `host:port`; an IPv6 address stands in square brackets.
    pub String,
);

impl Text for HostPort {
    const EXPECTED: &'static str = "a host and port in quotes, such as \"smsc.example.net:2775\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        if text
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.port() != 0)
        {
            return Ok(Self(text.into()));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("\"{text}\" has no port; write it like \"{text}:2775\""))?;
        if host.is_empty() || host.len() > 253 || !host.bytes().all(is_host_octet) {
            return Err(format!("\"{host}\" is not a host name or IP address"));
        }
        match port.parse::<u16>() {
            Ok(1..) => Ok(Self(text.into())),
            _ => Err(format!("\"{port}\" is not a port (1 to 65535)")),
        }
    }
}

fn is_host_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_')
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The network's address.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix_bits: u8,
}

impl Network {
    /// As the engines take it.
    pub const fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.prefix_bits)
    }
}

impl Text for Network {
    const EXPECTED: &'static str = "a network in quotes, such as \"10.0.0.0/8\" or \"2001:db8::/32\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("\"{text}\" is not a network like \"10.0.0.0/8\""))?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Ok(bits_max), str::parse::<u8>);
        match prefix_bits {
            Ok(prefix_bits) if prefix_bits <= bits_max => Ok(Self { address, prefix_bits }),
            _ => Err(format!(
                "the prefix length of \"{text}\" is not a number from 0 to {bits_max}"
            )),
        }
    }
}

impl Text for AddressRange {
    const EXPECTED: &'static str = "a prefix or regular expression in quotes, such as \"888765\" or \".*\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty range claims nothing; \".*\" claims every address".into());
        }
        Self::parse(text.as_bytes())
            .map_err(|error| format!("the address range \"{text}\" is not usable: {error}"))
    }
}

text_values!(SocketAddr, IpAddr, HostPort, Network, AddressRange);

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a server's address needs a host and a port.
    #[test]
    fn a_host_needs_its_port() {
        for right in [
            "127.0.0.1:2775",
            "[::1]:2775",
            "smsc.example.net:1",
            "smsc_a:65535",
        ] {
            assert!(HostPort::parse_text(right).is_ok(), "{right}");
        }
        for wrong in [
            "smsc",
            ":2775",
            "smsc:0",
            "smsc:65536",
            "::1:2775x",
            "a b:1",
            "127.0.0.1:0",
        ] {
            assert!(HostPort::parse_text(wrong).is_err(), "{wrong}");
        }
    }

    /// Goal: networks are read with and without a length, which is bounded.
    #[test]
    fn networks_are_bounded() {
        assert!(Network::parse_text("10.0.0.0/8").is_ok_and(|network| network.prefix_bits == 8));
        assert!(Network::parse_text("2001:db8::").is_ok_and(|network| network.prefix_bits == 128));
        for wrong in ["10.0.0.0/33", "10.0.0.0/", "10/8", ""] {
            assert!(Network::parse_text(wrong).is_err(), "{wrong}");
        }
    }

    /// Goal: a range that is empty or no expression is refused.
    #[test]
    fn ranges_are_checked() {
        assert!(AddressRange::parse_text("888765").is_ok());
        assert!(AddressRange::parse_text("").is_err_and(|error| error.contains("\".*\"")));
        assert!(AddressRange::parse_text("(").is_err());
    }
}
