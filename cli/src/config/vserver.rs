//! `[[vserver]]`: a listening virtual server.

use super::addresses::Network;
use super::key::{Key, Origin};
use super::section::Section;
use super::tls::TlsVersion;
use serde::Deserialize;
use smppmux_engine::core::secret::Secret;
use smppmux_engine::core::settings::{
    AllServersDown, Auth, EmptyRange, HashKey, MessageIdMode, Method, OnServerLoss, OnThrottle, Overload,
    PoolMethod, ReceiptRoute, UnknownReceipt,
};
use smppmux_engine::core::wire::Status;
use std::net::SocketAddr;
use std::time::Duration;

/// The keys of `[[vserver]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VserverSection {
    /// Unique name. Required.
    pub name: Key<Option<String>>,
    /// Addresses to listen on. Required.
    pub listen: Key<Option<Vec<Key<SocketAddr>>>>,
    /// How a server is chosen for a message. Default: `"least-outstanding"`.
    pub method: Key<Method>,
    /// So many messages that a client sends together may go to one server together. Default: 16.
    pub method_batch: Key<u32>,
    /// Percent of its servers that may be left out for their answers at once. Default: 50.
    pub eject_limit: Key<u32>,
    /// What `method = "hash"` hashes. Default: `"destination"`.
    pub hash_key: Key<HashKey>,
    /// Who checks a client's password. Default: `"local"`.
    pub auth: Key<Auth>,
    /// Names of the servers behind it. Default: all servers.
    pub servers: Key<Option<Vec<Key<String>>>>,
    /// What happens to a message while every window is full. Default: `"hold"`.
    pub overload: Key<Overload>,
    /// How long such a message is held. Default: `"2s"`.
    pub hold_time: Key<Duration>,
    /// What happens to a message while no server is bound. Default: `"answer"`.
    pub all_servers_down: Key<AllServersDown>,
    /// What happens to written, unanswered requests when a server session ends. Default: `"fail"`.
    pub on_server_loss: Key<OnServerLoss>,
    /// What happens to a request that a server throttled. Default: `"answer"`.
    pub on_throttle: Key<OnThrottle>,
    /// Tag of the TLV that counts the gateways that a message has passed. Default: none, nothing is counted.
    pub hop_guard_tag: Key<Option<u16>>,
    /// A message that has passed so many gateways is refused. Default: 8.
    pub hop_guard_max: Key<u8>,
    /// Where delivery receipts go. Default: `"submitter"`.
    pub receipts: Key<ReceiptRoute>,
    /// How long a receipt waits for the answer to its submit. Default: `"10s"`.
    pub receipt_hold: Key<Duration>,
    /// What happens to a receipt whose submitter is not known. Default: `"address"`.
    pub receipt_unknown: Key<UnknownReceipt>,
    /// How a session is chosen inside a pool. Default: `"round-robin"`.
    pub pool_method: Key<PoolMethod>,
    /// What a bind with an empty address_range gets. Default: `"allowed"`.
    pub empty_range: Key<EmptyRange>,
    /// The signature in tagged message ids. Default: `"mx"`.
    pub signature: Key<String>,
    /// What the message ids look like that clients get. Default: `"tagged"`.
    pub message_id: Key<MessageIdMode>,
    /// The key of `message-id = "signed"`. Default: none.
    pub message_id_key: Key<Option<Secret>>,
    /// How long an unanswered request keeps its slot after its timeout. Default: `"60s"`.
    pub late_answer_hold: Key<Duration>,
    /// How long a forwarded bind's credentials are remembered. Default: `"60s"`.
    pub forward_cache: Key<Duration>,
    /// Status for a request that no server answered in time. Default: `"ESME_RSYSERR"`.
    pub timeout_status: Key<Status>,
    /// How long a new connection may take to bind. Default: `"5s"`.
    pub bind_timeout: Key<Duration>,
    /// Nothing received from a client for so long: enquire_link. Default: `"25s"`.
    pub enquire_link_interval: Key<Duration>,
    /// Unanswered enquire_links after which the connection is closed. Default: 2.
    pub enquire_link_misses: Key<u32>,
    /// How long a client may take to answer a deliver_sm. Default: `"10s"`.
    pub response_timeout: Key<Duration>,
    /// How long a concatenated message may take to be complete. Default: `"60s"`.
    pub concat_timeout: Key<Duration>,
    /// Networks whose connections begin with a PROXY protocol header. Default: none.
    pub proxy_protocol: Key<Vec<Network>>,
    /// Connections at once. Default: no limit.
    pub max_connections: Key<Option<u32>>,
    /// Connections at once from one address. Default: no limit.
    pub max_connections_per_address: Key<Option<u32>>,
    /// New connections in a second from one address. Default: no limit.
    pub connection_rate_per_address: Key<Option<u32>>,
    /// Failed binds of an address after which it is banned. Default: no limit.
    pub failed_binds_max: Key<Option<u32>>,
    /// Failed binds are forgotten when none followed for so long. Default: `"1min"`.
    pub failed_bind_window: Key<Duration>,
    /// How long an address may not connect after a failed bind; doubles with each. Default: none.
    pub failed_bind_back_off: Key<Option<Duration>>,
    /// How long a ban lasts. Default: `"1min"`.
    pub ban_time: Key<Duration>,
    /// Networks to which the limits of an address and bans do not apply. Default: none.
    pub limits_exempt: Key<Vec<Network>>,
    /// Addresses where clients speak TLS. Default: none.
    pub tls_listen: Key<Vec<Key<SocketAddr>>>,
    /// Files of certificates, PEM. Default: none.
    pub tls_certificate: Key<Vec<String>>,
    /// Files of their keys, in the same order. Default: none.
    pub tls_key: Key<Vec<String>>,
    /// File of the certificates that sign those of clients. Default: none, clients need no certificate.
    pub tls_client_ca: Key<Option<String>>,
    /// Whether every client must have a certificate, where `tls-client-ca` is given. Default: true.
    pub tls_client_required: Key<bool>,
    /// The oldest version that is accepted. Default: `"1.2"`.
    pub tls_minimum_version: Key<TlsVersion>,
}

