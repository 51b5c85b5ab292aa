//! The command line over the file: flags that override keys, and flags that make a whole configuration.

use super::Configuration;
use super::addresses::HostPort;
use super::choices::Store;
use super::client::ClientSection;
use super::key::Key;
use super::section::Item;
use super::server::ServerSection;
use super::storage::{QueueSection, ReceiptsSection};
use super::texts::{CpuList, Octets, Uid};
use super::vserver::VserverSection;
use smppmux_engine::core::range::AddressRange;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::shell::IoDriver;
use smppmux_flow_distributor::{PinRule, RssHash, RssKey, Scheme};
use std::net::SocketAddr;
use std::time::Duration;

/// What `--server` binds with.
const FLAG_SYSTEM_ID: &str = "smppmux";
const FLAG_PASSWORD: &str = "smppmux";

/// Name of the vserver that `--listen` makes.
const FLAG_VSERVER: &str = "default";

/// Flags that override a key of `[engine]`; `None` where the flag was not given.
#[derive(Clone, Debug, Default)]
pub struct EngineFlags {
    /// `--cores`.
    pub cores: Option<CpuList>,
    /// `--control-core`.
    pub control_core: Option<u16>,
    /// `--io`.
    pub io: Option<IoDriver>,
    /// `--spin-before-park`.
    pub spin_before_park: Option<Duration>,
    /// `--ring-depth`.
    pub ring_depth: Option<u32>,
    /// `--io-memory`.
    pub io_memory: Option<Octets>,
    /// `--read-buffer`.
    pub read_buffer: Option<Octets>,
    /// `--turn-budget`.
    pub turn_budget: Option<Octets>,
    /// `--c2c-capacity`.
    pub c2c_capacity: Option<u32>,
    /// `--distribution`.
    pub distribution: Option<Scheme>,
    /// `--rss-hash`.
    pub rss_hash: Option<RssHash>,
    /// `--rss-key`.
    pub rss_key: Option<RssKey>,
    /// `--rss-bits`.
    pub rss_bits: Option<u8>,
    /// `--pin`, once for each rule.
    pub pins: Vec<PinRule>,
    /// `--connections-per-server`.
    pub connections_per_server: Option<u32>,
    /// `--window`.
    pub window: Option<u32>,
    /// `--drain-timeout`.
    pub drain_timeout: Option<Duration>,
}

/// Flags that override a key of `[admin]`; `None` where the flag was not given.
#[derive(Clone, Debug, Default)]
pub struct AdminFlags {
    /// `--admin-listen`.
    pub listen: Option<SocketAddr>,
    /// `--admin-socket`.
    pub socket: Option<String>,
}

impl Configuration {
    /// Lays the flags over the file.
    ///
    /// `--window` and `--connections-per-server` also override what single servers say, except
    /// `connections-total`: that is a limit which the server's owner set.
    pub fn apply(&mut self, flags: EngineFlags) {
        let engine = &mut self.engine.section;
        engine.cores.override_by("--cores", flags.cores.map(Some));
        engine
            .control_core
            .override_by("--control-core", flags.control_core.map(Some));
        engine.io.override_by("--io", flags.io);
        engine
            .spin_before_park
            .override_by("--spin-before-park", flags.spin_before_park);
        engine.ring_depth.override_by("--ring-depth", flags.ring_depth);
        engine.io_memory.override_by("--io-memory", flags.io_memory);
        engine.read_buffer.override_by("--read-buffer", flags.read_buffer);
        engine.turn_budget.override_by("--turn-budget", flags.turn_budget);
        engine
            .c2c_capacity
            .override_by("--c2c-capacity", flags.c2c_capacity);
        engine
            .distribution
            .override_by("--distribution", flags.distribution);
        engine.rss_hash.override_by("--rss-hash", flags.rss_hash);
        engine.rss_key.override_by("--rss-key", flags.rss_key.map(Some));
        engine.rss_bits.override_by("--rss-bits", flags.rss_bits);
        let pins: Vec<_> = flags
            .pins
            .into_iter()
            .map(|pin| Key::by_flag("--pin", pin))
            .collect();
        engine
            .pins
            .override_by("--pin", Some(pins).filter(|pins| !pins.is_empty()));
        engine
            .connections_per_server
            .override_by("--connections-per-server", flags.connections_per_server);
        engine.window.override_by("--window", flags.window);
        engine
            .drain_timeout
            .override_by("--drain-timeout", flags.drain_timeout);
        for server in self.servers.iter_mut().map(|item| &mut item.section) {
            if flags.window.is_some() {
                server.window = Key::unset();
            }
            if flags.connections_per_server.is_some() {
                server.connections = Key::unset();
            }
        }
    }

