//! What the kernel's io_uring can do, as a trial on a socket pair shows it: release numbers lie about distributions'
//! kernels, and a seccomp profile may allow one call and not the next.

use super::super::settings::ShellSettings;
use super::super::start_error::{IoUringObstacle, StartError};
use super::super::turn_loop::Wait;
use super::operation::Operation;
use super::provided_buffers::ProvidedBuffers;
use super::uring::{self, Completion, Uring};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Features that the driver uses where it finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct RingFeatures {
    /// When completions are worked on.
    pub(super) task_run: TaskRun,
    /// One receive tells of everything that arrives, until it is cancelled (Linux 6.0).
    pub(super) multishot_receive: bool,
    /// A send that wrote all its octets at once tells nothing, and every other one does.
    pub(super) quiet_sends: bool,
}

/// When the kernel works on completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskRun {
    /// When this thread, the only one to use the ring, asks (Linux 6.1).
    Deferred,
    /// At this thread's next system call (Linux 5.19).
    Cooperative,
    /// At once, by interrupting this thread.
    AtOnce,
}

impl RingFeatures {
    /// As few as the driver can do with: what the tests run it with, beside what the host has.
    #[cfg(test)]
    pub(in super::super) const FEWEST: Self = Self {
        task_run: TaskRun::AtOnce,
        multishot_receive: false,
        quiet_sends: false,
    };
}

/// Longest wait for a completion that is due at once.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIAL_ENTRIES: u32 = 8;
const TRIAL_BUFFERS: u16 = 4;
const TRIAL_BUFFER_OCTETS: usize = 1024;
static SMALL: [u8; 5] = *b"quiet";
/// More than a socket pair holds. Static like the other, so that it outlives a trial that goes wrong.
static LARGE: [u8; 8 << 20] = [0; 8 << 20];

/// Tries what the driver needs and what it would like to have.
///
/// # Errors
/// `IoUringUnavailable`, with the reason as far as the system tells it.
pub(in super::super) fn probe(settings: &ShellSettings) -> Result<RingFeatures, StartError> {
    find_features(settings).map_err(StartError::IoUringUnavailable)
}

fn find_features(settings: &ShellSettings) -> Result<RingFeatures, IoUringObstacle> {
    let depth = u32::try_from(settings.ring_depth).unwrap_or(u32::MAX);
    let mut refusal = io::Error::from(rustix::io::Errno::INVAL);
    for task_run in [TaskRun::Deferred, TaskRun::Cooperative, TaskRun::AtOnce] {
        match uring::build(depth, task_run) {
            Ok(_) => return try_features(task_run),
            // A flag that this kernel does not know.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                refusal = error;
            }
            Err(error) => return Err(IoUringObstacle::of(&error)),
        }
    }
    Err(IoUringObstacle::of(&refusal))
}

fn try_features(task_run: TaskRun) -> Result<RingFeatures, IoUringObstacle> {
    let obstacle = |error: io::Error| IoUringObstacle::of(&error);
    let mut ring = uring::build(TRIAL_ENTRIES, task_run).map_err(obstacle)?;
    let parameters = ring.params();
    if !parameters.is_feature_ext_arg() || !parameters.is_feature_nodrop() {
        return Err(too_old("5.11"));
    }
    let may_be_quiet = parameters.is_feature_skip_cqe_on_success();
    let mut trial = Trial::new(Uring::new(&mut ring)).map_err(obstacle)?;
    if trial.register_buffers().is_err() {
        return Err(too_old("5.19"));
    }
    let multishot_receive = trial.receives_repeatedly().map_err(obstacle)?;
    let quiet_sends = may_be_quiet && trial.sends_quietly().map_err(obstacle)?;
    Ok(RingFeatures {
        task_run,
        multishot_receive,
        quiet_sends,
    })
}

fn too_old(needed: &'static str) -> IoUringObstacle {
    IoUringObstacle::TooOld {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        needed,
    }
}

/// A ring, a socket pair and a few buffers.
struct Trial<'ring> {
    uring: Uring<'ring>,
    buffers: ManuallyDrop<ProvidedBuffers>,
    near: OwnedFd,
    far: OwnedFd,
}

impl<'ring> Trial<'ring> {
    fn new(uring: Uring<'ring>) -> io::Result<Self> {
        let (near, far) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        Ok(Self {
            uring,
            buffers: ManuallyDrop::new(ProvidedBuffers::new(TRIAL_BUFFERS, TRIAL_BUFFER_OCTETS)),
            near,
            far,
        })
    }

    fn register_buffers(&mut self) -> io::Result<()> {
        self.uring.register_buffers(&mut self.buffers)
    }

    /// Two octets, one after the other, must come by one request.
    fn receives_repeatedly(&mut self) -> io::Result<bool> {
        rustix::io::write(&self.far, b"1")?;
        self.uring.receive(&self.near, Operation::Receive(0), None);
        let first = self.completion()?;
        if first.result != 1 || !first.more() {
            return Ok(false);
        }
        rustix::io::write(&self.far, b"2")?;
        let second = self.completion()?;
        // Ends it, so that nothing of the trial's is in the kernel's hands afterwards.
        self.uring.cancel(Operation::Receive(0));
        let last = self.completion()?;
        Ok(second.result == 1 && second.more() && !last.more())
    }

    /// A send that fits must leave no trace but its octets; one that does not must tell how far it came.
    fn sends_quietly(&mut self) -> io::Result<bool> {
        // SAFETY: static.
        unsafe {
            self.uring
                .send_quietly(&self.near, Operation::QuietSend(0), &SMALL);
        };
        if !self.none_waits()? {
            return Ok(false);
        }
        self.uring.count_quiet_success();
        let mut read = [0; 16];
        if rustix::io::read(&self.far, &mut read)? != SMALL.len() {
            return Ok(false);
        }
        // SAFETY: static.
        unsafe {
            self.uring
                .send_quietly(&self.near, Operation::QuietSend(0), &LARGE);
        };
        let octets = self.completion()?.count().unwrap_or_default();
        Ok((1..LARGE.len()).contains(&octets))
    }

    /// Hands everything to the kernel; true if it tells nothing.
    fn none_waits(&mut self) -> io::Result<bool> {
        self.uring.enter(Wait::AtMost(Duration::from_millis(1)))?;
        Ok(self.uring.all_handed_over() && self.uring.next_completion().is_none())
    }

    fn completion(&mut self) -> io::Result<Completion> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.uring.enter(Wait::AtMost(PATIENCE))?;
            match self.uring.next_completion() {
                Some(completion) if completion.operation == Operation::Ignored => {}
                Some(completion) => return Ok(completion),
                None => {}
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // Ends a receive that a failed trial left behind.
        let _ = rustix::net::shutdown(&self.near, Shutdown::Both);
        if self.uring.settle(PATIENCE) {
            // SAFETY: dropped once, here; and the kernel has let go.
            unsafe { ManuallyDrop::drop(&mut self.buffers) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the trial comes to an end and to the same result each time, and a depth that no kernel has is an error.
    #[test]
    fn the_trial_is_repeatable() {
        let mut settings = ShellSettings::for_cpus(vec![0]);
        let first = probe(&settings);
        println!("{first:?}");
        match first {
            Ok(first) => assert!((0..5).all(|_| probe(&settings).is_ok_and(|again| again == first))),
            Err(error) => assert!(matches!(error, StartError::IoUringUnavailable(_))),
        }
        settings.ring_depth = usize::MAX;
        assert!(matches!(probe(&settings), Err(StartError::IoUringUnavailable(_))));
    }
}
