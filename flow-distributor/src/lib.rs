//! Decides which core a new connection belongs to.
//!
//! A listener has an accepting socket on every core, and the kernel gives a new connection to any of them. The
//! [`Distributor`] of the core that accepted it says where it belongs; the shell hands it over if that is elsewhere.
//!
//! How it decides, in this order:
//! 1. the first [`PinRule`] that matches the flow (by source network or listener) narrows the cores to a set;
//! 2. the [`Scheme`] picks one of them. The `rss` schemes hash the flow's addresses with a key, and the low 1–7 bits
//!    index an [`IndirectionTable`] that names a core; `account` does so with the system_id, after the bind.
//!
//! Long-lived binds defeat a static hash, so the table is a value with a version: [`plan_rebalancing`] says which
//! buckets to rewrite, a [`Balancer`] when, and every core gets the same new copy. Only new flows follow.
//!
//! Invariants: a chosen core is always one of the configured cores and, where a rule matched, one of the rule's.
//! The same key, table and flow give the same core on every core of the process (`rss`, `account`).
//! This crate does no I/O, reads no clock and keeps nothing for each flow.

#![forbid(unsafe_code)]

mod balancer;
mod core_set;
mod distributor;
mod flow;
mod hash;
mod indirection;
mod key;
mod network;
mod pin_rule;
mod rebalance;
mod scheme;
mod settings;
mod toeplitz;

pub use balancer::{Balancer, CoreWork, Look, Policy};
pub use core_set::{CORES_MAX, CoreSet, CoreSetError};
pub use distributor::Distributor;
pub use flow::Flow;
pub use hash::{FlowHasher, RssHash, UnknownRssHash};
pub use indirection::{BUCKETS_MAX, IndirectionTable, RssBits, RssBitsError, TableError};
pub use key::{KEY_OCTETS, RssKey, RssKeyError};
pub use network::{Network, NetworkError};
pub use pin_rule::{PinRule, PinRuleError, PinSubject};
pub use rebalance::{BucketMove, LoadView, Tolerance, plan_rebalancing};
pub use scheme::{Scheme, UnknownScheme};
pub use settings::{Settings, SettingsError};