    /// Lays `--admin-listen` and `--admin-socket` over the file.
    pub fn apply_admin(&mut self, flags: AdminFlags) {
        let admin = &mut self.admin.section;
        admin.listen.override_by("--admin-listen", flags.listen.map(Some));
        admin.socket.override_by("--admin-socket", flags.socket.map(Some));
    }

    /// A configuration without a file: one vserver, its servers with the uids 01, 02 … and its accounts, each
    /// of which may claim every address.
    pub fn by_flags(listen: Vec<SocketAddr>, servers: Vec<HostPort>, clients: Vec<Credentials>) -> Self {
        let vserver = VserverSection {
            name: Key::by_flag("--listen", Some(FLAG_VSERVER.into())),
            listen: Key::by_flag(
                "--listen",
                Some(
                    listen
                        .into_iter()
                        .map(|address| Key::by_flag("--listen", address))
                        .collect(),
                ),
            ),
            ..VserverSection::default()
        };
        Self {
            vservers: vec![Item::by_flags(vserver)],
            servers: (1..)
                .zip(servers)
                .map(|(number, address)| server_by_flag(number, address))
                .collect(),
            clients: clients.into_iter().map(client_by_flag).collect(),
            // Nobody named a file or a folder, and none shall appear where somebody only tries something out.
            queue: Item::by_flags(QueueSection {
                store: Key::by_default(Store::Memory),
                ..QueueSection::default()
            }),
            receipts: Item::by_flags(ReceiptsSection {
                store: Key::by_default(Store::Memory),
                ..ReceiptsSection::default()
            }),
            ..Self::default()
        }
    }
}

/// `ID:PASSWORD` of `--client`. The password is not shown.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Before the first colon.
    pub system_id: String,
    /// Behind it.
    pub password: Secret,
}

impl super::value::Text for Credentials {
    const EXPECTED: &'static str = "a system_id and a password, such as esme1:secret";

    fn parse_text(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((system_id, password)) if !system_id.is_empty() => Ok(Self {
                system_id: system_id.into(),
                password: Secret::new(password),
            }),
            _ => Err("write the system_id, a colon and the password, like esme1:secret".into()),
        }
    }
}

fn server_by_flag(number: usize, address: HostPort) -> Item<ServerSection> {
    Item::by_flags(ServerSection {
        name: Key::by_flag("--server", Some(format!("server-{number:02}"))),
        uid: Key::by_flag("--server", Some(numbered_uid(number))),
        address: Key::by_flag("--server", Some(address)),
        system_id: Key::by_flag("--server", Some(FLAG_SYSTEM_ID.into())),
        password: Key::by_flag("--server", Some(Secret::new(FLAG_PASSWORD))),
        ..ServerSection::default()
    })
}

/// 01, 02 … 99, then those whose second character is a letter: 0A, 0B … ZZ. Past the last one they repeat,
/// which is reported.
fn numbered_uid(number: usize) -> Uid {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (first, second) = if number < 100 {
        (number / 10, number % 10)
    } else {
        // Behind 99 come the uids that hold a letter.
        let letters = number - 100;
        (letters / 26 % 36, 10 + letters % 26)
    };
    Uid([DIGITS[first], DIGITS[second]])
}

fn client_by_flag(credentials: Credentials) -> Item<ClientSection> {
    // The text is constant and well-formed, so there is always one.
    let everything = AddressRange::parse(b".*").into_iter();
    Item::by_flags(ClientSection {
        system_id: Key::by_flag("--client", Some(credentials.system_id)),
        password: Key::by_flag("--client", Some(credentials.password)),
        address_ranges: Key::by_flag(
            "--client",
            everything.map(|range| Key::by_flag("--client", range)).collect(),
        ),
        ..ClientSection::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Goal: the uids of `--server` start with 01, 02 and stay different for as many servers as anyone has.
    #[test]
    fn uids_are_numbered() {
        assert_eq!(numbered_uid(1).to_string(), "01");
        assert_eq!(numbered_uid(12).to_string(), "12");
        assert_eq!(numbered_uid(100).to_string(), "0A");
        let uids: HashSet<Uid> = (1..=1000).map(numbered_uid).collect();
        assert_eq!(uids.len(), 1000);
    }
}
