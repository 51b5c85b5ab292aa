"""Checks with Kannel as the ESME: messages by HTTP, its delivery reports, MO, and its unbind."""

import collections
import os
import time

from .config import KANNEL
from .kannel import Kannel

MESSAGES = 10
MO_PER_SERVER_SESSION = 5
LONG_MESSAGE_TIMEOUT_S = 10
# Kannel's words for reports: the SMSC took the message, the receipt said delivered.
ACCEPTED = "8"
DELIVERED = "1"


def check_kannel(report, scene):
    """Plays Kannel with one transceiver, then with a transmitter and a receiver; returns how many PDUs it counted."""
    pdus = 0
    for transceiver in (True, False):
        way = "transceiver" if transceiver else "transmitter + receiver"
        scene.forget_events()
        kannel = Kannel(os.path.join(scene.work_dir, f"kannel-{transceiver}".lower()), scene.esme_port(), transceiver)
        try:
            report.section(f"{way}", play, report, scene, kannel, way)
        finally:
            kannel.stop()
        pdus += kannel.pdu_count()
        check_unbind(report, scene, way)
    return pdus


def play(report, scene, kannel, way):
    kannel.start()
    said = kannel.wait_online()
    report.check(f"{way}: bearerbox is online", "online" in said, said)
    check_sending(report, scene, kannel, way)
    check_long_message(report, scene, kannel, way)
    check_mo(report, scene, kannel, way)
    if not scene.direct:
        check_smppmux_restart(report, scene, kannel, way)


def check_sending(report, scene, kannel, way):
    """Messages by sendsms reach the SMSCs, and Kannel matches every receipt with the message that it sent."""
    texts = [f"kannel {way} {number}" for number in range(MESSAGES)]
    said = [kannel.send(f"4916300{number:04}", text, number) for number, text in enumerate(texts)]
    accepted = sum(answer.startswith("0: Accepted") for answer in said)
    report.check(f"{way}: sendsms takes {MESSAGES} messages", accepted == MESSAGES, collections.Counter(said))
    reports = kannel.inbox.wait("/report", 2 * MESSAGES)
    events = scene.events("submit")
    arrived = sorted(event["text"] for rows in events.values() for event in rows)
    report.check(f"{way}: each arrives once, text unchanged", arrived == sorted(texts), f"{len(arrived)} arrived")
    shares = {smsc.name: len(rows) for smsc, rows in events.items()}
    if not scene.direct:
        report.check(f"{way}: both SMSCs get some", min(shares.values()) >= 3, shares)
    ids = {event["text"]: scene.tagged(event["message_id"], smsc) for smsc in events for event in events[smsc]}
    wanted = {str(number): ids.get(text) for number, text in enumerate(texts)}
    for kind, name in ((ACCEPTED, "taken by the SMSC"), (DELIVERED, "delivered")):
        got = {row["reference"]: row["id"] for row in reports if row["type"] == kind}
        evidence = f"{len(got)}: {sorted(got.values())[:3]}"
        report.check(f"{way}: a report '{name}' for each message, under its id", got == wanted, evidence)


def check_long_message(report, scene, kannel, way):
    """A text that Kannel cuts into segments: their headers pass unchanged, and put together they are the text."""
    scene.forget_events()
    text = " ".join(f"word{number}" for number in range(50))
    said = kannel.send("49163009999", text)
    parts = []
    deadline = time.monotonic() + LONG_MESSAGE_TIMEOUT_S
    while sum(len(part["text"]) for part in parts) < len(text) and time.monotonic() < deadline:
        time.sleep(0.1)
        parts = [event for rows in scene.events("submit").values() for event in rows]
    # 00 03 <reference> <total> <number>: the order is in the last octet.
    parts.sort(key=lambda part: part["user_data_header"])
    headers = [part["user_data_header"] for part in parts]
    together = "".join(part["text"] for part in parts)
    report.check(
        f"{way}: a text of {len(text)} characters arrives in segments, unchanged",
        together == text and len({header[:8] for header in headers}) == 1 and len(set(headers)) == len(parts) > 1,
        f"{said}, headers {headers}",
    )


def check_mo(report, scene, kannel, way):
    """MO from every session of every SMSC comes out of smsbox as an HTTP request."""
    sent = []
    statuses = collections.Counter()
    for smsc in scene.used_smscs():
        for row in smsc.bound_sessions():
            if row["mode"] == "transmitter":
                continue
            rows = [mo_row(smsc, row["session"], way, number) for number in range(MO_PER_SERVER_SESSION)]
            statuses.update(answer.get("status") for answer in smsc.peer.ask_all("deliver", rows))
            sent += rows
    report.check(f"{way}: {len(sent)} MO are answered", sent and statuses == {0: len(sent)}, dict(statuses))
    got = kannel.inbox.wait("/mo", len(sent))
    wanted = sorted((row["source"], row["destination"], row["text"]) for row in sent)
    seen = sorted((row["source"], row["destination"], row["text"]) for row in got)
    report.check(f"{way}: each MO reaches the service once, unchanged", seen == wanted, f"{len(seen)}: {seen[:1]}")


def check_smppmux_restart(report, scene, kannel, way):
    """smppmux goes and comes back: Kannel finds its way by itself, and what it held meanwhile goes out."""
    exit_code = scene.smppmux.terminate()
    report.check(f"{way}: SIGTERM ends smppmux while Kannel is bound", exit_code == 0, f"exit code {exit_code}")
    scene.forget_events()
    said = kannel.send("4916400001", f"held {way}", reference="held")
    scene.start_smppmux()
    online = kannel.wait_online()
    report.check(f"{way}: Kannel is online again", "online" in online, online)
    reports = kannel.inbox.wait_for("/report", lambda row: is_delivered(row, "held"))
    arrived = [event["text"] for rows in scene.events("submit").values() for event in rows]
    report.check(
        f"{way}: the message that Kannel held goes out and is reported",
        arrived == [f"held {way}"] and len(reports) == 1,
        f"{said}; arrived {arrived}; reports {reports}",
    )
    scene.forget_events()


def is_delivered(row, reference):
    return row["reference"] == reference and row["type"] == DELIVERED


def mo_row(smsc, session, way, number):
    return {
        "session": session,
        "source": f"4917300{number:04}",
        "destination": f"{KANNEL.prefix}{number:02}",
        "text": f"mo {way} {smsc.name} {session} {number}",
    }


def check_unbind(report, scene, way):
    """Kannel unbinds when it ends; behind smppmux the SMSCs must not notice."""
    for smsc in scene.used_smscs():
        unbinds = len(smsc.peer.events("unbind"))
        if scene.direct:
            # A transceiver is one session, the pair is two.
            wanted = 1 if way == "transceiver" else 2
            report.check(f"{way}: Kannel unbinds", unbinds == wanted, f"{unbinds} unbinds")
        else:
            report.check(f"{way}: {smsc.name} keeps its sessions", unbinds == 0, f"{unbinds} unbinds")
