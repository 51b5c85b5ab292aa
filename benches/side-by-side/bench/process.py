"""Processes of contestants: where they stand, how they are started, waited for and ended."""

import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import string
import subprocess
import time

from .machine import pinned

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
PATIENCE_S = 20
# Debian keeps some programs where only root's path leads.
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a contestant stands."""

    folder: pathlib.Path
    listen: int
    addresses: tuple
    # esme1 and so on, who may bind.
    accounts: int
    smscs: tuple
    proxy_cpu: int
    second_cpu: int

    @staticmethod
    def spare_ports(count):
        return free_ports(count)


class Running:
    """Processes of one contestant; ended at the end, whatever happens."""

    def __init__(self, place):
        self.place = place
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self, name, *command, cpus, environment=None):
        log = self.place.folder / f"{name}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=pinned(cpus), env={**os.environ, "PATH": SYSTEM_PATH, **(environment or {})}, cwd=self.place.folder,
            )  # fmt: skip
        self.processes.append(process)
        return log

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def wait_for(self, condition, log, what, patience_s=PATIENCE_S):
        end = time.monotonic() + patience_s
        while not condition():
            if any(process.poll() is not None for process in self.processes) or time.monotonic() > end:
                raise ContestantError(f"{what}:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def wait_for_listener(self, port, log, patience_s=PATIENCE_S):
        self.wait_for(lambda: accepts(port), log, f"nobody listens on {port}", patience_s)


class ContestantError(Exception):
    """A contestant did not start, or is not there."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_configuration(name, place, **values):
    text = (PEERS / name).read_text()
    path = place.folder / name
    path.write_text(string.Template(text).substitute(folder=place.folder, listen=place.listen, **values))
    return str(path)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": SYSTEM_PATH}, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def found(program):
    path = shutil.which(program, path=SYSTEM_PATH)
    if path is None:
        raise ContestantError(f"there is no {program}; `benches/side-by-side/run --install` installs it")
    return path


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise ContestantError(f"{' '.join(command)}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
