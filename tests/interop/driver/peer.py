"""One peer program as a child process: commands go in by its standard input, replies and events come out."""

import json
import subprocess
import threading
import time

from .report import PeerError

REPLY_TIMEOUT_S = 20


class Peer:
    """A started peer. Replies are matched to their commands; events are kept in the order they came."""

    def __init__(self, name, arguments, environment, log_path):
        self.name = name
        self.log_path = log_path
        self.counts = {"sent": 0, "received": 0}
        self._log = open(log_path, "ab")
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment
        )
        self._last_command = 0
        self._replies = {}
        self._events = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, do, **fields):
        """Gives a command and returns its number at once, for `answer`."""
        self._last_command += 1
        number = self._last_command
        line = json.dumps({"id": number, "do": do, **fields}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError as failure:
            raise PeerError(f"{self.name} takes no commands: {failure}; {self._last_words()}") from failure
        return number

    def answer(self, number, timeout_s=REPLY_TIMEOUT_S):
        """Waits for the reply to one command."""
        if not self._wait(lambda: number in self._replies, timeout_s):
            raise PeerError(f"{self.name} gave no reply within {timeout_s} s; {self._last_words()}")
        return self._replies.pop(number)

    def ask(self, do, **fields):
        return self.answer(self.send(do, **fields))

    def ask_all(self, do, rows):
        """Gives one command for each row at once, then collects all replies."""
        numbers = [self.send(do, **row) for row in rows]
        return [self.answer(number) for number in numbers]

    def events(self, kind):
        """The events of a kind until now: a peer tells what it saw before it takes the next command."""
        self.ask("stats")
        return self._events_read(kind)

    def wait_events(self, kind, count, timeout_s=REPLY_TIMEOUT_S):
        """Returns the events of a kind once there are `count`, or those that came within the time."""
        self._wait(lambda: sum(event["event"] == kind for event in self._events) >= count, timeout_s)
        return self._events_read(kind)

    def forget_events(self):
        self.ask("stats")
        with self._changed:
            self._events.clear()

    def stop(self):
        """Asks an SMSC to close everything and end; an ESME ends when its input does. Its PDU counts stay."""
        if self._process.poll() is None:
            self._keep_counts(self.ask("stats"))
            self._process.stdin.close()
        self._await_end()

    def stop_abruptly(self):
        """Has an SMSC close its listener and its connections without an unbind, and end."""
        self._keep_counts(self.ask("stop"))
        self._await_end()

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
        self._await_end()

    def _keep_counts(self, reply):
        self.counts = {key: reply[key] for key in self.counts}

    def _await_end(self):
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired as expired:
            self._process.kill()
            raise PeerError(f"{self.name} did not end") from expired
        finally:
            self._log.close()

    def _events_read(self, kind):
        with self._changed:
            return [event for event in self._events if event["event"] == kind]

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            with self._changed:
                if "reply" in message:
                    self._replies[message.pop("reply")] = message
                else:
                    self._events.append(message)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _wait(self, holds, timeout_s):
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not holds():
                left = deadline - time.monotonic()
                if left <= 0 or (self._process.poll() is not None and not self._reader.is_alive()):
                    return holds()
                self._changed.wait(min(left, 0.5))
            return True

    def _last_words(self):
        with open(self.log_path, "rb") as log:
            tail = log.read()[-600:].decode(errors="replace").strip()
        state = self._process.poll()
        return f"{'it runs' if state is None else f'it exited with {state}'}; its log ends: {tail or '(empty)'}"
