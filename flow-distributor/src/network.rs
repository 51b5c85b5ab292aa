//! A network of addresses, written as address and prefix length (CIDR).

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that share a prefix. Kept in IPv6 form, where IPv4 is the network `::ffff:0:0/96`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: u128,
    prefix_bits: u32,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// What stands before the slash is no IPv4 or IPv6 address.
    Address(String),
    /// What stands behind the slash is no prefix length of that kind of address.
    Prefix(String),
    /// The address has bits beyond the prefix; the network is given as it should be written.
    BitsBeyondPrefix(Network),
}

const IPV4_PREFIX_BITS: u32 = 96;

impl Network {
    /// Whether `address` lies in it. An IPv4 address and its IPv6-mapped form are the same.
    pub fn contains(&self, address: IpAddr) -> bool {
        as_bits(address) & mask(self.prefix_bits) == self.first
    }

    fn new(address: IpAddr, prefix_bits: u32) -> Result<Self, NetworkError> {
        let bits = as_bits(address);
        let network = Self {
            first: bits & mask(prefix_bits),
            prefix_bits,
        };
        if network.first == bits {
            Ok(network)
        } else {
            Err(NetworkError::BitsBeyondPrefix(network))
        }
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`, or a single address.
impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| NetworkError::Address(address.to_owned()))?;
        let bits_before = if address.is_ipv4() { IPV4_PREFIX_BITS } else { 0 };
        let prefix_bits = match prefix {
            None => Some(u128::BITS),
            Some(bits) => bits.parse::<u8>().ok().map(|bits| bits_before + u32::from(bits)),
        };
        let prefix_bits = prefix_bits
            .filter(|bits| *bits <= u128::BITS)
            .ok_or_else(|| NetworkError::Prefix(prefix.unwrap_or_default().to_owned()))?;
        Self::new(address, prefix_bits)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = IpAddr::V6(Ipv6Addr::from_bits(self.first)).to_canonical();
        // `::/0` and the like hold all of IPv4, but are written as IPv6.
        match address {
            IpAddr::V4(address) if self.prefix_bits >= IPV4_PREFIX_BITS => {
                write!(formatter, "{address}/{}", self.prefix_bits - IPV4_PREFIX_BITS)
            }
            _ => write!(
                formatter,
                "{}/{}",
                Ipv6Addr::from_bits(self.first),
                self.prefix_bits
            ),
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(formatter, "{text:?} is no IP address"),
            Self::Prefix(text) => write!(formatter, "{text:?} is no prefix length for this kind of address"),
            Self::BitsBeyondPrefix(network) => {
                write!(
                    formatter,
                    "the address has bits beyond its prefix: write {network}"
                )
            }
        }
    }
}

impl Error for NetworkError {}

fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(prefix_bits: u32) -> u128 {
    u128::MAX.checked_shl(u128::BITS - prefix_bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_holds_its_addresses_alone() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
        ] {
            assert!(network(text).contains(address(inside)), "{text} has {inside}");
            assert!(
                !network(text).contains(address(outside)),
                "{text} has not {outside}"
            );
        }
        assert!(
            network("::/0").contains(address("10.0.0.1")) && network("::/0").contains(address("2001:db8::1"))
        );
    }

    #[test]
    fn a_wrong_network_says_what_is_wrong() {
        for (text, message) in [
            (
                "10.1.2.3/8",
                "the address has bits beyond its prefix: write 10.0.0.0/8",
            ),
            (
                "2001:db8::1/32",
                "the address has bits beyond its prefix: write 2001:db8::/32",
            ),
            ("10.0.0/8", "\"10.0.0\" is no IP address"),
            (
                "10.0.0.0/33",
                "\"33\" is no prefix length for this kind of address",
            ),
            ("::/129", "\"129\" is no prefix length for this kind of address"),
            ("10.0.0.0/", "\"\" is no prefix length for this kind of address"),
            ("", "\"\" is no IP address"),
        ] {
            assert_eq!(text.parse::<Network>().expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn a_network_is_written_as_it_was_read() {
        for text in ["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "::/0", "192.0.2.7/32"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
