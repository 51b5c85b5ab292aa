"""The machine: who runs on which CPU, the spinners that keep it awake, whether it is quiet, and what it is."""

import ctypes
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import time

PR_SET_TIMERSLACK = 29
OPEN_FILES = 300_000
# A quiet machine: what others take of all CPUs together, in CPUs.
QUIET_MAX = 0.05
LOOK_S = 0.2


def pinned(cpus):
    """A `preexec_fn` that pins the process to these CPUs and lets its timers fire on time."""
    libc = ctypes.CDLL(None)

    def prepare():
        os.sched_setaffinity(0, cpus)
        libc.prctl(PR_SET_TIMERSLACK, 1)

    return prepare


def open_files_limit():
    """How many files a process may open once `raise_limits` was called."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_limits():
    """A hundred thousand binds are as many descriptors. Root may go beyond the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


# It yields now and then: a kernel may forget to preempt what it has just put on a CPU in place of another task, and whoever woke
# meanwhile then waits for the next tick, which is milliseconds.
SPIN = """
import os
some = range(2000)
while True:
    for _ in some:
        pass
    os.sched_yield()
"""


class Spinners:
    """A busy loop on each CPU that runs only when nobody else wants it: a halted virtual CPU takes long to wake."""

    def __init__(self, cpus):
        self._processes = [
            subprocess.Popen([sys.executable, "-S", "-c", SPIN], preexec_fn=self._idle(cpu))
            for cpu in cpus
        ]

    @staticmethod
    def _idle(cpu):
        def prepare():
            os.sched_setaffinity(0, {cpu})
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

        return prepare

    @property
    def pids(self):
        return [process.pid for process in self._processes]

    def idle_share(self):
        """How much of all CPUs nobody wants, over a short while."""
        start, before = time.monotonic(), self._used_s()
        time.sleep(LOOK_S)
        return (self._used_s() - before) / (time.monotonic() - start) / len(self._processes)

    def _used_s(self):
        texts = (pathlib.Path(f"/proc/{pid}/schedstat").read_text() for pid in self.pids)
        return sum(int(text.split()[0]) for text in texts) / 1e9

    def wait_until_quiet(self, patience_s):
        """Whether the machine became quiet."""
        end = time.monotonic() + patience_s
        while (1 - self.idle_share()) * len(self._processes) > QUIET_MAX:
            if time.monotonic() > end:
                return False
        return True

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()


def description():
    """What the figures depend on."""
    model = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    release = pathlib.Path("/etc/os-release").read_text()
    name = re.search(r'^PRETTY_NAME="(.+)"$', release, re.M)
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cpus": os.cpu_count(),
        "virtual": virtual,
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "system": name.group(1) if name else platform.system(),
    }
