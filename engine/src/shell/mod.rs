//! The shell around the pure core: sockets, threads, timers and the turn loop.
//!
//! [`run_engines`] starts one packet engine on each of the given CPUs. Each engine's thread has a *station* (the part
//! that is the same however the kernel is spoken to: the engine, its links, its mailbox) and a *driver* that moves bytes
//! between the kernel and the station; `driver` has the contract between the two. The drivers are `ring_driver`,
//! `glommio_driver` and `epoll_driver`; `io_driver` chooses.
//!
//! Invariants:
//! - It decides nothing about SMPP and never looks into a PDU.
//! - An engine's thread never blocks: not on a socket, not on another core, not on a log, not on name resolution.
//! - Nothing is lost without being counted, and nothing grows without a limit.

mod accepting;
mod admission;
mod clock;
mod core_start;
mod driver;
mod engine;
mod epoll_driver;
mod event;
mod event_bell;
mod first_pdu;
mod glommio_driver;
mod greeting;
mod io_driver;
mod io_uring_probe;
mod link;
mod message;
mod message_log;
mod passwords;
pub mod proxy_header;
mod receipt_log;
mod report;
mod resolve;
mod ring_driver;
mod running;
mod settings;
mod sockets;
mod start;
mod start_error;
mod station;
mod steering;
#[cfg(test)]
mod tests;
mod tls;
mod turn_loop;

pub use event::{Event, EventWaker};
pub use io_driver::IoDriver;
pub use message_log::MessageLogLanes;
pub use passwords::{HashCost, WrongHash, check_hash, hash_password};
pub use receipt_log::{LoadReport, LogFigures, LogLane, LogLimits, ReceiptLog, ReceiptLogError};
pub use report::{CoreReport, ShellReport, SteeringReport};
pub use running::{EngineUnreachable, EnginesFailed, Listening, RunningEngines};
pub use settings::ShellSettings;
pub use start::run_engines;
pub use start_error::{IoUringObstacle, StartError};
pub use tls::{CertificateFiles, LoadedTls, ServerTls, TlsError, TlsSettings, VserverTls};
