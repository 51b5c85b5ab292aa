//! Asks the flow distributor which core an accepted connection belongs to, and keeps what it wants to know.
//!
//! `least-loaded` needs every core's number of connections. Cores share no memory, so each tells the others its own
//! number when that has changed, and tells again only after it was acknowledged.
//!
//! `account` asks twice: for the core that waits for the bind, and for the core of the account that the bind names.
//!
//! The `rss` schemes need a table, which the control core may publish anew; for it the new connections of each bucket are counted here.

use super::report::SteeringReport;
use super::sockets;
use crate::core::contract::CoreIndex;
use crate::core::settings::{ServerIndex, VserverIndex};
use smppmux_flow_distributor::{Distributor, Flow, IndirectionTable, Scheme, Settings, SettingsError};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Who comes in by a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Clients of a vserver.
    Clients(VserverIndex),
    /// A server that opens connections itself (`outbind-listen`).
    Server(ServerIndex),
}

/// One listening socket of one core.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) entrance: Entrance,
    /// The name of its vserver or server, by which rules of the flow distributor know the listener.
    pub(crate) name: Arc<str>,
    /// What it is bound to.
    pub(crate) address: SocketAddr,
    pub(crate) socket: OwnedFd,
    /// Its clients speak TLS.
    pub(crate) is_tls: bool,
    /// TCP_USER_TIMEOUT of the connections that it accepts.
    pub(crate) user_timeout: Option<Duration>,
}

/// The rule of `pins` that a connection met where it was accepted; it means the same on all cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinOfFlow(u16);

/// One core's access to the flow distributor.
pub(crate) struct Steering {
    own_core: usize,
    distributor: Distributor,
    /// A connection belongs to the core of its account, which its bind names.
    by_account: bool,
    /// Clients' connections of each core; the own one exact, the others as they last told. Empty unless the scheme
    /// asks for it.
    load: Vec<u32>,
    /// What each core has been told last, and whether it has acknowledged that.
    told: Vec<Told>,
    /// Connections that were accepted here, by the bucket that says their core. Empty where the scheme has no buckets.
    arrivals: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    connections: u32,
    unacknowledged: bool,
}

impl Steering {
    pub(crate) fn new(own_core: CoreIndex, settings: Arc<Settings>) -> Result<Self, SettingsError> {
        let cores = match settings.scheme {
            Scheme::LeastLoaded => settings.cores,
            Scheme::Rss | Scheme::RssTwoTuple | Scheme::RoundRobin | Scheme::Account => 0,
        };
        let own_core = usize::from(own_core.0);
        let buckets = if settings.scheme.has_buckets() {
            settings.bits.buckets()
        } else {
            0
        };
        Ok(Self {
            own_core,
            // On one core nobody can move.
            by_account: settings.scheme == Scheme::Account && settings.cores > 1,
            distributor: Distributor::new(own_core, settings)?,
            arrivals: vec![0; buckets],
            load: vec![0; cores],
            told: vec![Told::default(); cores],
        })
    }

    /// The core that a connection belongs to, and what must be known of it where its account is asked for later. Where its
    /// own address cannot be read it stays here.
    pub(crate) fn choose(
        &mut self,
        listener: &Listener,
        socket: &OwnedFd,
        peer: SocketAddr,
    ) -> (CoreIndex, Option<PinOfFlow>) {
        let destination = if listener.address.ip().is_unspecified() {
            sockets::destination_of(socket).unwrap_or(listener.address)
        } else {
            listener.address
        };
        let flow = Flow {
            source: peer,
            destination,
            listener: &listener.name,
        };
        let bucket = self.distributor.bucket_of(&flow);
        if let Some(arrivals) = bucket.and_then(|bucket| self.arrivals.get_mut(bucket)) {
            *arrivals += 1;
        }
        let core = self.distributor.choose(&flow, &self.load);
        let pin = self.by_account.then(|| self.distributor.rule_of(&flow)).flatten();
        let pin = pin.and_then(|rule| u16::try_from(rule).ok()).map(PinOfFlow);
        (CoreIndex(u16::try_from(core).unwrap_or_default()), pin)
    }

    /// Whether clients' connections go to the core of their account.
    pub(crate) const fn is_by_account(&self) -> bool {
        self.by_account
    }

    /// The core of an account, for a connection with this pin.
    pub(crate) fn choose_for_account(&self, system_id: &[u8], pin: Option<PinOfFlow>) -> CoreIndex {
        let rule = pin.map(|PinOfFlow(rule)| usize::from(rule));
        let core = self.distributor.choose_for_account(system_id, rule);
        CoreIndex(u16::try_from(core).unwrap_or_default())
    }

