//! Routing rules: what happens to a message before a server, or a pool of clients, is chosen for it.
//!
//! Owns the rules' own logic and nothing of an engine: [`RouteTable::first_match`] is a pure function, the same for a message
//! and for a dry run. Invariants: the first rule of the configuration that matches wins, whatever the index does; a look-up
//! allocates nothing, and its price grows with the rules that could match, not with all of them.

mod groups;
mod hop;
mod rewrite;
mod several;
mod table;

pub use groups::RouteGroups;
pub use hop::{Hop, HopGuard};
pub(in crate::core) use rewrite::CannotRewrite;
pub use rewrite::{AddressChange, Rewrite};
pub(in crate::core) use several::SeveralDestinations;
pub use table::RouteTable;

use super::range::AddressRange;
use super::settings::{ClientIndex, ServerIndex, VserverIndex};
use super::wire::{Address, Status};

/// Which way the messages of a rule go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to servers.
    MobileTerminated,
    /// From servers to clients.
    MobileOriginated,
}

/// One rule: what it matches, and what it does.
#[derive(Clone, Debug)]
pub struct RouteRule {
    /// For logs and dry runs.
    pub name: String,
    /// What it matches.
    pub matches: RouteMatch,
    /// What it does.
    pub action: RouteAction,
}

/// What a rule asks of a message; what it does not name, it does not look at.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// Which way.
    pub direction: Direction,
    /// Vservers; empty means all.
    pub vservers: Vec<VserverIndex>,
    /// The accounts that sent it; empty means all.
    pub clients: Vec<ClientIndex>,
    /// The servers that sent it; empty means all.
    pub from_servers: Vec<ServerIndex>,
    /// The source.
    pub source: AddressMatch,
    /// The destination. A message without one does not match a rule that names any; of several, each meets the rules alone.
    pub destination: AddressMatch,
    /// service_type, without its NUL.
    pub service_type: Option<Box<[u8]>>,
    /// data_coding: one of these.
    pub data_coding: Vec<u8>,
    /// esm_class under a mask.
    pub esm_class: Option<(u8, u8)>,
    /// Vendor commands (0x00010200 to 0x000102FF) of either side instead of messages.
    pub vendor_commands: bool,
}

/// What a rule asks of one address.
#[derive(Clone, Debug, Default)]
pub struct AddressMatch {
    /// A prefix or expression.
    pub range: Option<AddressRange>,
    /// TON.
    pub ton: Option<u8>,
    /// NPI.
    pub npi: Option<u8>,
}

impl AddressMatch {
    /// It asks for something.
    pub const fn is_given(&self) -> bool {
        self.range.is_some() || self.ton.is_some() || self.npi.is_some()
    }
}

/// What a rule does.
#[derive(Clone, Debug)]
pub enum RouteAction {
    /// Answers with this status.
    Reject(Status),
    /// Lets it go on, changed perhaps.
    Forward {
        /// The servers that may take it; empty means all of the vserver.
        servers: Vec<ServerIndex>,
        /// The vserver whose clients get it (MO); `None`: the server's own.
        vserver: Option<VserverIndex>,
        /// The account whose sessions get it: a vendor command of a server (MO) says nothing of where it goes.
        client: Option<ClientIndex>,
        /// What is changed in it.
        rewrite: Rewrite,
    },
}

/// What is known of a message when a rule is looked for.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuery<'a> {
    /// The account that sent it.
    pub client: Option<ClientIndex>,
    /// The server that sent it.
    pub server: Option<ServerIndex>,
    /// The source.
    pub source: Address<'a>,
    /// The destination, if it has one; of several, the one that is looked at.
    pub destination: Option<Address<'a>>,
    /// service_type, without its NUL.
    pub service_type: &'a [u8],
    /// data_coding.
    pub data_coding: u8,
    /// esm_class.
    pub esm_class: u8,
    /// It is a vendor command: of the rest only the sender is known.
    pub is_vendor_command: bool,
}
