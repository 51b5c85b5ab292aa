//! Which driver moves the bytes: what the operator asked for, and what this host can do.

use super::io_uring_probe::check_io_uring;
use super::ring_driver::{RingFeatures, probe};
use super::settings::ShellSettings;
use super::start_error::StartError;
use std::fmt;

/// How the engines are to talk to the kernel (`--io`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoDriver {
    /// The one that measures best over all loads: epoll (docs/decisions/0005).
    #[default]
    Auto,
    /// glommio's executors on io_uring.
    Glommio,
    /// One io_uring for each core, used directly.
    Ring,
    /// epoll, which every host has.
    Epoll,
}

/// A driver that this host can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChosenDriver {
    Glommio,
    Ring(RingFeatures),
    Epoll,
}

/// Looks what the host offers and chooses.
///
/// # Errors
/// `IoUringUnavailable` when the operator named a driver that needs io_uring and the host does not offer it.
pub(super) fn choose(settings: &ShellSettings) -> Result<ChosenDriver, StartError> {
    match settings.io_driver {
        IoDriver::Glommio => check_io_uring(settings).map(|()| ChosenDriver::Glommio),
        IoDriver::Ring => probe(settings).map(ChosenDriver::Ring),
        IoDriver::Epoll | IoDriver::Auto => Ok(ChosenDriver::Epoll),
    }
}

impl fmt::Display for ChosenDriver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Glommio => "glommio",
            Self::Ring(_) => "ring",
            Self::Epoll => "epoll",
        })
    }
}
