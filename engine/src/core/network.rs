//! Networks: an address and how many of its leading bits count.

use std::net::IpAddr;

/// Whether an address lies in one of the networks (address, prefix length). An IPv4 address never lies in an IPv6 network;
/// callers give addresses in their canonical form.
pub(crate) fn lies_in_any(networks: &[(IpAddr, u8)], address: IpAddr) -> bool {
    networks.iter().any(|network| lies_in(*network, address))
}

fn lies_in((network, prefix_bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(u32::from(prefix_bits));
            (u32::from(network) ^ u32::from(address))
                .checked_shr(shift)
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(u32::from(prefix_bits));
            (u128::from(network) ^ u128::from(address))
                .checked_shr(shift)
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: networks contain exactly their addresses, at every prefix length's edge.
    #[test]
    fn networks_contain_their_addresses() {
        let cases = [
            ("10.0.0.0", 8, "10.255.255.255", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("::", 0, "2001:db9::1", true),
            ("::", 0, "10.0.0.1", false),
        ];
        for (network, prefix_bits, address, expected) in cases {
            let networks = [(network.parse().unwrap(), prefix_bits)];
            assert_eq!(
                lies_in_any(&networks, address.parse().unwrap()),
                expected,
                "{network}/{prefix_bits} {address}"
            );
        }
        assert!(!lies_in_any(&[], "10.0.0.1".parse().unwrap()));
    }
}
