"""The command line and the order of the samples."""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

from . import install, report
from .report import DISTURBED_MAX
from .cells import DRIVERS, QUICK, SMOKE, chosen
from .contestants import ROOT, all_contestants
from .machine import LOOK_S, Spinners, description, raise_limits
from .measure import SampleError, sample
from .process import ContestantError

ROUNDS = 5
# What starting, binding, warming up and ending cost, about.
OVERHEAD_S = 0.75
SECONDS_MIN, SECONDS_MAX = 0.4, 3.0
# How far over its budget a run may go before it ends.
BUDGET_SLACK = 1.1
TRIES_MAX = 3
EXTRAS = ("kannel", "jasmin", "idle")
BUILDS = (("--package", "smppmux"), ("--package", "smppmux-benches", "--example", "load", "--example", "relay"))


def arguments():
    parser = argparse.ArgumentParser(description="Measures smppmux beside TCP proxies and gateways.")
    build = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    add = parser.add_argument
    add("--program", type=pathlib.Path, help="measure this smppmux instead of one that is built first")
    add("--load", type=pathlib.Path, help="use this load instead of one that is built first")
    add("--peers", type=pathlib.Path, default=ROOT / "target/side-by-side-peers", help="where gateways are built")
    add("--cell", action="append", default=[], help="only this one; may repeat")
    add("--contestant", action="append", default=[], help="only this one; may repeat")
    add("--with", dest="extras", action="append", default=[], choices=EXTRAS, help="a gateway too; idle binds too")
    add("--rounds", type=int, default=ROUNDS, help="alternations")
    add("--budget", type=float, default=18, metavar="MINUTES", help="samples are as long as fits")
    add("--seconds", type=float, help="length of a sample, instead of --budget")
    add("--quiet-patience", type=float, default=60, metavar="SECONDS", help="wait so long in all for a quiet machine")
    add("--retries", type=int, default=50, help="so many disturbed samples are taken again in all")
    add("--proxy-cpu", type=int, default=0)
    add("--second-cpu", type=int, help="CPU of the second engine where there are two (a third one, or else the proxy's)")
    add("--load-cpu", type=int, default=1)
    add("--quick", action="store_true", help="a few cells, short samples")
    add("--smoke", action="store_true", help="one cell, two contestants, two rounds: only whether it works")
    add("--json", type=pathlib.Path, help="write the figures here")
    add("--from", dest="earlier", type=pathlib.Path, help="take the figures of an earlier run instead of measuring")
    add("--write", action="store_true", help="write docs/BENCHMARKS.md and docs/benchmarks/")
    add("--install", action="store_true", help="install what is missing, and end")
    options = parser.parse_args()
    options.builds = options.program is None or options.load is None
    # Contestants run in folders of their own.
    options.program = (options.program or build / "smppmux").resolve()
    options.load = (options.load or build / "examples/load").resolve()
    options.peers = options.peers.resolve()
    if options.second_cpu is None:
        # The load has a CPU to itself: an engine beside it would pay for what it does.
        others = set(range(os.cpu_count() or 1)) - {options.proxy_cpu, options.load_cpu}
        options.second_cpu = min(others, default=options.proxy_cpu)
    if options.smoke:
        options.cell, options.contestant = options.cell or list(SMOKE), options.contestant or ["haproxy", DRIVERS[0]]
        options.rounds, options.seconds, options.quiet_patience, options.retries = 2, 0.4, 0, 0
    elif options.quick:
        options.cell = options.cell or list(QUICK)
        options.seconds = options.seconds or 0.7
        options.quiet_patience, options.retries = 5, 5
    return options


