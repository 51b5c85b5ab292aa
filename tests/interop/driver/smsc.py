"""One SMSC of a scene: a peer program that can be stopped and started again on its port."""

import json
import time

from .peer import Peer
from .report import PeerError


class Smsc:
    """An SMSC with the name, uid and port under which smppmux knows it."""

    def __init__(self, name, uid, port, command, environment, log_path, accounts):
        self.name = name
        self.uid = uid
        self.port = port
        self._arguments = [*command, "127.0.0.1", str(port), json.dumps(accounts)]
        self._environment = environment
        self._log_path = log_path
        self._counts = {"sent": 0, "received": 0}
        self.peer = None

    def start(self):
        self.peer = Peer(self.name, self._arguments, self._environment, self._log_path)
        if not self.peer.wait_events("listening", 1):
            raise PeerError(f"{self.name} does not listen; see {self._log_path}")

    def stop_abruptly(self):
        self.peer.stop_abruptly()
        self._keep_counts()

    def stop(self):
        self.peer.stop()
        self._keep_counts()

    def counts(self):
        """PDUs sent and received since the scene began, restarts included. Ask only after `stop`."""
        return self._counts

    def bound_sessions(self):
        """The sessions that are bound now, oldest first."""
        return sorted(self.peer.ask("sessions")["sessions"], key=lambda row: row["session"])

    def wait_bound(self, count, timeout_s=20):
        """Waits until `count` sessions are bound; returns those that are."""
        deadline = time.monotonic() + timeout_s
        while True:
            rows = self.bound_sessions()
            if len(rows) >= count or time.monotonic() > deadline:
                return rows
            time.sleep(0.1)

    def _keep_counts(self):
        for key, count in self.peer.counts.items():
            self._counts[key] += count
