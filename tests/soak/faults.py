"""What goes wrong in the soak with faults: kind, time and whom it meets are drawn from a seed.

smppmux itself is stopped, but never killed: tests/end_to_end/kill.rs does that.
"""

import collections
import heapq
import random
import signal
import socket
import time

from stage import BIND_TIMEOUT_S, GROUPS, GUEST, SERVERS_OF, SMSCS, SPARE, Stage

WEIGHTS = {
    "stop-smsc": 3, "kill-smsc": 3, "kill-esme": 3, "drain-server": 2, "drain-client": 2, "reload": 3,
    "cut-smsc": 2, "cut-esme": 2, "stop-smppmux": 2, "garbage": 2, "half-open": 2,
}  # fmt: skip
# None of these ends a session of an account that stays, or takes a message from a server: nobody else may notice.
HARMLESS = {"drain-server", "reload"}
OF_ONE_SERVER = HARMLESS | {"kill-smsc"}
# Longer than any single fault that is drawn, and all peers of a kind at once.
STRETCH_S, STRETCH_STOP_S, STRETCH_REST_S = 6, 3, 10


class Faults(Stage):
    """Each fault begins, and most end later; whoever suffers one is busy until then."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.random = random.Random(self.options.seed)
        self.events, self.order = [], 0
        self.busy, self.connections = set(), []
        self.counts, self.excuses = collections.Counter(), []
        self.is_stopped = False

    def later(self, seconds, action):
        self.order += 1
        heapq.heappush(self.events, (time.monotonic() + seconds, self.order, action))

    def release(self, *names):
        self.busy.difference_update(names)

    def pick(self, names):
        free = [name for name in names if name not in self.busy]
        name = self.random.choice(free) if free else None
        if name:
            self.busy.add(name)
        return name

    def fault(self):
        weights = {kind: WEIGHTS[kind] for kind in self.options.only or WEIGHTS}
        kind = self.random.choices(list(weights), weights.values())[0]
        done = getattr(self, "begin_" + kind.replace("-", "_"))()
        if done:
            self.counts[kind] += 1
            self.say(f"{kind}: {done}")
        self.later(self.options.every * self.random.uniform(0.6, 1.4), self.fault)

    def begin_stop_smsc(self):
        if not (name := self.pick(SMSCS)):
            return None
        return self.stop(name, self.random.uniform(1, 5))

    def stop(self, name, seconds):
        process = self.processes[name]
        process.send_signal(signal.SIGSTOP)
        self.later(seconds, lambda: (process.send_signal(signal.SIGCONT), self.release(name)))
        return f"{name} for {seconds:.1f} s"

    def kill(self, name, seconds=None):
        if not name:
            return None
        self.lives[name].is_killed = True
        self.processes[name].kill()
        self.processes[name].wait()
        seconds = self.random.uniform(0, 3) if seconds is None else seconds
        self.later(seconds, lambda: (self.start_peer(name), self.later(1, lambda: self.release(name))))
        return f"{name}, back after {seconds:.1f} s"

    def begin_kill_smsc(self):
        return self.kill(self.pick(self.servers_to_lose()))

    def begin_kill_esme(self):
        return self.kill(self.pick(GROUPS))

    def begin_drain_server(self):
        if self.is_stopped or not (name := self.pick(self.servers_to_lose())):
            return None
        seconds = self.random.uniform(1, 4)
        self.order_it(f"/api/v1/servers/{name}/drain")
        self.later(seconds, lambda: self.end_drain(f"/api/v1/servers/{name}/undrain", name))
        return f"{name} for {seconds:.1f} s"

    def servers_to_lose(self):
        """Where only such faults are asked for as one server suffers: one at a time, and none that is the only one of an account."""
        if not self.options.only or not set(self.options.only) <= OF_ONE_SERVER:
            return SMSCS
        spared = SERVERS_OF[1]
        return () if self.busy & set(spared) else spared

    def end_drain(self, path, name):
        if self.is_stopped:
            self.later(0.2, lambda: self.end_drain(path, name))
            return
        self.order_it(path)
        self.release(name)

    def begin_drain_client(self):
        if self.is_stopped or not (account := self.pick(range(1, GUEST))):
            return None
        seconds = self.random.uniform(0.5, 3)
        self.excuses.append((account, time.time() - 0.1, time.time() + seconds + 15))
        self.order_it(f"/api/v1/clients/esme{account}/drain")
        self.later(seconds, lambda: self.end_drain(f"/api/v1/clients/esme{account}/undrain", account))
        return f"esme{account} for {seconds:.1f} s"

    def begin_reload(self):
        if self.is_stopped or "reload" in self.busy:
            return None
        self.busy.add("reload")
        name = self.random.choice(SMSCS)
        self.weights[name] = self.weights[name] % 9 + self.random.randint(1, 3)
        if self.random.random() < 0.7:
            self.toggle_guest()
        if self.random.random() < 0.7:
            self.toggle_spare()
        self.write_configuration()
        self.serve.send_signal(signal.SIGHUP)
        self.later(min(2, self.options.every / 2), self.end_reload)
        there = [what for what, is_there in (("the guest", self.has_guest), (SPARE, self.has_spare)) if is_there]
        return f"{name} has weight {self.weights[name]}; there are {' and '.join(there) or 'no guests'}"

    def toggle_guest(self):
        self.has_guest = not self.has_guest
        if not self.has_guest:
            self.excuses.append((GUEST, time.time() - 0.1, time.time() + 15))

    def toggle_spare(self):
        self.has_spare = not self.has_spare
        if not self.has_spare:
            self.excuses.append((SPARE, time.time() - 0.1, time.time() + 15))

    def end_reload(self, tries=20):
        if self.is_stopped:
            self.later(0.5, lambda: self.end_reload(tries))
            return
        servers = self.control("GET", "/api/v1/servers")[1]["servers"]
        weights = {server["name"]: server["weight"] for server in servers if server["name"] in self.weights}
        if weights != self.weights and tries:
            self.later(0.5, lambda: self.end_reload(tries - 1))
            return
        if weights != self.weights:
            self.trouble(f"the reload was not carried out: {weights} instead of {self.weights}")
        self.release("reload")

    def cut(self, name):
        if name:
            self.tell(name, "cut")
            self.release(name)
            return f"a session of {name}"
        return None

    def begin_cut_smsc(self):
        return self.cut(self.pick(SMSCS))

    def begin_cut_esme(self):
        return self.cut(self.pick(GROUPS))

    def begin_stop_smppmux(self):
        if self.is_stopped:
            return None
        return self.stop_smppmux(self.random.uniform(0.2, 2))

    def stop_smppmux(self, seconds):
        self.is_stopped = True
        self.serve.send_signal(signal.SIGSTOP)
        self.later(seconds, self.end_stop_smppmux)
        return f"for {seconds:.1f} s"

    def end_stop_smppmux(self):
        self.serve.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def connect(self, octets):
        connection = socket.create_connection(("127.0.0.1", self.listen), timeout=5)
        connection.setblocking(False)
        try:
            connection.send(octets)
        except OSError:
            pass
        self.connections.append((connection, time.monotonic()))
        return connection

    def begin_garbage(self):
        count = self.random.randint(1, 20)
        for _ in range(count):
            self.connect(self.random.randbytes(self.random.randint(1, 3000)))
        return f"{count} connections"

    def begin_half_open(self):
        """Nothing is said, or half a bind, and some have closed their half of the connection."""
        count = self.random.randint(1, 20)
        for _ in range(count):
            connection = self.connect(b"\0\0\0\x2f\0\0\0\x09\0\0"[: self.random.choice((0, 5, 10))])
            if self.random.random() < 0.3:
                connection.shutdown(socket.SHUT_WR)
        return f"{count} connections"

    def look_at_connections(self):
        """smppmux must end those that do not bind; it may have been stopped meanwhile."""
        left = []
        for connection, since in self.connections:
            try:
                is_ended = connection.recv(4096) == b""
            except BlockingIOError:
                is_ended = False
            except OSError:
                is_ended = True
            if not is_ended and time.monotonic() - since > BIND_TIMEOUT_S + 10:
                self.trouble("a connection without a bind was not ended")
                is_ended = True
            if is_ended:
                connection.close()
            else:
                left.append((connection, since))
        self.connections = left

    def stretch(self):
        """More at once than a fault asks for, so that tables and buffers have grown before memory is judged."""
        for name in SMSCS:
            self.stop(name, STRETCH_S)
        self.work(STRETCH_S + STRETCH_REST_S)
        for name in GROUPS:
            self.kill(name, STRETCH_S)
        self.work(STRETCH_S + STRETCH_REST_S)
        self.stop_smppmux(STRETCH_STOP_S)
        self.work(STRETCH_STOP_S + STRETCH_REST_S)
        self.wait_for_bound("after the stretch")
        self.say(f"stretched: {self.progress()}")

    def end_faults(self):
        """No new ones; those that last end in their time."""
        self.events = [event for event in self.events if event[2] != self.fault]
        heapq.heapify(self.events)
        self.work(30, lambda: not self.events)
        if not (self.has_guest and self.has_spare):
            self.has_guest = self.has_spare = True
            self.write_configuration()
            self.serve.send_signal(signal.SIGHUP)
        self.work(BIND_TIMEOUT_S + 10, lambda: not self.connections)
