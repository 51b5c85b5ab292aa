//! The pure core.
#![forbid(unsafe_code)]

pub mod time;
pub mod wire;
