"""How a Python peer talks with the driver: one JSON object a line, commands in, replies and events out.

A peer never prints anything else on standard output; what goes wrong inside it ends it with a traceback on
standard error, which the driver shows.
"""

import json
import os
import sys


class CommandLines:
    """Commands from standard input, as they come, for a program that waits on several file descriptors."""

    def __init__(self):
        self.descriptor = sys.stdin.fileno()
        self._partial = b""

    def read_available(self):
        """Returns the complete commands that are there, or None when the driver closed its end."""
        chunk = os.read(self.descriptor, 65536)
        if not chunk:
            return None
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


def reply(to, **fields):
    """Answers one command of the driver."""
    emit(reply=to["id"], **fields)


def emit(**fields):
    """Tells the driver something, at once."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
