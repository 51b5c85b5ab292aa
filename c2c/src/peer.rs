//! What one endpoint holds for one other core: the ends of the six lanes between them, and the counts that bound them.

use crate::channel::{Receiver, Sender};
use crate::lane::Lane;

/// The sending ends of the three lanes to one core.
pub(crate) struct Outlet<M> {
    pub(crate) requests: Sender<M>,
    pub(crate) answers: Sender<M>,
    pub(crate) control: Sender<M>,
}

/// The receiving ends of the three lanes from one core.
pub(crate) struct Inlet<M> {
    pub(crate) requests: Receiver<M>,
    pub(crate) answers: Receiver<M>,
    pub(crate) control: Receiver<M>,
}

impl<M> Inlet<M> {
    pub(crate) fn lane(&self, lane: Lane) -> &Receiver<M> {
        match lane {
            Lane::Request => &self.requests,
            Lane::Answer => &self.answers,
            Lane::Control => &self.control,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        Lane::ALL.iter().all(|lane| self.lane(*lane).is_empty())
    }
}

/// Everything that one endpoint holds for one other core.
pub(crate) struct Peer<M> {
    pub(crate) outlet: Outlet<M>,
    pub(crate) inlet: Inlet<M>,
    /// Requests that may still be sent before an answer comes back.
    pub(crate) credits: usize,
    /// Requests received from the peer that were not answered yet.
    pub(crate) owed_answers: usize,
    /// Something was posted since the bells were last rung.
    pub(crate) posted: bool,
    /// The owner was told that the peer has gone.
    pub(crate) departure_reported: bool,
}
