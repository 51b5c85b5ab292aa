//! What the threads of the process say to each other through the mesh: the engines' own messages, connections that
//! belong to another core, and the control core's orders.

use super::admission::Ticket;
use super::report::CoreReport;
use super::steering::{Entrance, PinOfFlow};
use super::tls::Session;
use crate::core::contract::Command;
use crate::core::core_message::CoreMessage;
use crate::core::report::Wanted;
use crate::core::time::Moment;
use bytes::BytesMut;
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
    /// The answer to the hand-over of a connection whose bind has come: this core takes nothing new. It goes on where it was.
    HandedBack(HandOver),
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
    /// What counts beside its account for the core that it belongs to.
    pub(crate) pin: Option<PinOfFlow>,
    /// Its place among the connections that are counted, where some are.
    pub(crate) ticket: Option<Ticket>,
    /// What came before it was known where it belongs: its bind. `None`: nothing was read.
    pub(crate) unread: Option<Box<Unread>>,
}

/// What goes with a connection that moves to the core of its account.
#[derive(Debug)]
pub(crate) struct Unread {
    /// What was received; empty with TLS, whose state has it.
    pub(crate) octets: BytesMut,
    pub(crate) tls: Option<Box<Session>>,
    /// The peer has said that nothing follows.
    pub(crate) read_finished: bool,
    /// Until when it must have bound.
    pub(crate) bind_deadline: Moment,
}
