"""Entry point: python3 -m driver (--smppmux PROGRAM | --direct) --python PYTHON --node-modules FOLDER

`--direct` leaves smppmux out and only shows that the peers work with each other, so that what fails later points at
smppmux.
"""

import argparse
import os
import sys
import tempfile

from . import checks_messages, checks_sessions
from .capture import Capture
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
        play_scene(report, options, tools, smsc_kind, work_dir)
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


def play_scene(report, options, tools, smsc_kind, work_dir):
    """All ESMEs in turn before two SMSCs of one kind, captured from first to last."""
    scene = Scene(tools, smsc_kind, work_dir, options.smppmux, options.cores)
    middle = "directly" if scene.direct else "through smppmux"
    report.scene(f"SMSCs {smsc_kind}, {middle}")
    capture = Capture(scene.work_dir, scene.smpp_ports())
    kannel_pdus = 0
    try:
        capture.start()
        scene.start()
        for kind in options.esme or (*ESME_KINDS, "kannel"):
            report.scene(f"{kind} {middle} to {smsc_kind}")
            if kind == "kannel":
                kannel_pdus = check_kannel(report, scene)
            else:
                play_esme(report, scene, kind)
        report.scene(f"SMSCs {smsc_kind}, {middle}: the end")
        check_end(report, scene)
        scene.stop_peers()
        capture.check(report, scene.peer_pdu_count(kannel_pdus))
    except PeerError as failure:
        report.check("the scene", False, f"broke off: {failure}")
    finally:
        scene.kill_all()
        capture.stop()


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


def check_end(report, scene):
    """SIGTERM: smppmux unbinds from every server and exits 0."""
    if scene.direct:
        return
    scene.forget_events()
    exit_code = scene.smppmux.terminate()
    report.check("SIGTERM ends smppmux with exit code 0", exit_code == 0, f"exit code {exit_code}")
    for smsc in scene.smscs:
        unbinds = len(smsc.peer.wait_events("unbind", 2, timeout_s=2))
        report.check(f"it unbinds from {smsc.name} on each core", unbinds == 2, f"{unbinds} unbinds")


if __name__ == "__main__":
    sys.exit(main())
