//! Who may connect: limits of a vserver and of each address, and bans of addresses whose binds fail.
//!
//! Owns the table of addresses ([`table`]), which all cores share. It is asked when a connection begins, and told when one
//! ends or a bind fails; no message passes here. Where no vserver asks for anything there is no [`Admission`] at all.
//!
//! Invariant: a [`Ticket`] is counted until it is dropped, wherever its connection goes meanwhile.

mod table;

use crate::core::network::lies_in_any;
use crate::core::settings::{AdmissionSettings, Settings, VserverIndex};
use crate::core::time::Moment;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use table::{AddressTable, Entry};

/// Bits of an IPv6 address that name one customer's network: a host has all addresses behind them at will.
const IPV6_NETWORK_BITS: u32 = 64;

/// The door of all vservers.
#[derive(Debug)]
pub(crate) struct Admission {
    doors: Box<[Door]>,
    table: AddressTable,
}

/// One vserver's door.
#[derive(Debug)]
struct Door {
    settings: AdmissionSettings,
    connections: AtomicU32,
}

/// Why a connection is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are too many, or they come too fast.
    Limit,
    /// Its address failed to bind too often.
    Banned,
}

/// A connection that is counted. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    vserver: VserverIndex,
    entry: Option<Entry>,
}

impl Admission {
    /// `None`: there is nothing to look at. `seed` keys the table.
    pub(super) fn new(settings: &Settings, seed: u64) -> Option<Arc<Self>> {
        let admissions = settings.vservers.iter().map(|vserver| &vserver.admission);
        if !admissions.clone().any(AdmissionSettings::is_needed) {
            return None;
        }
        let memory = admissions
            .clone()
            .map(|admission| admission.failed_bind_window)
            .max()
            .unwrap_or_default();
        let doors = admissions.map(|admission| Door {
            settings: admission.clone(),
            connections: AtomicU32::new(0),
        });
        Some(Arc::new(Self {
            doors: doors.collect(),
            table: AddressTable::new(seed, memory),
        }))
    }

    /// Whether connections from this address begin with a PROXY protocol header.
    pub(super) fn is_proxy(&self, vserver: VserverIndex, peer: IpAddr) -> bool {
        self.door(vserver)
            .is_some_and(|door| lies_in_any(&door.settings.proxy_networks, peer.to_canonical()))
    }

    /// Counts a connection of a vserver. Its address comes by [`Ticket::identify`].
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn enter(self: &Arc<Self>, vserver: VserverIndex) -> Result<Ticket, Refusal> {
        if let Some(door) = self.door(vserver) {
            let max = door.settings.connections_max.unwrap_or(u32::MAX);
            let counted = door
                .connections
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < max).then_some(count + 1)
                });
            if counted.is_err() {
                return Err(Refusal::Limit);
            }
        }
        Ok(Ticket {
            admission: Arc::clone(self),
            vserver,
            entry: None,
        })
    }

    /// A bind from this address failed. Gives how long it is banned, when that begins now.
    pub(super) fn blame(&self, now: Moment, vserver: VserverIndex, peer: IpAddr) -> Option<Duration> {
        let settings = self.tracked(vserver, peer)?;
        if settings.failed_binds_max.is_none() && settings.failed_bind_back_off.is_none() {
            return None;
        }
        let entry = if self.is_proxy(vserver, peer) {
            // Nobody has looked up a balancer that speaks for itself: that are its health checks. Clients may lie in the same
            // networks; their header has named them.
            self.table.known(key(vserver, peer))?
        } else {
            self.table.entry(now, key(vserver, peer))?
        };
        let failures = self.table.fail(now, entry);
        if settings.failed_binds_max.is_some_and(|max| failures >= max) {
            let begins = settings.failed_binds_max == Some(failures) || !self.table.is_barred(now, entry);
            self.table.bar(entry, now + settings.ban_time);
            return begins.then_some(settings.ban_time);
        }
        if let Some(back_off) = settings.failed_bind_back_off {
            let doubled = back_off.saturating_mul(1 << (failures - 1).min(20));
            self.table.bar(entry, now + doubled.min(settings.ban_time));
        }
        None
    }

    fn door(&self, vserver: VserverIndex) -> Option<&Door> {
        self.doors.get(usize::from(vserver.0))
    }

    /// The settings of a vserver, where they ask for this address to be known.
    fn tracked(&self, vserver: VserverIndex, peer: IpAddr) -> Option<&AdmissionSettings> {
        let settings = &self.door(vserver)?.settings;
        let is_tracked =
            settings.tracks_addresses() && !lies_in_any(&settings.exempt_networks, peer.to_canonical());
        is_tracked.then_some(settings)
    }
}

