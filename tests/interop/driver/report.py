"""The checks that were made: one printed line each, and the count that ends the run."""


class Report:
    """Prints every check as it is made. A check that could not be made is a failed check, never a missing one."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self._scene = ""

    def scene(self, title):
        self._scene = title
        print(f"\n== {title}", flush=True)

    def check(self, name, holds, evidence):
        """Counts one check. `evidence` says what was seen, whether or not it was what was wanted."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok    ' if holds else 'FAILED'} [{self._scene}] {name}: {evidence}", flush=True)
        return holds

    def section(self, name, checks, *arguments):
        """Runs a group of checks; whatever it could not get through to is one failed check with the reason."""
        try:
            checks(*arguments)
        except PeerError as failure:
            self.check(name, False, f"could not go on: {failure}")

    def finish(self):
        """Prints the closing line; returns the process' exit code."""
        print(f"\n{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1


class PeerError(Exception):
    """A peer, or smppmux, did not start, died, or did not answer in time."""
