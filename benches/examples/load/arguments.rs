//! The command line: `key=value` words.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::tls;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// submit_sm and its answer.
    MobileTerminated,
    /// deliver_sm and its answer.
    MobileOriginated,
    /// submit_sm that asks for a receipt, its answer, the receipt and the receipt's answer.
    Receipts,
    /// submit_sm with the segments of messages of two, by a user data header.
    Concatenated,
    /// Nothing: the connections are bound, and enquire_links are answered.
    Idle,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) targets: Vec<SocketAddr>,
    pub(crate) smscs: Vec<SocketAddr>,
    pub(crate) connections: usize,
    pub(crate) window: usize,
    /// Accounts that the ESMEs bind with, in turn: esme1 and so on.
    pub(crate) accounts: usize,
    pub(crate) rate_per_second: Option<u64>,
    pub(crate) kind: Kind,
    /// The ESMEs bind without an address_range.
    pub(crate) is_range_empty: bool,
    /// The ESMEs connect by TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// It never sleeps, so that nobody's response time has its wake-ups in it.
    pub(crate) is_awake: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Arguments {
    /// # Errors
    /// A sentence on what is wrong.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            targets: Vec::new(),
            smscs: Vec::new(),
            connections: 1,
            window: 1,
            accounts: 10,
            rate_per_second: None,
            kind: Kind::MobileTerminated,
            is_range_empty: false,
            tls: None,
            is_awake: false,
            warm_up: Duration::from_millis(300),
            measured: Duration::from_secs(1),
        };
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is not key=value"))?;
            let wrong = || format!("`{value}` is no {key}");
            match key {
                "target" => arguments.targets.push(value.parse().map_err(|_| wrong())?),
                "smsc" => arguments.smscs.push(value.parse().map_err(|_| wrong())?),
                "connections" => arguments.connections = positive(value).ok_or_else(wrong)?,
                "accounts" => arguments.accounts = positive(value).ok_or_else(wrong)?,
                "window" => arguments.window = positive(value).ok_or_else(wrong)?,
                "rate" => arguments.rate_per_second = Some(value.parse().map_err(|_| wrong())?),
                "warm-up" => arguments.warm_up = seconds(value).ok_or_else(wrong)?,
                "seconds" => arguments.measured = seconds(value).ok_or_else(wrong)?,
                "tls-ca" => arguments.tls = Some(tls::config(Path::new(value))?),
                "wait" if value == "never" => arguments.is_awake = true,
                "range" if value == "empty" => arguments.is_range_empty = true,
                "kind" => {
                    arguments.kind = match value {
                        "mt" => Kind::MobileTerminated,
                        "mo" => Kind::MobileOriginated,
                        "receipts" => Kind::Receipts,
                        "concatenated" => Kind::Concatenated,
                        "idle" => Kind::Idle,
                        _ => return Err(wrong()),
                    }
                }
                _ => return Err(format!("there is no {key}")),
            }
        }
        if arguments.smscs.is_empty() {
            return Err("smsc is missing".to_owned());
        }
        if arguments.targets.is_empty() {
            arguments.targets.clone_from(&arguments.smscs);
        }
        let sends = !matches!(arguments.kind, Kind::MobileOriginated | Kind::Idle);
        if arguments.rate_per_second == Some(0) || (arguments.rate_per_second.is_some() && !sends) {
            return Err("rate is for messages of ESMEs, and at least 1".to_owned());
        }
        Ok(arguments)
    }
}

fn positive(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| (1..=100_000).contains(number))
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
