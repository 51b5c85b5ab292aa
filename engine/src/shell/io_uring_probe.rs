//! Asks the kernel for a small io_uring and gives it back: glommio ends in a panic where there is none, and an operator
//! deserves a reason.

use super::settings::ShellSettings;
use super::start_error::{IoUringObstacle, StartError};
use rustix::io_uring::{IoringFeatureFlags, io_uring_params, io_uring_setup};
use std::io;

/// What glommio asks for before it makes its rings.
const LOCKED_MEMORY_OCTETS_MIN: u64 = 512 * 1024;

/// Whether io_uring can be used here, with rings as deep as the settings want.
///
/// # Errors
/// `IoUringUnavailable`, with the reason as far as the system tells it.
pub(super) fn check_io_uring(settings: &ShellSettings) -> Result<(), StartError> {
    check_locked_memory()?;
    let entries = u32::try_from(settings.ring_depth).unwrap_or(u32::MAX);
    let mut parameters = io_uring_params::default();
    // SAFETY: the parameters are zero, so they name no other ring and no memory of ours; the ring is closed unused.
    let ring = unsafe { io_uring_setup(entries, &mut parameters) };
    ring.map_err(|error| unavailable(IoUringObstacle::of(&error.into())))?;
    // Linux 5.7 has it; without it a poll for readiness costs a thread of the kernel.
    if parameters.features.contains(IoringFeatureFlags::FAST_POLL) {
        return Ok(());
    }
    let too_old = io::Error::from(rustix::io::Errno::NOSYS);
    Err(unavailable(IoUringObstacle::of(&too_old)))
}

fn check_locked_memory() -> Result<(), StartError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match limit {
        Some(octets) if octets < LOCKED_MEMORY_OCTETS_MIN => {
            let limit_octets = Some(octets);
            Err(unavailable(IoUringObstacle::LockedMemory { limit_octets }))
        }
        _ => Ok(()),
    }
}

fn unavailable(obstacle: IoUringObstacle) -> StartError {
    StartError::IoUringUnavailable(obstacle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a ring that the kernel refuses (depth 0, or deeper than any) is an error with its reason, not a panic.
    #[test]
    fn a_refused_ring_is_an_error() {
        let mut settings = ShellSettings::for_cpus(vec![0]);
        assert!(check_io_uring(&settings).is_ok());
        for depth in [0, usize::MAX] {
            settings.ring_depth = depth;
            let error = check_io_uring(&settings).expect_err("impossible");
            assert!(matches!(
                error,
                StartError::IoUringUnavailable(IoUringObstacle::Other(_))
            ));
        }
    }
}