def main():
    options = arguments()
    raise_limits()
    if options.install:
        return install.install(all_contestants(options.program, options.peers, options.load.with_name("relay")), options.extras)
    if options.earlier:
        results = json.loads(options.earlier.read_text())
    else:
        results = measure_all(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(report.tables(results))
    if options.write:
        for path in report.write(results, ROOT / "docs"):
            print(f"wrote {path.relative_to(ROOT)}")
    faults = what_is_missing(options, results)
    for fault in faults:
        say(fault)
    return int(bool(faults))


def what_is_missing(options, results):
    """What makes a run a failure, in words."""
    cells = results["cells"]
    faults = [
        f"{cell['name']}: no sample of {name}"
        for cell in cells
        for name, samples in cell["samples"].items()
        if not samples
    ]
    if options.smoke:
        # Whether it works: then a contestant that is not here is no excuse.
        if not cells:
            faults.append("no cell was measured")
        ran = {name for cell in cells for name, samples in cell["samples"].items() if samples}
        faults += [f"{name} did not run" for name in options.contestant if name not in ran]
    return faults


def measure_all(options):
    if options.builds:
        for what in BUILDS:
            subprocess.run(("cargo", "build", "--release", "--locked", "--quiet", *what), cwd=ROOT, check=True)
    contestants = all_contestants(options.program, options.peers, options.load.with_name("relay"))
    cells = chosen(options.cell, options.contestant, options.extras)
    install.install_missing({name: contestants[name] for cell in cells for name in cell.contestants})
    cells, versions = available(cells, contestants)
    seconds = sample_seconds(options, cells)
    taken = [{name: [] for name in cell.contestants} for cell in cells]
    spinners = Spinners(sorted({options.proxy_cpu, options.load_cpu, options.second_cpu}))
    start = time.time()
    # Binds may take long on a loaded machine: what was measured by then counts.
    end = start + (options.budget * 60 * BUDGET_SLACK if options.seconds is None else float("inf"))
    course = Course(options, spinners, contestants, seconds)
    try:
        for number, cell, samples_of in turns(options, cells, taken):
            if time.time() > end:
                say("the time is over before all rounds were done: what was measured so far counts")
                break
            course.wait_until_quiet()
            for name in cell.contestants:
                course.take(cell, name, samples_of[name])
            say(f"round {number + 1}/{options.rounds}  {cell.name:30}  {summary(samples_of)}")
    except KeyboardInterrupt:
        say("interrupted: what was measured so far counts")
    finally:
        spinners.close()
    return {
        "machine": description(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "minutes": round((time.time() - start) / 60, 1),
        "sample_seconds": seconds,
        "rounds": options.rounds,
        "contestants": versions,
        "cells": [{**dataclasses.asdict(cell), "samples": samples_of} for cell, samples_of in zip(cells, taken)],
    }


def turns(options, cells, taken):
    """The rounds are outermost: what disturbs the machine for a minute disturbs one round of a cell, not the cell."""
    for number in range(options.rounds):
        for cell, samples_of in zip(cells, taken):
            if number < (cell.rounds or options.rounds):
                yield number, cell, samples_of


def sample_seconds(options, cells):
    """How long a sample is, so that all fit into the budget."""
    rounds = {cell.name: min(cell.rounds or options.rounds, options.rounds) for cell in cells}
    fixed = [(cell, rounds[cell.name] * len(cell.contestants)) for cell in cells if cell.seconds]
    samples = sum(rounds[cell.name] * len(cell.contestants) for cell in cells if not cell.seconds)
    fixed_s = sum(count * (cell.seconds + cell.warm_up + cell.start_s + OVERHEAD_S) for cell, count in fixed)
    seconds = options.seconds or (options.budget * 60 - fixed_s) / max(samples, 1) - OVERHEAD_S
    seconds = round(min(max(seconds, SECONDS_MIN), SECONDS_MAX), 2)
    minutes = (samples * (seconds + OVERHEAD_S) + fixed_s) / 60
    say(f"{len(cells)} cells, {samples} samples of {seconds} s, {len(fixed)} cells of others, about {minutes:.0f} minutes")
    return seconds


def available(cells, contestants):
    """The cells with the contestants that are here; the others are told, not passed over."""
    versions = {}
    for name in dict.fromkeys(name for cell in cells for name in cell.contestants):
        try:
            versions[name] = {"title": contestants[name].title, "version": contestants[name].version()}
        except ContestantError as error:
            say(f"without {name}: {error}")
    cells = [
        dataclasses.replace(cell, contestants=tuple(name for name in cell.contestants if name in versions))
        for cell in cells
    ]
    return [cell for cell in cells if cell.contestants], versions


class Course:
    """Takes samples, and what patience is left for a machine that is not quiet."""

    def __init__(self, options, spinners, contestants, seconds):
        self._options = options
        self._spinners = spinners
        self._contestants = contestants
        self._seconds = seconds
        self._patience_s = options.quiet_patience
        self._retries = options.retries

    def wait_until_quiet(self):
        start = time.monotonic()
        self._spinners.wait_until_quiet(self._patience_s)
        self._patience_s = max(0.0, self._patience_s - (time.monotonic() - start - LOOK_S))

    def take(self, cell, name, samples):
        """One sample; again where somebody disturbed it, as long as patience lasts, and the least disturbed one counts."""
        tries = []
        for number in range(TRIES_MAX):
            try:
                contestant = self._contestants[name]
                tries.append(sample(self._options, self._spinners, cell, name, contestant, self._seconds))
                if tries[-1]["others_cpus"] <= DISTURBED_MAX:
                    break
            except (SampleError, ContestantError) as error:
                say(f"{cell.name}, {name}: {error}")
            if self._retries <= 0 or cell.seconds:
                break
            self._retries -= 1
        if tries:
            samples.append(min(tries, key=lambda figures: figures["others_cpus"]))


def summary(samples_of):
    last = ((name, samples[-1]) for name, samples in samples_of.items() if samples and name != "direct")
    return "  ".join(f"{name} {figures['cpu_us']:.2f}" for name, figures in last)


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S}  {text}", file=sys.stderr, flush=True)
