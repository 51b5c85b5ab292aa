//! The shell, run for real on loopback around a small fake engine.

mod bytes_and_closing;
mod cores;
mod fake_engine;
mod harness;
mod idle;
mod starting;
