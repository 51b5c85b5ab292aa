//! The `smppmux` binary, built as part of the test package.
fn main() -> std::process::ExitCode {
    smppmux::run()
}
