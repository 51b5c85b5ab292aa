//! The `smppmux` binary; everything is in the library so that tests can run it too.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    smppmux::run()
}
