"""Entry point: python3 -m driver (--smppmux PROGRAM | --direct) --python PYTHON --node-modules FOLDER

`--direct` leaves smppmux out and only shows that the peers work with each other, so that what fails later points at
smppmux.
"""

import argparse
import functools
import os
import sys
import tempfile

from . import checks_messages, checks_sessions
from .capture import Capture
from .checks_forward import check_forward
from .checks_kannel import check_kannel
from .report import PeerError, Report
from .scene import Scene, Tools

SMSC_KINDS = ("smpplib", "npm")
ESME_KINDS = ("smpplib", "npm")


def main():
    options = parse_arguments()
    work_dir = options.keep or tempfile.mkdtemp(prefix="smppmux-interop-")
    os.makedirs(work_dir, exist_ok=True)
    tools = Tools(options.python, options.node, options.node_modules)
    report = Report()
    for smsc_kind in options.smsc or SMSC_KINDS:
        scene = Scene(tools, smsc_kind, work_dir, options.smppmux, options.cores)
        play_scene(report, scene, f"SMSCs {smsc_kind}", functools.partial(play_all, options.esme))
        if options.smppmux:
            scene = Scene(tools, smsc_kind, work_dir, options.smppmux, options.cores, auth="forward")
            title = f"SMSCs {smsc_kind}, binds forwarded"
            play_scene(report, scene, title, functools.partial(play_forward, options.esme))
    print(f"\nlogs, configurations and captures: {work_dir}")
    return report.finish()


def parse_arguments():
    parser = argparse.ArgumentParser(prog="driver", description="smppmux among real SMPP programs")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--smppmux", metavar="PROGRAM", help="the smppmux to test")
    way.add_argument("--direct", action="store_true", help="peers against each other, without smppmux")
    parser.add_argument("--python", default=sys.executable, help="a Python that has smpplib")
    parser.add_argument("--node", default="node")
    parser.add_argument("--node-modules", default="", help="a folder that has the npm package smpp")
    parser.add_argument("--cores", default="0-1" if (os.cpu_count() or 1) > 1 else "0,0", help="two engines")
    parser.add_argument("--smsc", action="append", choices=SMSC_KINDS, help="only this kind of SMSC")
    parser.add_argument("--esme", action="append", choices=(*ESME_KINDS, "kannel"), help="only this kind of ESME")
    parser.add_argument("--keep", metavar="FOLDER", help="where logs, configurations and captures go")
    return parser.parse_args()


def play_scene(report, scene, title, play):
    """Starts a scene, has it played, ends it, and judges the capture of all of it.

    `play` returns how many PDUs were counted by a peer that the scene does not know.
    """
    report.scene(title)
    capture = Capture(scene.work_dir, scene.smpp_ports())
    try:
        capture.start()
        scene.start()
        other_pdus = play(report, scene)
        report.scene(f"{title}: the end")
        if not scene.direct:
            check_end(report, scene)
        scene.stop_peers()
        capture.check(report, scene.peer_pdu_count(other_pdus))
    except PeerError as failure:
        report.check("the scene", False, f"broke off: {failure}")
    finally:
        scene.kill_all()
        capture.stop()


def check_end(report, scene):
    """SIGTERM: smppmux unbinds from every server and exits 0."""
    bound = {smsc: {row["session"] for row in smsc.bound_sessions()} for smsc in scene.smscs}
    exit_code = scene.smppmux.terminate()
    report.check("SIGTERM ends smppmux with exit code 0", exit_code == 0, f"exit code {exit_code}")
    for smsc, sessions in bound.items():
        unbound = {event["session"] for event in smsc.peer.wait_events("unbind", len(sessions), timeout_s=2)}
        evidence = f"of {len(sessions)} sessions not unbound: {sorted(sessions - unbound)}"
        report.check(f"it unbinds from {smsc.name}", sessions <= unbound, evidence)


def play_all(esme_kinds, report, scene):
    """All ESMEs in turn before SMSCs that smppmux binds to with an account of its own."""
    middle = "directly" if scene.direct else "through smppmux"
    kannel_pdus = 0
    for kind in esme_kinds or (*ESME_KINDS, "kannel"):
        report.scene(f"{kind} {middle} to {scene.smsc_kind}")
        if kind == "kannel":
            kannel_pdus = check_kannel(report, scene)
        else:
            play_esme(report, scene, kind)
    scene.forget_events()
    return kannel_pdus


def play_forward(esme_kinds, report, scene):
    """The scripted ESMEs before SMSCs that decide about their binds."""
    for kind in esme_kinds or ESME_KINDS:
        if kind != "kannel":
            report.scene(f"{kind}'s binds forwarded to {scene.smsc_kind}")
            report.section("forward", check_forward, report, scene, scene.start_esme(kind))
    scene.forget_events()
    return 0


def play_esme(report, scene, kind):
    """One scripted ESME through all checks."""
    scene.forget_events()
    esme = scene.start_esme(kind)
    report.section("binds", checks_sessions.check_binds, report, scene, esme)
    report.section("submits", checks_messages.check_submits, report, scene, esme)
    report.section("operations", checks_messages.check_operations, report, scene, esme, kind)
    report.section("MO", checks_messages.check_mo, report, scene, esme)
    report.section("receipts", checks_messages.check_receipts, report, scene, esme)
    report.section("enquire_link", checks_sessions.check_enquire_link, report, scene, esme)
    report.section("restart", checks_sessions.check_restart, report, scene, esme)
    report.section("unbind", checks_sessions.check_unbind, report, scene, esme)


if __name__ == "__main__":
    sys.exit(main())