    /// The control core has published a table: new connections go by it, if it is newer than the one in use.
    pub(crate) fn install(&mut self, table: Arc<IndirectionTable>) {
        self.distributor.install(table);
    }

    /// What the control core needs to publish a better table.
    pub(crate) fn report(&self) -> SteeringReport {
        SteeringReport {
            table_version: self.distributor.table().version(),
            arrivals: self.arrivals.clone(),
        }
    }

    /// A client's connection began on this core.
    pub(crate) fn count_opened(&mut self) {
        if let Some(own) = self.load.get_mut(self.own_core) {
            *own = own.saturating_add(1);
        }
    }

    /// A client's connection ended on this core.
    pub(crate) fn count_closed(&mut self) {
        if let Some(own) = self.load.get_mut(self.own_core) {
            *own = own.saturating_sub(1);
        }
    }

    /// The next core that must be told this core's number, and the number.
    pub(crate) fn poll_load(&mut self) -> Option<(CoreIndex, u32)> {
        let connections = *self.load.get(self.own_core)?;
        let own_core = self.own_core;
        let (core, told) = self.told.iter_mut().enumerate().find(|(core, told)| {
            *core != own_core && !told.unacknowledged && told.connections != connections
        })?;
        *told = Told {
            connections,
            unacknowledged: true,
        };
        Some((CoreIndex(u16::try_from(core).ok()?), connections))
    }

    /// Another core told its number.
    pub(crate) fn learn_load(&mut self, core: CoreIndex, connections: u32) {
        if let Some(load) = self.load.get_mut(usize::from(core.0)) {
            *load = connections;
        }
    }

    /// Another core has acknowledged this core's number.
    pub(crate) fn load_acknowledged(&mut self, core: CoreIndex) {
        if let Some(told) = self.told.get_mut(usize::from(core.0)) {
            told.unacknowledged = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steering(scheme: Scheme) -> Steering {
        let settings = Settings {
            scheme,
            ..Settings::for_cores(3)
        };
        Steering::new(CoreIndex(1), Arc::new(settings)).expect("three cores")
    }

    /// Goal: each other core is told once for each change, and again only after it acknowledged.
    #[test]
    fn load_is_told_once_until_acknowledged() {
        let mut steering = steering(Scheme::LeastLoaded);
        assert_eq!(steering.poll_load(), None, "nothing has changed");
        steering.count_opened();
        assert_eq!(steering.poll_load(), Some((CoreIndex(0), 1)));
        assert_eq!(steering.poll_load(), Some((CoreIndex(2), 1)));
        steering.count_opened();
        assert_eq!(steering.poll_load(), None, "nobody has acknowledged");
        steering.load_acknowledged(CoreIndex(2));
        assert_eq!(steering.poll_load(), Some((CoreIndex(2), 2)));
        assert_eq!(steering.poll_load(), None);
    }

    /// Goal: connections are counted by bucket, and follow the newest table, whatever comes late.
    #[test]
    fn new_connections_follow_the_newest_table() {
        let mut steering = steering(Scheme::RssTwoTuple);
        let any_socket = || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
            OwnedFd::from(socket)
        };
        let socket = any_socket();
        let listener = Listener {
            entrance: Entrance::Clients(VserverIndex(0)),
            name: "sms".into(),
            address: ([127, 0, 0, 1], 2775).into(),
            socket: any_socket(),
            is_tls: false,
            user_timeout: None,
        };
        let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
        let (first, _) = steering.choose(&listener, &socket, peer);
        let report = steering.report();
        let bucket = report.arrivals.iter().position(|arrivals| *arrivals == 1);
        let bucket = bucket.expect("it was counted");
        let mut table = IndirectionTable::clone(steering.distributor.table());
        let other = (usize::from(first.0) + 1) % 3;
        let old = Arc::new(table.clone());
        table.rewrite(bucket, other).expect("they are there");
        steering.install(Arc::new(table));
        steering.install(old);
        assert_eq!(usize::from(steering.choose(&listener, &socket, peer).0.0), other);
        let report = steering.report();
        assert_eq!((report.table_version, report.arrivals[bucket]), (1, 2));
    }

    /// Goal: schemes without buckets count none.
    #[test]
    fn other_schemes_have_no_buckets() {
        assert_eq!(steering(Scheme::RoundRobin).report(), SteeringReport::default());
    }

    /// Goal: schemes that do not ask for the load cost no messages.
    #[test]
    fn other_schemes_tell_nobody() {
        let mut steering = steering(Scheme::RoundRobin);
        steering.count_opened();
        assert_eq!(steering.poll_load(), None);
    }
}
