//! What a process takes of the machine, by the kernel's count.

use std::fs;
use std::time::{Duration, Instant};

/// Clock ticks of the kernel's accounting in a second, the same on every Linux that there is.
const TICKS: u64 = 100;

/// Resident memory, in KiB.
///
/// # Panics
///
/// When the process is gone: nothing is small because it is dead.
pub(crate) fn resident_kib(process: u32) -> u64 {
    memory_kib(process, "VmRSS:")
}

/// The most resident memory that it ever had, in KiB.
///
/// # Panics
///
/// When the process is gone.
pub(crate) fn peak_kib(process: u32) -> u64 {
    memory_kib(process, "VmHWM:")
}

fn memory_kib(process: u32, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    // A process that has ended and was not waited for has no such line.
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("it runs, and has memory")
}

/// Open file descriptors.
///
/// # Panics
///
/// When the process is gone.
pub(crate) fn descriptors(process: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
    // One that has ended and was not waited for has a folder without any.
    assert!(open > 0, "it runs");
    open
}

/// Processor time since its start.
///
/// # Panics
///
/// When the process is gone.
pub(crate) fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name before may hold anything; the fields behind it are numbers.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert!(!matches!(fields[0], "Z" | "X"), "it runs");
    let ticks = fields[11..13].iter().map(|field| field.parse::<u64>());
    let ticks: u64 = ticks.map(|ticks| ticks.expect("a number")).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// Waits until `holds`, and tells how long that took; `None` when it did not in time.
pub(crate) fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if holds() {
            return Some(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}
