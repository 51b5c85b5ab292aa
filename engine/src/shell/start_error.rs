//! Why the engines could not be started, in words for an operator.

use super::receipt_log::ReceiptLogError;
use super::tls::TlsError;
use crate::store::StoreOpenError;
use smppmux_flow_distributor as flow_distributor;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the engines could not be started. None of them runs then.
#[derive(Debug)]
pub enum StartError {
    /// No CPU was named.
    NoEngine,
    /// A CPU that this process cannot run on.
    NoSuchCpu {
        /// The CPU asked for.
        cpu: usize,
        /// Those that there are.
        available: Vec<usize>,
    },
    /// The engine's thread could not be pinned to its CPU or not be started.
    CannotPin {
        /// The CPU.
        cpu: usize,
        /// What the system said.
        reason: String,
    },
    /// Something else listens on an address.
    AddressTaken {
        /// The vserver or server that names it, in words.
        listener: String,
        /// The address.
        address: SocketAddr,
    },
    /// An address cannot be listened on for another reason.
    CannotListen {
        /// The vserver or server that names it, in words.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// io_uring cannot be used here.
    IoUringUnavailable(IoUringObstacle),
    /// The distribution's settings contradict themselves.
    Distribution(flow_distributor::SettingsError),
    /// A certificate or key cannot be used.
    Tls(TlsError),
    /// The queue's store cannot be opened.
    Store(StoreOpenError),
    /// The operating system refused something else that an engine needs.
    System(io::Error),
    /// The log of receipts cannot be written.
    ReceiptLog(ReceiptLogError),
}

/// Why io_uring cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoUringObstacle {
    /// The kernel has no io_uring, or a seccomp profile hides it.
    Missing {
        /// The kernel's release.
        kernel: String,
    },
    /// The kernel's io_uring lacks what the ring driver needs.
    TooOld {
        /// The kernel's release.
        kernel: String,
        /// The first Linux that has it.
        needed: &'static str,
    },
    /// `kernel.io_uring_disabled` forbids it to this process.
    DisabledBySysctl {
        /// Its value: 1 (only some may) or 2 (nobody may).
        value: u8,
    },
    /// Something forbids it, most likely a container's seccomp profile or a security module.
    Forbidden,
    /// The limit on locked memory is too low.
    LockedMemory {
        /// The limit, in octets, where it is known.
        limit_octets: Option<u64>,
    },
    /// The kernel refused for a reason that is not one of the known ones.
    Other(String),
}

impl IoUringObstacle {
    /// Reads the reason from the error of io_uring_setup and from what the system says about itself.
    pub(crate) fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSYS) => Self::Missing {
                kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            },
            Some(Errno::PERM | Errno::ACCESS) => match disabled_by_sysctl() {
                Some(value) => Self::DisabledBySysctl { value },
                None => Self::Forbidden,
            },
            Some(Errno::NOMEM) => Self::LockedMemory {
                limit_octets: rustix::process::getrlimit(rustix::process::Resource::Memlock).current,
            },
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The sysctl's value where it is not 0.
fn disabled_by_sysctl() -> Option<u8> {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    text.trim().parse().ok().filter(|value| *value != 0)
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEngine => formatter.write_str("no engine: name at least one CPU"),
            Self::NoSuchCpu { cpu, available } => {
                write!(
                    formatter,
                    "there is no CPU {cpu}; this process may use {available:?}"
                )
            }
            Self::CannotPin { cpu, reason } => {
                write!(formatter, "cannot run an engine on CPU {cpu}: {reason}")
            }
            Self::AddressTaken { listener, address } => {
                write!(formatter, "{listener}: {address} is taken by another process")
            }
            Self::CannotListen {
                listener,
                address,
                error,
            } => {
                write!(formatter, "{listener}: cannot listen on {address}: {error}")
            }
            Self::IoUringUnavailable(obstacle) => write!(formatter, "io_uring is not available: {obstacle}"),
            Self::Distribution(error) => write!(formatter, "distribution: {error}"),
            Self::Tls(error) => write!(formatter, "TLS: {error}"),
            Self::Store(error) => error.fmt(formatter),
            Self::System(error) => write!(formatter, "cannot start the engines: {error}"),
            Self::ReceiptLog(error) => write!(formatter, "the log of receipts: {error}"),
        }
    }
}

impl fmt::Display for IoUringObstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kernel } => write!(
                formatter,
                "kernel {kernel} does not offer it (Linux 5.8 or newer does), or a seccomp profile hides it"
            ),
            Self::TooOld { kernel, needed } => write!(
                formatter,
                "the io_uring of kernel {kernel} lacks what the ring driver needs and Linux {needed} has"
            ),
            Self::DisabledBySysctl { value } => write!(
                formatter,
                "the sysctl kernel.io_uring_disabled is {value}; set it to 0, or run with CAP_SYS_ADMIN if it is 1"
            ),
            Self::Forbidden => formatter.write_str(
                "the kernel forbids it to this process, most likely by a container's seccomp profile: allow \
                 io_uring_setup, io_uring_enter and io_uring_register",
            ),
            Self::LockedMemory { limit_octets } => {
                formatter.write_str("the limit on locked memory (ulimit -l) is too low")?;
                if let Some(octets) = limit_octets {
                    write!(formatter, ": {} KiB", octets / 1024)?;
                }
                formatter.write_str("; raise it to at least 512 KiB for each engine")
            }
            Self::Other(reason) => formatter.write_str(reason),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::CannotListen { error, .. } | Self::System(error) => Some(error),
            Self::ReceiptLog(error) => Some(error),
            Self::Distribution(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    /// Goal: each of the known obstacles is told apart by its errno and named with its remedy.
    #[test]
    fn obstacles_are_named() {
        let obstacle = |errno: Errno| IoUringObstacle::of(&errno.into());
        let missing = obstacle(Errno::NOSYS);
        assert!(matches!(&missing, IoUringObstacle::Missing { kernel } if !kernel.is_empty()));
        assert!(matches!(
            obstacle(Errno::PERM),
            IoUringObstacle::Forbidden | IoUringObstacle::DisabledBySysctl { .. }
        ));
        assert!(matches!(
            obstacle(Errno::NOMEM),
            IoUringObstacle::LockedMemory { .. }
        ));
        assert!(matches!(obstacle(Errno::INVAL), IoUringObstacle::Other(_)));
        let text = StartError::IoUringUnavailable(IoUringObstacle::DisabledBySysctl { value: 2 }).to_string();
        assert!(text.contains("kernel.io_uring_disabled is 2"), "{text}");
    }
}
