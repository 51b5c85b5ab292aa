"""Checks on messages: submits, tagged ids, query, cancel, replace, MO by range and across cores, receipts."""

import collections

from .checks_sessions import submits
from .config import EMPTY, ENGINE_COUNT, EXPRESSION, PLAIN

ESME_RINVCMDID = 0x03
ESME_RINVMSGID = 0x0C
RECEIPT_TYPE = 0x04
SUBMITS_PER_SESSION = 20
MO_PER_SERVER_SESSION = 10
# smpplib has neither cancel_sm nor replace_sm.
OPERATIONS_OF_ESME = {"smpplib": ("query",), "npm": ("query", "cancel", "replace")}
OPERATIONS_OF_SMSC = {"smpplib": ("query",), "npm": ("query", "cancel", "replace")}


def check_submits(report, scene, esme):
    """Submits on a transceiver and a transmitter: one answer each, octets unchanged, both SMSCs used, ids tagged."""
    scene.forget_events()
    rows = submits("hello", SUBMITS_PER_SESSION) + submits("hello", SUBMITS_PER_SESSION, "transmitter")
    answers = esme.ask_all("submit", rows)
    statuses = [answer.get("status") for answer in answers]
    report.check(f"{len(rows)} submits are taken", statuses == [0] * len(rows), collections.Counter(statuses))
    arrived = scene.events("submit")
    sent = collections.Counter((row["source"], row["destination"], row["text"]) for row in rows)
    seen = collections.Counter(
        (event["source"], event["destination"], event["text"]) for events in arrived.values() for event in events
    )
    report.check("each arrives once, with its addresses and text", sent == seen, f"{sum(seen.values())} arrived")
    shares = {smsc.name: len(events) for smsc, events in arrived.items()}
    if not scene.direct:
        even = all(share >= 0.4 * len(rows) for share in shares.values())
        report.check("round-robin uses both SMSCs evenly", even, shares)
    expected = {event["text"]: scene.tagged(event["message_id"], smsc) for smsc in arrived for event in arrived[smsc]}
    returned = {row["text"]: answer.get("message_id") for row, answer in zip(rows, answers)}
    name = "each id is the SMSC's own" if scene.direct else "each id is the SMSC's, tagged #mx-<its uid>"
    report.check(name, expected == returned, sorted(str(message_id) for message_id in returned.values())[:4])
    report.check("no id is given twice", len(set(returned.values())) == len(rows), f"{len(set(returned.values()))} ids")


def check_operations(report, scene, esme, kind):
    """query, cancel and replace by the id that the ESME was given reach the SMSC that has the message."""
    answers = esme.ask_all("submit", submits("operate on", 4))
    owners = {
        scene.tagged(event["message_id"], smsc): (smsc, event["message_id"])
        for smsc, events in scene.events("submit").items()
        for event in events
    }
    for operation in OPERATIONS_OF_ESME[kind]:
        for answer in answers:
            check_one_operation(report, scene, esme, operation, answer.get("message_id"), owners)
    if not scene.direct:
        unknown_tag = f"{answers[0].get('message_id', '').split('#')[0]}#mx-ZZ"
        scene.forget_events()
        answer = ask_operation(esme, "query", unknown_tag)
        seen = sum(len(events) for events in scene.events("query").values())
        refused = answer.get("status") == ESME_RINVMSGID and seen == 0
        report.check(f"query of {unknown_tag}, a uid that no server has, is refused", refused, answer)


def check_one_operation(report, scene, esme, operation, message_id, owners):
    if message_id not in owners:
        report.check(f"{operation} of {message_id}", False, f"no SMSC has this id; known: {sorted(owners)[:4]}")
        return
    smsc, own_id = owners[message_id]
    scene.forget_events()
    answer = ask_operation(esme, operation, message_id)
    if operation not in OPERATIONS_OF_SMSC[scene.smsc_kind]:
        name = f"{operation} of {message_id}: the SMSC's generic_nack comes back as its status"
        report.check(name, answer.get("status") == ESME_RINVCMDID, answer)
        return
    seen = [(at.name, event["message_id"]) for at, events in scene.events(operation).items() for event in events]
    named_right = operation != "query" or answer.get("message_id") == message_id
    report.check(
        f"{operation} of {message_id} reaches {smsc.name} as {own_id}",
        answer.get("status") == 0 and named_right and seen == [(smsc.name, own_id)],
        f"{answer}, seen {seen}",
    )


def ask_operation(esme, operation, message_id):
    fields = {"message_id": message_id, "source": PLAIN.prefix + "000"}
    if operation == "cancel":
        fields["destination"] = ""
    if operation == "replace":
        fields["text"] = "replaced text"
    return esme.ask(operation, session="plain", **fields)


