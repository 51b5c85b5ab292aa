//! What process trees have used: CPU time and resident memory, read from /proc.

use std::fs;
use std::time::Duration;

/// Processes that are watched, with everything they started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// What is between the ESMEs and the SMSCs.
    pub(crate) proxies: Vec<u32>,
    /// What keeps the CPUs awake, one for each.
    pub(crate) spinners: Vec<u32>,
}

/// CPU time so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) proxies: Duration,
    pub(crate) spinners: Duration,
    pub(crate) load: Duration,
}

impl Watched {
    /// From a line `go PID,PID… PID,PID…`; either list may be `-`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("go")?.split_whitespace().map(pids);
        Some(Self {
            proxies: words.next().unwrap_or_default(),
            spinners: words.next().unwrap_or_default(),
        })
    }

    pub(crate) fn used(&self) -> Used {
        Used {
            proxies: self.tree().into_iter().map(cpu_time).sum(),
            spinners: self.spinners.iter().copied().map(cpu_time).sum(),
            load: cpu_time(std::process::id()),
        }
    }

    /// Resident memory of the proxies, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.tree().into_iter().filter_map(resident_kib).sum()
    }

    /// The proxies and all that they started.
    fn tree(&self) -> Vec<u32> {
        let mut tree = self.proxies.clone();
        let mut next = 0;
        while let Some(pid) = tree.get(next).copied() {
            next += 1;
            for thread in threads(pid) {
                let children = format!("/proc/{pid}/task/{thread}/children");
                let children = fs::read_to_string(children).unwrap_or_default();
                tree.extend(
                    children
                        .split_whitespace()
                        .filter_map(|text| text.parse::<u32>().ok()),
                );
            }
        }
        tree
    }
}

fn pids(text: &str) -> Vec<u32> {
    text.split(',').filter_map(|pid| pid.parse().ok()).collect()
}

fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}

/// User and system time of all its threads, as the scheduler accounts it (to the nanosecond; `stat` counts in ticks).
fn cpu_time(pid: u32) -> Duration {
    let of_thread = |thread: u32| {
        let schedule = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        schedule
            .split_whitespace()
            .next()?
            .parse()
            .ok()
            .map(Duration::from_nanos)
    };
    threads(pid).into_iter().filter_map(of_thread).sum()
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
