"""Checks on sessions: binds of each kind, refused binds, enquire_link, unbind, and servers that go and come back."""

import time

from .config import EMPTY, ENGINE_COUNT, EXPRESSION, PLAIN

ESME_RBINDFAIL = 0x0D
ESME_RINVPASWD = 0x0E
ESME_RINVSYSID = 0x0F
# Every session of one scripted ESME: its name here, its account and how it binds.
SESSIONS = (
    ("plain", PLAIN, "transceiver"),
    ("transmitter", PLAIN, "transmitter"),
    ("expression", EXPRESSION, "receiver"),
    ("empty-1", EMPTY, "transceiver"),
    ("empty-2", EMPTY, "transceiver"),
)


def bind_command(session, account, mode, **changed):
    """The driver's bind command for one session of an account."""
    row = {
        "session": session,
        "mode": mode,
        "system_id": account.system_id,
        "password": account.password,
        "address_range": account.address_range if mode != "transmitter" else "",
    }
    return {**row, **changed}


def check_binds(report, scene, esme):
    """Opens the sessions that all later checks use: two that transmit, four that receive."""
    for row in (bind_command(*session) for session in SESSIONS):
        answer = esme.ask("bind", **row)
        name = f"bind_{row['mode']} of {row['system_id']}, address_range '{row['address_range']}'"
        report.check(name, answer.get("status") == 0, answer)
    for name, changed, status in (
        ("a wrong password is refused", {"password": "wrong"}, ESME_RINVPASWD),
        ("an unknown system_id is refused", {"system_id": "nobody"}, ESME_RINVSYSID),
    ):
        answer = esme.ask("bind", **bind_command("refused", PLAIN, "transceiver", **changed))
        report.check(name, answer.get("status") == status, answer)
    if not scene.direct:
        row = bind_command("refused", PLAIN, "receiver", address_range=EXPRESSION.prefix)
        answer = esme.ask("bind", **row)
        refused = answer.get("status") == ESME_RBINDFAIL
        report.check("a range that the account may not claim is refused", refused, answer)
        for smsc in scene.smscs:
            rows = smsc.bound_sessions()
            modes = [row["mode"] for row in rows]
            report.check(
                f"{smsc.name} has one session of each engine, shared by all ESMEs",
                modes == ["transceiver"] * ENGINE_COUNT,
                modes,
            )


def check_enquire_link(report, _scene, esme):
    for session in ("plain", "transmitter", "expression"):
        answer = esme.ask("enquire_link", session=session)
        report.check(f"enquire_link on '{session}'", answer.get("status") == 0, answer)


def check_unbind(report, scene, esme):
    """Unbinds every session. Behind smppmux the SMSCs must not notice."""
    for session, _, _ in SESSIONS:
        answer = esme.ask("unbind", session=session)
        report.check(f"unbind of '{session}'", answer.get("status") == 0, answer)
    closed = esme.events("closed")
    report.check("no session was closed before its unbind", not closed, closed)
    if not scene.direct:
        for smsc in scene.smscs:
            rows = smsc.bound_sessions()
            report.check(
                f"{smsc.name} keeps its sessions when ESMEs unbind",
                len(rows) == ENGINE_COUNT and not smsc.peer.events("unbind"),
                f"{len(rows)} bound, {len(smsc.peer.events('unbind'))} unbinds",
            )


def check_restart(report, scene, esme):
    """One SMSC goes without a word and comes back."""
    if scene.direct:
        check_direct_restart(report, scene, esme)
        return
    stays, goes = scene.smscs
    goes.stop_abruptly()
    time.sleep(0.5)
    stays.peer.forget_events()
    answers = esme.ask_all("submit", submits("while one is down", 10))
    statuses = [answer.get("status") for answer in answers]
    report.check(f"all submits are taken while {goes.name} is down", statuses == [0] * 10, statuses)
    taken = len(stays.peer.events("submit"))
    report.check(f"{stays.name} took them all", taken == 10, f"{taken} of 10")
    goes.start()
    rows = goes.wait_bound(ENGINE_COUNT)
    report.check(f"smppmux binds to {goes.name} again on each core", len(rows) == ENGINE_COUNT, f"{len(rows)} binds")
    scene.forget_events()
    answers = esme.ask_all("submit", submits("after it came back", 10))
    statuses = [answer.get("status") for answer in answers]
    shares = {smsc.name: len(smsc.peer.events("submit")) for smsc in scene.smscs}
    report.check(
        f"{goes.name} takes its share again",
        statuses == [0] * 10 and shares[goes.name] >= 3 and sum(shares.values()) == 10,
        shares,
    )
    report.check("no ESME session was lost by it", not esme.events("closed"), esme.events("closed"))


def check_direct_restart(report, scene, esme):
    """Without smppmux the sessions go with the SMSC, and the ESME binds them again."""
    smsc = scene.smscs[0]
    smsc.stop_abruptly()
    closed = {event["session"] for event in esme.wait_events("closed", len(SESSIONS))}
    report.check("the ESME sees its sessions go", len(closed) == len(SESSIONS), sorted(closed))
    smsc.start()
    for row in SESSIONS:
        answer = esme.ask("bind", **bind_command(*row))
        report.check(f"'{row[0]}' binds again", answer.get("status") == 0, answer)
    answers = esme.ask_all("submit", submits("after it came back", 10))
    statuses = [answer.get("status") for answer in answers]
    report.check("submits are taken again", statuses == [0] * 10, statuses)
    esme.forget_events()


def submits(text, count, session="plain"):
    """Driver commands for `count` submits with texts that tell them apart."""
    return [
        {
            "session": session,
            "source": PLAIN.prefix + "000",
            "destination": f"4915100{number:04}",
            "text": f"{text} {session} {number}",
        }
        for number in range(count)
    ]
