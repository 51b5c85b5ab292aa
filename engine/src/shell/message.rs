//! What the threads of the process say to each other through the mesh: the engines' own messages, connections that
//! belong to another core, and the control core's orders.

use super::admission::Ticket;
use super::report::CoreReport;
use super::steering::Entrance;
use crate::core::contract::Command;
use crate::core::core_message::CoreMessage;
use crate::core::report::Wanted;
use smppmux_flow_distributor::IndirectionTable;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// One message of the mesh. Its lane is fixed by its kind; the engines' messages say theirs themselves.
#[derive(Debug)]
pub(crate) enum ShellMessage {
    /// From one engine to another.
    Engine(CoreMessage),
    /// A connection that was accepted on the wrong core (a request). Dropping it closes the connection.
    HandOver(HandOver),
    /// The answer to a hand-over: its credit comes back. Whether the engine took the connection is its own affair.
    HandedOver,
    /// How many clients' connections the sender has (control; one unacknowledged at most between two cores).
    Load(u32),
    /// That was heard (control).
    LoadHeard,
    /// An order of the control core (a request).
    Command(Command),
    /// The order was given to the engine, or the table is in use (an answer).
    CommandTaken,
    /// The control core publishes a table by which new connections find their core (a request).
    Table(Arc<IndirectionTable>),
    /// The control core asks for figures (a request). The token comes back with them.
    ReportRequest(u32, Wanted),
    /// The figures (an answer).
    Report(u32, Box<CoreReport>),
}

/// An accepted connection on its way to its core.
#[derive(Debug)]
pub(crate) struct HandOver {
    pub(crate) socket: OwnedFd,
    pub(crate) entrance: Entrance,
    pub(crate) peer: SocketAddr,
    /// Its client speaks TLS.
    pub(crate) is_tls: bool,
    /// Its place among the connections that are counted, where some are.
    pub(crate) ticket: Option<Ticket>,
}
