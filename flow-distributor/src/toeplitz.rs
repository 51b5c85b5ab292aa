//! The Toeplitz hash, as network cards compute it for receive-side scaling.
//!
//! The input's bits select 32-bit windows of the key: bit *n* (from the front) the window that begins at key bit *n*.
//! The hash is their exclusive or.

use crate::flow::TUPLE_OCTETS_MAX;
use crate::key::{KEY_OCTETS, RssKey};

// The last input bit needs a whole window of key behind it.
const _: () = assert!(TUPLE_OCTETS_MAX + size_of::<u32>() <= KEY_OCTETS);

/// Hashes `input`; what lies beyond the key's reach (36 octets) does not count.
pub(crate) fn toeplitz(key: &RssKey, input: &[u8]) -> u32 {
    let windows = key.octets().windows(size_of::<u32>() + 1);
    input.iter().zip(windows).fold(0, |hash, (octet, window)| {
        // Five octets of key hold the eight windows that this octet's bits select.
        let window = window
            .iter()
            .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
        (0..8)
            .filter(|bit| octet & 0x80 >> bit != 0)
            .fold(hash, |hash, bit| hash ^ (window << bit >> 8) as u32)
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::flow::{Flow, Tuple, TupleOctets};

    /// Source, destination, hash of the 4-tuple, hash of the 2-tuple: Microsoft's published verification values
    /// ("Verifying the RSS hash calculation", IPv4 and IPv6).
    const VERIFICATION_VALUES: [(&str, &str, u32, u32); 8] = [
        (
            "66.9.149.187:2794",
            "161.142.100.80:1766",
            0x51cc_c178,
            0x323e_8fc2,
        ),
        (
            "199.92.111.2:14230",
            "65.69.140.83:4739",
            0xc626_b0ea,
            0xd718_262a,
        ),
        (
            "24.19.198.95:12898",
            "12.22.207.184:38024",
            0x5c2b_394a,
            0xd2d0_a5de,
        ),
        (
            "38.27.205.30:48228",
            "209.142.163.6:2217",
            0xafc7_327f,
            0x8298_9176,
        ),
        (
            "153.39.163.191:44251",
            "202.188.127.2:1303",
            0x10e8_28a2,
            0x5d18_09c5,
        ),
        (
            "[3ffe:2501:200:1fff::7]:2794",
            "[3ffe:2501:200:3::1]:1766",
            0x4020_7d3d,
            0x2cc1_8cd5,
        ),
        (
            "[3ffe:501:8::260:97ff:fe40:efab]:14230",
            "[ff02::1]:4739",
            0xdde5_1bbf,
            0x0f0c_461c,
        ),
        (
            "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251",
            "[fe80::200:f8ff:fe21:67cf]:38024",
            0x02d1_feef,
            0x4b61_e985,
        ),
    ];

    fn hash(source: &str, destination: &str, tuple: Tuple) -> u32 {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address and a port");
        let flow = Flow {
            source: address(source),
            destination: address(destination),
            listener: "sms",
        };
        toeplitz(&RssKey::MICROSOFT, TupleOctets::of(&flow, tuple).as_slice())
    }

    #[test]
    fn the_published_values_come_out() {
        for (source, destination, with_ports, without_ports) in VERIFICATION_VALUES {
            assert_eq!(
                hash(source, destination, Tuple::Four),
                with_ports,
                "{source} to {destination}"
            );
            assert_eq!(
                hash(source, destination, Tuple::Two),
                without_ports,
                "{source} to {destination}"
            );
        }
    }

    #[test]
    fn a_mapped_address_hashes_as_ipv4() {
        let mapped = hash(
            "[::ffff:66.9.149.187]:2794",
            "[::ffff:161.142.100.80]:1766",
            Tuple::Four,
        );
        assert_eq!(mapped, 0x51cc_c178);
    }
}
