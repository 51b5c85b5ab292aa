//! Builds a mesh: every endpoint, with bounded lanes between every ordered pair of them.

use std::sync::Arc;

use crate::channel::bounded;
use crate::core_index::CoreIndex;
use crate::endpoint::Endpoint;
use crate::peer::{Inlet, Outlet, Peer};
use crate::seat::Seat;

/// How much may be under way from one core to one other. The room is allocated when the mesh is made: for each ordered
/// pair about `2 × (requests + control) × (size of a message + 8)` octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshCapacity {
    /// Requests that wait for their answer (credits). 0 refuses every request.
    pub requests: usize,
    /// Control messages that wait for their acknowledgement.
    pub control: usize,
}

/// Makes a mesh of `cores` endpoints; the endpoint at position *i* belongs to core *i*.
///
/// A control core is one more endpoint: make the mesh one larger and let its last member wait with a
/// [`ThreadParker`](crate::ThreadParker).
///
/// # Panics
/// When `cores` does not fit a [`CoreIndex`].
pub fn mesh<M: Send>(cores: usize, capacity: MeshCapacity) -> Vec<Endpoint<M>> {
    assert!(
        cores <= usize::from(u16::MAX),
        "a mesh has at most 65535 cores, not {cores}"
    );
    let seats: Arc<[Seat]> = (0..cores).map(|_| Seat::new()).collect();
    let mut outlets: Vec<Vec<Option<Outlet<M>>>> = square(cores);
    let mut inlets: Vec<Vec<Option<Inlet<M>>>> = square(cores);
    for from in 0..cores {
        for to in (0..cores).filter(|to| *to != from) {
            let (outlet, inlet) = lanes(capacity);
            outlets[from][to] = Some(outlet);
            inlets[to][from] = Some(inlet);
        }
    }
    let rows = outlets.into_iter().zip(inlets);
    (0..=u16::MAX)
        .zip(rows)
        .map(|(core, (outlets, inlets))| {
            let peers = outlets
                .into_iter()
                .zip(inlets)
                .map(|ends| new_peer(ends, capacity))
                .collect();
            Endpoint::new(CoreIndex(core), Arc::clone(&seats), peers, capacity)
        })
        .collect()
}

/// The three lanes of one ordered pair. The sender's answers are to the other side's requests, of which there are as
/// many as credits. Its control lane holds its own changes and its acknowledgements of the other side's.
fn lanes<M>(capacity: MeshCapacity) -> (Outlet<M>, Inlet<M>) {
    // A channel without room would hand over only to a waiting receiver, and nobody waits here.
    let (requests_out, requests_in) = bounded(capacity.requests.max(1));
    let (answers_out, answers_in) = bounded(capacity.requests.max(1));
    let (control_out, control_in) = bounded(capacity.control.saturating_mul(2).max(1));
    (
        Outlet {
            requests: requests_out,
            answers: answers_out,
            control: control_out,
        },
        Inlet {
            requests: requests_in,
            answers: answers_in,
            control: control_in,
        },
    )
}

fn new_peer<M>(ends: (Option<Outlet<M>>, Option<Inlet<M>>), capacity: MeshCapacity) -> Option<Peer<M>> {
    let (Some(outlet), Some(inlet)) = ends else {
        return None;
    };
    Some(Peer {
        outlet,
        inlet,
        credits: capacity.requests,
        owed_answers: 0,
        posted: false,
        departure_reported: false,
    })
}

fn square<T>(side: usize) -> Vec<Vec<Option<T>>> {
    (0..side).map(|_| (0..side).map(|_| None).collect()).collect()
}
