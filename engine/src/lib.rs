//! The packet engine of smppmux.
//!
//! [`core`] is pure: SMPP, sessions, pools and balancing without a socket, clock or thread.
//! [`shell`] moves bytes and time between the operating system and the core.

pub mod core;
pub mod shell;
pub mod store;
