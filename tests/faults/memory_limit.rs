//! A limit of memory for one process, by whatever means this machine has: a control group of version 2 or 1, or a limit of the
//! process's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use crate::measure::wait_until;

/// The limit, and the group that keeps it, if there is one; the group ends with this.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    octets: u64,
    means: Means,
}

#[derive(Debug)]
enum Means {
    Group {
        folder: PathBuf,
        peak: &'static str,
    },
    /// RLIMIT_DATA: what the process may write to, whether it does or not. Asking for more fails.
    OfProcess,
}

impl MemoryLimit {
    pub(crate) fn new(octets: u64) -> Self {
        let means = group_2(octets)
            .or_else(|| group_1(octets))
            .unwrap_or(Means::OfProcess);
        Self { octets, means }
    }

    /// What the script that starts the process does for it.
    pub(crate) fn shell_lines(&self) -> String {
        match &self.means {
            Means::Group { folder, .. } => format!("echo $$ > {}", folder.join("cgroup.procs").display()),
            Means::OfProcess => format!("ulimit -d {}", self.octets >> 10),
        }
    }

    /// By what it is kept.
    pub(crate) const fn name(&self) -> &'static str {
        match &self.means {
            Means::Group { .. } => "a control group",
            Means::OfProcess => "RLIMIT_DATA",
        }
    }

    /// The most that the group ever had, in octets. `None` where there is no group, or one whose kernel does not say it.
    pub(crate) fn peak_octets(&self) -> Option<u64> {
        let Means::Group { folder, peak } = &self.means else {
            return None;
        };
        let text = fs::read_to_string(folder.join(peak)).ok()?;
        text.trim().parse().ok()
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Means::Group { folder, .. } = &self.means {
            // It is gone when its last process is, which may take a moment.
            wait_until(Duration::from_secs(5), || fs::remove_dir(folder).is_ok());
        }
    }
}

/// A group of version 2, where its memory controller is there and may be used below the root.
fn group_2(octets: u64) -> Option<Means> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let root = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next() == Some("cgroup2")).then_some(place)
    })?;
    let root = Path::new(root);
    let has_memory = |file: &str| {
        let names = fs::read_to_string(root.join(file)).unwrap_or_default();
        names.split_whitespace().any(|name| name == "memory")
    };
    if !has_memory("cgroup.controllers") {
        return None;
    }
    let children = "cgroup.subtree_control";
    if !has_memory(children) {
        fs::write(root.join(children), "+memory").ok()?;
    }
    let swap = [("memory.swap.max", 0)];
    group(root, ("memory.max", octets), &swap, "memory.peak")
}

/// A group of version 1.
fn group_1(octets: u64) -> Option<Means> {
    let root = Path::new("/sys/fs/cgroup/memory");
    group(
        root,
        ("memory.limit_in_bytes", octets),
        &[("memory.swappiness", 0)],
        "memory.max_usage_in_bytes",
    )
}

/// A new group with this limit. What belongs to swap is set where there is swap.
fn group(root: &Path, limit: (&str, u64), swap: &[(&str, u64)], peak: &'static str) -> Option<Means> {
    let folder = root.join(format!("smppmux-test-{}", process::id()));
    fs::create_dir(&folder).ok()?;
    let set = |(file, number): (&str, u64)| fs::write(folder.join(file), number.to_string());
    if set(limit).is_err() {
        // Nothing is in it yet.
        let _ = fs::remove_dir(&folder);
        return None;
    }
    for line in swap {
        let _ = set(*line);
    }
    Some(Means::Group { folder, peak })
}
