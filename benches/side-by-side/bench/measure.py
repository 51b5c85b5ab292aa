"""One sample: a contestant between fresh SMSCs and ESMEs, for a second or so."""

import json
import pathlib
import selectors
import subprocess
import tempfile
import time

from . import certificate
from .machine import pinned
from .process import Place, Running, free_ports

PATIENCE_S = 180
# Who answers messages before they reached an SMSC, as gateways do, must at least keep up.
ARRIVED_MIN = 0.9


class SampleError(Exception):
    """A sample that says nothing: the contestant or the load failed."""


def sample(options, spinners, cell, name, contestant, seconds):
    """Figures of one sample, as they go into the results."""
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as folder:
        listen, *smscs = free_ports(1 + cell.smscs)
        addresses = tuple(f"127.0.0.{number + 1}:{listen}" for number in range(cell.addresses))
        place = Place(
            pathlib.Path(folder), listen, addresses, cell.accounts, tuple(smscs), options.proxy_cpu, options.second_cpu
        )
        words = [f"smsc=127.0.0.1:{port}" for port in smscs]
        words += [f"connections={cell.connections}", f"window={cell.window}", f"kind={cell.kind}", f"accounts={cell.accounts}"]
        words += [f"seconds={cell.seconds or seconds}", f"warm-up={cell.warm_up}"]
        if name != "direct":
            words += [f"target={address}" for address in addresses]
        if cell.has_tls:
            words.append(f"tls-ca={certificate.make(place.folder).certificate}")
        if cell.is_load_awake:
            words.append("wait=never")
        if cell.is_range_empty:
            words.append("range=empty")
        if cell.rate:
            words.append(f"rate={cell.rate}")
        load = subprocess.Popen(
            (str(options.load), *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=pinned({options.load_cpu}),
        )  # fmt: skip
        try:
            with Running(place) as running:
                expect(load, "listening")
                contestant.start(running)
                load.stdin.write(f"go {pids(running.pids)} {pids(spinners.pids)}\n")
                load.stdin.flush()
                line = read_line(load)
        finally:
            load.kill()
            _, errors = load.communicate()
        if not line.startswith("{"):
            raise SampleError(errors.strip() or "the load ended without a report")
        return figures(json.loads(line), spinners, cell)


def figures(report, spinners, cell):
    messages, elapsed = report["messages"], report["elapsed_s"]
    if report["faults"] or not (messages or cell.kind == "idle"):
        raise SampleError(f"{messages} messages, faults: {report['faults']}")
    if cell.group == "Gateways" and report["arrived"] < messages * ARRIVED_MIN:
        raise SampleError(f"{messages} messages were answered, but only {report['arrived']} reached the SMSCs meanwhile")
    messages = max(messages, 1)
    cpus = len(spinners.pids)
    ours = report["proxy_cpu_s"] + report["load_cpu_s"] + report["spinner_cpu_s"]
    return {
        "per_second": messages / elapsed,
        "cpu_us": report["proxy_cpu_s"] / messages * 1e6,
        "load_cpu_us": report["load_cpu_s"] / messages * 1e6,
        "proxy_busy": report["proxy_cpu_s"] / elapsed,
        "load_busy": report["load_cpu_s"] / elapsed,
        "p50_us": report["p50_us"],
        "p99_us": report["p99_us"],
        "p999_us": report["p999_us"],
        "resident_mib": report["resident_kib"] / 1024,
        "server_sessions": report["server_sessions"],
        # CPUs that somebody else used meanwhile; the kernel's own work counts as such.
        "others_cpus": max(0.0, cpus - ours / elapsed),
        "at": time.time(),
    }


def pids(numbers):
    return ",".join(map(str, numbers)) or "-"


def expect(process, text):
    line = read_line(process)
    if line.strip() != text:
        raise SampleError(f"the load said {line!r}: {process.stderr.read()}")


def read_line(process):
    """A line of a process that may hang."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(PATIENCE_S):
            raise SampleError(f"the load said nothing for {PATIENCE_S} s")
    return process.stdout.readline()
