"""smppmux itself as a child process: start, wait until it is bound everywhere, stop by SIGTERM."""

import random
import signal
import socket
import subprocess
import time

from .report import PeerError

START_TIMEOUT_S = 20
DRAIN_TIMEOUT_S = 20
PORTS = range(20000, 30000)


class Smppmux:
    """A started smppmux."""

    def __init__(self, program, config_path, log_path):
        self.log_path = log_path
        self._log = open(log_path, "ab")
        self._process = subprocess.Popen(
            [program, "serve", "--config", config_path],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait_listening(self, port):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise PeerError(f"smppmux exited with {self._process.returncode}: {self.log_tail()}")
            if accepts(port):
                return
            time.sleep(0.1)
        raise PeerError(f"smppmux does not listen on port {port}: {self.log_tail()}")

    def runs(self):
        return self._process.poll() is None

    def terminate(self):
        """Sends SIGTERM and returns the exit code, or None when it had to be killed."""
        if self.runs():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(DRAIN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        finally:
            self._log.close()

    def log_tail(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-1500:].decode(errors="replace").strip() or "(no output)"


def accepts(port):
    """Whether something listens on the port, found out without connecting to it: a connection would be a session."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    listening_state = "0A"
    wanted = f":{port:04X}"
    return any(row[1].endswith(wanted) and row[3] == listening_state for row in rows)


def free_ports(count):
    """Different ports that nobody listens on now, from below those that connections take by themselves: one that is
    given up for a moment is still free when its owner comes back."""
    ports = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise PeerError(f"no {count} free ports in {PORTS}")