impl VserverSection {
    /// The keys that are different in `new` and that only a restart can change: their names, and their places there.
    pub(super) fn needs_restart<'n>(&self, new: &'n Self) -> Vec<(&'static str, &'n Origin)> {
        fn changed<'n, T: PartialEq>(
            name: &'static str,
            old: &Key<T>,
            new: &'n Key<T>,
        ) -> Option<(&'static str, &'n Origin)> {
            (old != new).then(|| (name, new.origin()))
        }
        macro_rules! changed {
            ($($name:literal: $key:ident),* $(,)?) => {
                [$(changed($name, &self.$key, &new.$key)),*]
            };
        }
        let keys = changed! {
            "listen": listen,
            "tls-listen": tls_listen,
            "auth": auth,
            "proxy-protocol": proxy_protocol,
            "max-connections": max_connections,
            "max-connections-per-address": max_connections_per_address,
            "connection-rate-per-address": connection_rate_per_address,
            "failed-binds-max": failed_binds_max,
            "failed-bind-window": failed_bind_window,
            "failed-bind-back-off": failed_bind_back_off,
            "ban-time": ban_time,
            "limits-exempt": limits_exempt,
        };
        keys.into_iter().flatten().collect()
    }
}

impl Section for VserverSection {
    const NAME: &'static str = "[[vserver]]";
}

impl Default for VserverSection {
    fn default() -> Self {
        Self {
            name: Key::unset(),
            listen: Key::unset(),
            method: Key::by_default(Method::LeastOutstanding),
            method_batch: Key::by_default(128),
            eject_limit: Key::by_default(50),
            hash_key: Key::by_default(HashKey::Destination),
            auth: Key::by_default(Auth::Local),
            servers: Key::unset(),
            overload: Key::by_default(Overload::Hold),
            hold_time: seconds(2),
            all_servers_down: Key::by_default(AllServersDown::Answer),
            on_server_loss: Key::by_default(OnServerLoss::Fail),
            on_throttle: Key::by_default(OnThrottle::Answer),
            hop_guard_tag: Key::unset(),
            hop_guard_max: Key::by_default(8),
            receipts: Key::by_default(ReceiptRoute::Submitter),
            receipt_hold: seconds(10),
            receipt_unknown: Key::by_default(UnknownReceipt::Address),
            pool_method: Key::by_default(PoolMethod::RoundRobin),
            empty_range: Key::by_default(EmptyRange::Allowed),
            signature: Key::by_default("mx".into()),
            message_id: Key::by_default(MessageIdMode::Tagged),
            message_id_key: Key::unset(),
            late_answer_hold: seconds(60),
            forward_cache: seconds(60),
            timeout_status: Key::by_default(Status::ESME_RSYSERR),
            bind_timeout: seconds(5),
            enquire_link_interval: seconds(25),
            enquire_link_misses: Key::by_default(2),
            response_timeout: seconds(10),
            concat_timeout: seconds(60),
            proxy_protocol: Key::by_default(Vec::new()),
            max_connections: Key::unset(),
            max_connections_per_address: Key::unset(),
            connection_rate_per_address: Key::unset(),
            failed_binds_max: Key::unset(),
            failed_bind_window: seconds(60),
            failed_bind_back_off: Key::unset(),
            ban_time: seconds(60),
            limits_exempt: Key::by_default(Vec::new()),
            tls_listen: Key::by_default(Vec::new()),
            tls_certificate: Key::by_default(Vec::new()),
            tls_key: Key::by_default(Vec::new()),
            tls_client_ca: Key::unset(),
            tls_client_required: Key::by_default(true),
            tls_minimum_version: Key::by_default(TlsVersion::V12),
        }
    }
}

const fn seconds(seconds: u64) -> Key<Duration> {
    Key::by_default(Duration::from_secs(seconds))
}
