//! The number of a core in its mesh.

use std::fmt;

/// A core's place in the mesh, counted from 0. It is not the number of a CPU: two engines may share one CPU in a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreIndex(pub u16);

impl CoreIndex {
    /// As an index into a table that has one row for each core.
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for CoreIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<u16> for CoreIndex {
    fn from(index: u16) -> Self {
        Self(index)
    }
}
