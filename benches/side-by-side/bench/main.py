"""The command line and the order of the samples."""

import argparse
import dataclasses
import datetime
import json
import pathlib
import platform
import sys
import time

from . import install, report
from .cells import QUICK, SMOKE, chosen
from .contestants import ROOT, all_contestants
from .machine import Spinners, description, raise_limits
from .measure import SampleError, sample
from .process import ContestantError

ROUNDS = 5
# What starting, binding, warming up and ending cost, about.
OVERHEAD_S = 0.75
SECONDS_MIN, SECONDS_MAX = 0.4, 3.0
# More than this of somebody else's work beside a sample, in CPUs, and it is taken again.
DISTURBED_MAX = 0.10
GATEWAYS = ("kannel",)
BUILD = "cargo build --release && cargo build --release -p smppmux-benches --example load"


def arguments():
    parser = argparse.ArgumentParser(description="Measures smppmux beside TCP proxies and gateways.")
    build = ROOT / "target/release"
    add = parser.add_argument
    add("--program", type=pathlib.Path, default=build / "smppmux")
    add("--load", type=pathlib.Path, default=build / "examples/load", help=f"made by: {BUILD}")
    add("--peers", type=pathlib.Path, default=ROOT / "target/side-by-side-peers", help="where gateways are built")
    add("--cell", action="append", default=[], help="only this one; may repeat")
    add("--contestant", action="append", default=[], help="only this one; may repeat")
    add("--with", dest="gateways", action="append", default=[], choices=GATEWAYS, help="a gateway too, in one cell")
    add("--rounds", type=int, default=ROUNDS, help="alternations")
    add("--budget", type=float, default=18, metavar="MINUTES", help="samples are as long as fits")
    add("--seconds", type=float, help="length of a sample, instead of --budget")
    add("--quiet-patience", type=float, default=20, metavar="SECONDS", help="wait so long for a quiet machine")
    add("--retries", type=int, default=2, help="how often a disturbed sample is taken again")
    add("--proxy-cpu", type=int, default=0)
    add("--second-cpu", type=int, default=1, help="CPU of the second engine where there are two")
    add("--load-cpu", type=int, default=1)
    add("--quick", action="store_true", help="a few cells, short samples")
    add("--smoke", action="store_true", help="one cell, two contestants, two rounds: only whether it works")
    add("--json", type=pathlib.Path, help="write the figures here")
    add("--from", dest="earlier", type=pathlib.Path, help="take the figures of an earlier run instead of measuring")
    add("--write", action="store_true", help="write docs/BENCHMARKS.md and docs/benchmarks/")
    add("--install", action="store_true", help="install what is missing, and end")
    options = parser.parse_args()
    if options.smoke:
        options.cell, options.contestant = options.cell or list(SMOKE), options.contestant or ["haproxy", "ring"]
        options.rounds, options.seconds, options.quiet_patience, options.retries = 2, 0.4, 0, 0
    elif options.quick:
        options.cell = options.cell or list(QUICK)
        options.seconds = options.seconds or 0.7
        options.quiet_patience, options.retries = 1, 1
    return options


def main():
    options = arguments()
    if options.install:
        return install.install(all_contestants(options.program, options.peers), options.gateways)
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
    return int(any(not samples for cell in results["cells"] for samples in cell["samples"].values()))


def measure_all(options):
    for program in (options.program, options.load):
        if not program.exists():
            raise SystemExit(f"{program} is not there: {BUILD}")
    raise_limits()
    contestants = all_contestants(options.program, options.peers)
    cells, versions = available(chosen(options.cell, options.contestant, options.gateways), contestants)
    samples = options.rounds * sum(len(cell.contestants) for cell in cells)
    seconds = options.seconds or (options.budget * 60 / samples - OVERHEAD_S)
    seconds = round(min(max(seconds, SECONDS_MIN), SECONDS_MAX), 2)
    minutes = samples * (seconds + OVERHEAD_S) / 60
    say(f"{len(cells)} cells, {samples} samples of {seconds} s, about {minutes:.0f} minutes")
    taken = [{name: [] for name in cell.contestants} for cell in cells]
    spinners = Spinners(sorted({options.proxy_cpu, options.load_cpu, options.second_cpu}))
    start, quiet = time.time(), True
    try:
        # The rounds are outermost: what disturbs the machine for a minute disturbs one round of a cell, not the cell.
        for number in range(options.rounds):
            for cell, samples_of in zip(cells, taken):
                quiet &= spinners.wait_until_quiet(options.quiet_patience)
                for name in cell.contestants:
                    take(options, spinners, cell, name, contestants[name], seconds, samples_of)
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
        "quiet": quiet,
        "contestants": versions,
        "cells": [{**dataclasses.asdict(cell), "samples": samples_of} for cell, samples_of in zip(cells, taken)],
    }


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


def take(options, spinners, cell, name, contestant, seconds, samples_of):
    """One sample; again where somebody disturbed it, and the least disturbed one counts."""
    tries = []
    for _ in range(options.retries + 1):
        try:
            tries.append(sample(options, spinners, cell, name, contestant, seconds))
        except (SampleError, ContestantError) as error:
            say(f"{cell.name}, {name}: {error}")
            continue
        if tries[-1]["others_cpus"] <= DISTURBED_MAX:
            break
    if tries:
        samples_of[name].append(min(tries, key=lambda figures: figures["others_cpus"]))


def summary(samples_of):
    last = ((name, samples[-1]) for name, samples in samples_of.items() if samples and name != "direct")
    return "  ".join(f"{name} {figures['cpu_us']:.2f}" for name, figures in last)


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S}  {text}", file=sys.stderr, flush=True)