def check_mo(report, scene, esme):
    """MO from every session of every SMSC to every range.

    Behind smppmux each SMSC has one session on each core, and the ranges of the first two accounts have one receiving
    session: whatever core that session is on, half of its MO comes in on another.
    """
    esme.forget_events()
    sent = {account.system_id: 0 for account in (PLAIN, EXPRESSION, EMPTY)}
    statuses = collections.Counter()
    sources = 0
    for smsc in scene.used_smscs():
        sessions = [row["session"] for row in smsc.bound_sessions() if row["mode"] != "transmitter"]
        if scene.direct:
            check_direct_mo(report, esme, smsc, sessions)
            return
        sources += len(sessions)
        for account in (PLAIN, EXPRESSION, EMPTY):
            rows = mo_rows(smsc, sessions, account)
            statuses.update(answer.get("status") for answer in smsc.peer.ask_all("deliver", rows))
            sent[account.system_id] += len(rows)
    total = sum(sent.values())
    report.check(f"{total} MO from {sources} server sessions are answered", statuses == {0: total}, dict(statuses))
    events = esme.wait_events("deliver", total, timeout_s=5)
    check_ranges(report, sent, events)
    check_crossings(report, scene, events)


def check_direct_mo(report, esme, smsc, sessions):
    rows = mo_rows(smsc, sessions, PLAIN)
    answers = smsc.peer.ask_all("deliver", rows)
    statuses = collections.Counter(answer.get("status") for answer in answers)
    report.check(f"{len(rows)} MO are answered", statuses == {0: len(rows)}, dict(statuses))
    texts = sorted(event["text"] for event in esme.wait_events("deliver", len(rows), timeout_s=5))
    wanted = sorted(row["text"] for row in rows)
    report.check("each MO arrives once", wanted and texts == wanted, f"{len(texts)} arrived")


def mo_rows(smsc, sessions, account):
    return [
        {
            "session": session,
            "source": f"4917200{number:04}",
            "destination": f"{account.prefix}{number:05}",
            "text": f"mo {account.system_id} {smsc.name} {session} {number}",
        }
        for session in sessions
        for number in range(MO_PER_SERVER_SESSION)
    ]


def check_ranges(report, sent, events):
    """Each message went once to a session of its range and to no other."""
    of_session = {"plain": PLAIN, "expression": EXPRESSION, "empty-1": EMPTY, "empty-2": EMPTY}
    strays = [event for event in events if not event["destination"].startswith(of_session[event["session"]].prefix)]
    report.check("no MO reaches a session of another range", not strays, strays[:3])
    texts = collections.Counter(event["text"] for event in events)
    got = {system_id: sum(f"mo {system_id} " in text for text in texts) for system_id in sent}
    once = got == sent and set(texts.values()) == {1}
    report.check("each MO arrives once at its range (plain, expression, empty)", once, got)
    shares = collections.Counter(event["session"] for event in events if event["session"].startswith("empty"))
    smallest = min(shares.get("empty-1", 0), shares.get("empty-2", 0))
    report.check("the two sessions of one range share its MO", smallest >= 0.35 * sent[EMPTY.system_id], dict(shares))


def check_crossings(report, scene, events):
    """A range with one receiving session got MO from the server sessions of every core."""
    for session in ("plain", "expression"):
        origins = {tuple(event["text"].split()[2:4]) for event in events if event["session"] == session}
        wanted = ENGINE_COUNT * len(scene.smscs)
        report.check(
            f"'{session}', on one core, gets MO from the server sessions of every core",
            len(origins) == wanted,
            f"from {len(origins)} of {wanted} server sessions",
        )


def check_receipts(report, scene, esme):
    """A receipt comes to the account that submitted, under the id that its submit was given."""
    esme.forget_events()
    rows = [dict(row, registered_delivery=1) for row in submits("receipt please", 6)]
    answers = esme.ask_all("submit", rows)
    ids = sorted(str(answer.get("message_id")) for answer in answers)
    receipts = [event for event in esme.wait_events("deliver", len(rows), timeout_s=10) if is_receipt(event)]
    in_text = sorted(event["text"].split("id:")[1].split(" ")[0] for event in receipts)
    report.check("a receipt for each submit names its id in the text", in_text == ids, in_text[:4])
    if scene.smsc_kind == "npm":
        in_tlv = sorted(str(event["receipted_message_id"]) for event in receipts)
        report.check("and in receipted_message_id", in_tlv == ids, in_tlv[:4])
    if not scene.direct:
        sessions = {event["session"] for event in receipts}
        report.check("receipts come to the submitter's receiving session", sessions == {"plain"}, sorted(sessions))
    states = {event["text"].split("stat:")[1].split(" ")[0] for event in receipts if "stat:" in event["text"]}
    report.check("the rest of the text is unchanged", states == {"DELIVRD"}, states)


def is_receipt(event):
    return event["esm_class"] & 0x3C == RECEIPT_TYPE and "id:" in event["text"]
