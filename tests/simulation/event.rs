//! What can happen, and the queue of it: one virtual clock for everything.

use crate::pdu::Pdu;
use smppmux_engine::core::contract::PasswordVerdict;
use smppmux_engine::core::time::Moment;
use std::collections::BTreeMap;

/// A connection between an engine and a peer, by its place in the world's table; never used twice.
pub(crate) type LinkId = usize;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// An engine's shell has something for it.
    Engine(usize, Input),
    /// Octets (or the end of them) reach a link's peer.
    PeerReadable(LinkId),
    /// A peer writes a PDU that it has thought about for a while.
    PeerWrites(LinkId, Pdu),
    /// A peer closes its end.
    PeerCloses(LinkId),
    /// A peer that took no octet takes them again.
    ReadsAgain(LinkId),
    /// An ESME does the next thing that it does.
    EsmeActs(usize),
    /// An SMSC does.
    SmscActs(usize),
    /// An SMSC opens connections itself, while all is well.
    SmscCalls(usize),
    /// The store's thread begins with what was ordered, or is done with it.
    StoreActs,
    /// The process, which was killed, starts again.
    ProcessStarts,
    /// Something goes wrong, perhaps.
    FaultStrikes,
    /// One of the requests that must succeed.
    Probe(usize),
    /// The run's next phase begins.
    NextPhase,
}

/// What an engine's shell learns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// A connection that the engine asked for is open (or failed).
    Connected(LinkId, bool),
    /// An ESME connects, or an SMSC that calls.
    Accepted(LinkId),
    /// The kernel has octets of the peer.
    Readable(LinkId),
    /// The kernel has room for octets to the peer.
    Writable(LinkId),
    /// The kernel has lost the connection.
    Lost(LinkId),
    /// The first message of a lane from another core.
    CoreMessage {
        from: usize,
        lane: usize,
    },
    /// Another core is gone.
    CoreGone(usize),
    Timeout,
    /// The next word of the store.
    Store,
    /// What came of a question about a password.
    Password(u32, PasswordVerdict),
    /// The turn is over: the outputs are polled.
    TurnEnds,
    /// A stalled core goes on.
    StallEnds,
    Drain,
    /// The order with this number arrives.
    Order(usize),
}

/// Events in order of time, and for the same time in order of their making.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: BTreeMap<(Moment, u64), Event>,
    made: u64,
}

impl Events {
    pub(crate) fn at(&mut self, moment: Moment, event: Event) {
        self.queue.insert((moment, self.made), event);
        self.made += 1;
    }

    /// What nobody is there for any more.
    pub(crate) fn forget(&mut self, is_void: impl Fn(&Event) -> bool) {
        self.queue.retain(|_, event| !is_void(event));
    }

    pub(crate) fn pop(&mut self) -> Option<(Moment, Event)> {
        self.queue.pop_first().map(|((at, _), event)| (at, event))
    }
}