impl Ticket {
    /// Counts the connection for its address, which is known now.
    ///
    /// # Errors
    /// When it may not connect.
    pub(super) fn identify(&mut self, now: Moment, peer: IpAddr) -> Result<(), Refusal> {
        let Some(settings) = self.admission.tracked(self.vserver, peer) else {
            return Ok(());
        };
        let table = &self.admission.table;
        let Some(entry) = table.entry(now, key(self.vserver, peer)) else {
            return Ok(());
        };
        if table.is_barred(now, entry) {
            return Err(Refusal::Banned);
        }
        let is_slow_enough = settings
            .connection_rate_per_address
            .is_none_or(|rate| table.is_within_rate(now, entry, rate));
        if !is_slow_enough {
            return Err(Refusal::Limit);
        }
        match table.connect(entry, settings.connections_per_address_max.unwrap_or(u32::MAX)) {
            Some(true) => self.entry = Some(entry),
            Some(false) => return Err(Refusal::Limit),
            None => {}
        }
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            self.admission.table.disconnect(entry);
        }
        if let Some(door) = self.admission.door(self.vserver) {
            door.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What an address is known by: each vserver has its own limits.
fn key(vserver: VserverIndex, peer: IpAddr) -> (VserverIndex, IpAddr) {
    let address = match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> (128 - IPV6_NETWORK_BITS) << (128 - IPV6_NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    };
    (vserver, address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::samples::{engine_settings, server_settings, vserver_settings};

    const VSERVER: VserverIndex = VserverIndex(0);

    fn admission(settings: AdmissionSettings) -> Option<Arc<Admission>> {
        let mut vserver = vserver_settings();
        vserver.admission = settings;
        let settings = Settings::new(
            engine_settings(),
            vec![vserver],
            vec![server_settings()],
            vec![],
            1,
        );
        Admission::new(&settings, 1)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at_ms(milliseconds: u64) -> Moment {
        Moment::START + Duration::from_millis(milliseconds)
    }

    /// Goal: without any limit there is nothing to ask.
    #[test]
    fn nothing_configured_costs_nothing() {
        assert!(admission(AdmissionSettings::default()).is_none());
    }

    /// Goal: limits of a vserver and of an address hold, whoever holds the tickets, and places come back when they are dropped.
    #[test]
    fn limits_hold_until_tickets_are_dropped() {
        let admission = admission(AdmissionSettings {
            connections_max: Some(3),
            connections_per_address_max: Some(2),
            ..AdmissionSettings::default()
        })
        .unwrap();
        let now = at_ms(1);
        let enter = |peer: &str| {
            let mut ticket = admission.enter(VSERVER)?;
            ticket.identify(now, address(peer)).map(|()| ticket)
        };
        let first = enter("192.0.2.1").unwrap();
        let second = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), Refusal::Limit);
        let third = enter("192.0.2.2").unwrap();
        assert_eq!(enter("192.0.2.3").unwrap_err(), Refusal::Limit);
        drop((first, third));
        let again = enter("192.0.2.1").unwrap();
        drop((second, again));
        assert_eq!(admission.doors[0].connections.load(Ordering::Acquire), 0);
    }

    /// Goal: failures keep an address out for longer and longer, then ban it; other addresses and exempt ones do not notice,
    /// and all is over with the ban.
    #[test]
    fn failures_back_off_and_ban() {
        let admission = admission(AdmissionSettings {
            failed_binds_max: Some(4),
            failed_bind_back_off: Some(Duration::from_millis(100)),
            ban_time: Duration::from_secs(90),
            exempt_networks: vec![(address("10.0.0.0"), 8)],
            ..AdmissionSettings::default()
        })
        .unwrap();
        let peer = address("192.0.2.1");
        let may_connect =
            |now, peer: IpAddr| admission.enter(VSERVER).unwrap().identify(now, peer) != Err(Refusal::Banned);
        let mut now_ms = 1_000;
        for back_off_ms in [100, 200, 400] {
            assert!(may_connect(at_ms(now_ms), peer));
            assert_eq!(admission.blame(at_ms(now_ms), VSERVER, peer), None);
            assert!(!may_connect(at_ms(now_ms + back_off_ms - 1), peer));
            now_ms += back_off_ms;
        }
        let banned = admission.blame(at_ms(now_ms), VSERVER, peer);
        assert_eq!(banned, Some(Duration::from_secs(90)));
        assert!(!may_connect(at_ms(now_ms + 89_999), peer));
        assert!(may_connect(at_ms(now_ms + 1), address("192.0.2.2")));
        assert!(may_connect(at_ms(now_ms + 90_000), peer));
        assert_eq!(
            admission.blame(at_ms(now_ms + 90_000), VSERVER, peer),
            None,
            "forgotten"
        );
        for _ in 0..10 {
            assert_eq!(admission.blame(at_ms(now_ms), VSERVER, address("10.1.1.1")), None);
        }
        assert!(may_connect(at_ms(now_ms), address("10.1.1.1")));
    }

    /// Goal: an IPv6 host cannot escape by another address of its network, and an IPv4 address is the same in both notations.
    #[test]
    fn addresses_of_one_host_are_one() {
        let same = |one: &str, other: &str| key(VSERVER, address(one)) == key(VSERVER, address(other));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
