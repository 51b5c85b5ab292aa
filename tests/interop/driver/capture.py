"""The loopback traffic of a scene: recorded by dumpcap, judged by tshark."""

import os
import shutil
import signal
import subprocess
import time

from .report import PeerError

START_TIMEOUT_S = 15


class Capture:
    """One recording of all SMPP ports of a scene."""

    def __init__(self, work_dir, ports):
        self.path = os.path.join(work_dir, "smpp.pcapng")
        self._ports = ports
        self._process = None
        self._said_path = os.path.join(work_dir, "dumpcap.log")

    def start(self):
        dumpcap = shutil.which("dumpcap")
        if dumpcap is None:
            raise PeerError("dumpcap (package tshark) is not installed")
        wanted = " or ".join(f"tcp port {port}" for port in self._ports)
        with open(self._said_path, "wb") as said:
            self._process = subprocess.Popen(
                [dumpcap, "-q", "-i", "lo", "-B", "64", "-f", wanted, "-w", self.path],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not os.path.exists(self.path) or "File:" not in self._said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"dumpcap does not capture: {self._said()}")
            time.sleep(0.05)

    def stop(self):
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self, report, expected_pdus):
        """Ends the recording. Each PDU has a peer at one end, which counted it: the capture must hold just as many."""
        time.sleep(0.5)
        self.stop()
        said = self._said()
        report.check("nothing was lost by the capture", "/dropped on interface" in said and "0 (pcap:0" in said, said)
        pdus = self._tshark("-Y", "smpp", "-T", "fields", "-E", "aggregator=,", "-e", "smpp.command_id")
        commands = [command for line in pdus for command in line.split(",") if command]
        report.check(
            "the capture holds the PDUs that the peers counted",
            len(commands) == expected_pdus,
            f"{len(commands)} captured, {expected_pdus} counted",
        )
        malformed = self._tshark("-Y", "_ws.malformed")
        report.check("no PDU is malformed", not malformed and bool(commands), malformed[:3] or f"{len(commands)} PDUs")
        expert = self._tshark("-q", "-z", "expert,warn,smpp")
        complaints = [line for line in expert if "SMPP" in line]
        report.check("Wireshark's SMPP experts have no complaint", not complaints, complaints[:5] or "none")

    def _tshark(self, *arguments):
        decode_as = [part for port in self._ports for part in ("-d", f"tcp.port=={port},smpp")]
        run = subprocess.run(
            ["tshark", "-n", "-r", self.path, *decode_as, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
        if run.returncode != 0:
            raise PeerError(f"tshark exited with {run.returncode}: {run.stderr.decode(errors='replace')[-400:]}")
        return run.stdout.decode(errors="replace").splitlines()

    def _said(self):
        with open(self._said_path, encoding="utf-8", errors="replace") as said:
            return " ".join(said.read().split())
