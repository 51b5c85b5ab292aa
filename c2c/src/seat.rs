//! What every core sees of one core: its bell, and whether it is still there.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bell::Bell;

/// One core's place in the mesh, shared by all.
pub(crate) struct Seat {
    pub(crate) bell: Bell,
    occupied: AtomicBool,
}

impl Seat {
    pub(crate) fn new() -> Self {
        Self {
            bell: Bell::new(),
            occupied: AtomicBool::new(true),
        }
    }

    /// False once its core's lanes have been closed: nothing more comes from it.
    pub(crate) fn is_occupied(&self) -> bool {
        self.occupied.load(Ordering::SeqCst)
    }

    /// Call it after the core's lanes were closed.
    pub(crate) fn free(&self) {
        self.occupied.store(false, Ordering::SeqCst);
    }
}
