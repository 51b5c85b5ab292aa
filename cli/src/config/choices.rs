//! The enumerations of the configuration: each name in the file and what it stands for.

use super::value::{choices, text_values};
use smppmux_engine::core::route::Direction;
use smppmux_engine::core::settings::{
    AllServersDown, Auth, ConcatReference, EmptyRange, HashKey, MessageIdFormat, MessageIdMode, Method,
    OnServerLoss, OnThrottle, Overload, PoolMethod, ReceiptRoute, ServerBind, UnknownReceipt,
};
use smppmux_engine::core::wire::Status;
use smppmux_engine::shell::IoDriver;
use smppmux_flow_distributor::{RssHash, Scheme};

choices!(Method:
    "round-robin" => Self::RoundRobin,
    "weighted-round-robin" => Self::WeightedRoundRobin,
    "least-outstanding" => Self::LeastOutstanding,
    "least-response-time" => Self::LeastResponseTime,
    "hash" => Self::Hash,
    "priority" => Self::Priority,
);

choices!(HashKey:
    "source" => Self::Source,
    "destination" => Self::Destination,
    "system-id" => Self::SystemId,
);

choices!(Auth: "local" => Self::Local, "forward" => Self::Forward);

choices!(Overload: "hold" => Self::Hold, "throttle" => Self::Throttle);

choices!(AllServersDown: "answer" => Self::Answer, "hold" => Self::Hold, "unbind" => Self::Unbind);

choices!(OnServerLoss: "fail" => Self::Fail, "retry" => Self::Retry);

choices!(Direction: "mt" => Self::MobileTerminated, "mo" => Self::MobileOriginated);

choices!(OnThrottle: "answer" => Self::Answer, "retry" => Self::Retry);

choices!(PoolMethod: "round-robin" => Self::RoundRobin, "least-outstanding" => Self::LeastOutstanding);

choices!(EmptyRange: "all" => Self::All, "none" => Self::None, "allowed" => Self::Allowed);

choices!(ServerBind:
    "transceiver" => Self::Transceiver,
    "transmitter" => Self::Transmitter,
    "receiver" => Self::Receiver,
    "both" => Self::Both,
);

choices!(IoDriver:
    "auto" => Self::Auto,
    "glommio" => Self::Glommio,
    "ring" => Self::Ring,
    "epoll" => Self::Epoll,
);

choices!(Scheme:
    "rss" => Self::Rss,
    "rss-2-tuple" => Self::RssTwoTuple,
    "least-loaded" => Self::LeastLoaded,
    "round-robin" => Self::RoundRobin,
    "account" => Self::Account,
);

/// Whether the table of new connections is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// It stays as it is.
    Off,
    /// When the engines are uneven.
    Auto,
}

choices!(Rebalance: "off" => Self::Off, "auto" => Self::Auto);

choices!(RssHash: "ahash" => Self::Ahash, "toeplitz" => Self::Toeplitz);

choices!(ReceiptRoute: "submitter" => Self::Submitter, "address" => Self::Address);

choices!(UnknownReceipt: "address" => Self::Address, "queue" => Self::Queue, "refuse" => Self::Refuse);

choices!(MessageIdMode: "tagged" => Self::Tagged, "signed" => Self::Signed, "mapped" => Self::Mapped);

choices!(MessageIdFormat:
    "auto" => Self::Auto,
    "opaque" => Self::Opaque,
    "decimal" => Self::Decimal,
    "hex" => Self::Hex,
);

choices!(ConcatReference:
    "keep" => Self::Keep,
    "udh8" => Self::Udh8,
    "udh16" => Self::Udh16,
    "sar" => Self::Sar,
);

/// Where a queue or map is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// On disk.
    Durable,
    /// In memory only.
    Memory,
    /// Nowhere.
    Off,
}

choices!(Store: "durable" => Self::Durable, "memory" => Self::Memory, "off" => Self::Off);

/// A kind of bind that an account may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    /// bind_transmitter.
    Transmitter,
    /// bind_receiver.
    Receiver,
    /// bind_transceiver.
    Transceiver,
}

choices!(BindKind:
    "transmitter" => Self::Transmitter,
    "receiver" => Self::Receiver,
    "transceiver" => Self::Transceiver,
);

/// The SMPP version of our bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceVersion(
    /// As it stands on the wire: 0x33, 0x34 or 0x50.
    pub u8,
);

choices!(InterfaceVersion: "3.3" => Self(0x33), "3.4" => Self(0x34), "5.0" => Self(0x50));

impl super::value::Text for Status {
    const EXPECTED: &'static str = "the name of a status, such as \"ESME_RSYSERR\"";

    fn parse_text(text: &str) -> Result<Self, String> {
        Self::from_name(text).ok_or_else(|| {
            let names = Self::ALL.iter().filter_map(|status| status.name());
            let nearest = super::hint::nearest(text, names);
            let suggestion = nearest
                .map(|name| format!("; did you mean \"{name}\"?"))
                .unwrap_or_default();
            format!("\"{text}\" is not the name of an SMPP status{suggestion}")
        })
    }
}

text_values!(Status);
