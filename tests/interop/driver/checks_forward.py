"""Checks on `auth = "forward"`: the SMSC decides about a bind, and an identity's server sessions are its own."""

import collections

from .checks_sessions import ESME_RINVPASWD, ESME_RINVSYSID, bind_command, submits
from .config import EMPTY, PLAIN

SUBMITS = 10


def check_forward(report, scene, esme):
    """Two accounts that smppmux does not know, their refused twins, and submits of each."""
    for session, account in (("plain", PLAIN), ("empty-1", EMPTY), ("plain-2", PLAIN)):
        answer = esme.ask("bind", **bind_command(session, account, "transceiver"))
        report.check(f"the SMSC takes the bind of '{session}'", answer.get("status") == 0, answer)
    for name, changed, status in (
        ("wrong password", {"password": "wrong"}, ESME_RINVPASWD),
        ("unknown system_id", {"system_id": "nobody"}, ESME_RINVSYSID),
    ):
        answer = esme.ask("bind", **bind_command("refused", PLAIN, "transceiver", **changed))
        report.check(f"the SMSC's refusal of a {name} comes back", answer.get("status") == status, answer)
    for session, account in (("plain", PLAIN), ("empty-1", EMPTY)):
        check_own_sessions(report, scene, esme, session, account)
    for session in ("plain", "empty-1", "plain-2"):
        answer = esme.ask("unbind", session=session)
        report.check(f"unbind of '{session}'", answer.get("status") == 0, answer)


def check_own_sessions(report, scene, esme, session, account):
    """An account's submits come by server sessions that were bound with its own system_id."""
    before = {smsc: len(rows) for smsc, rows in scene.events("submit").items()}
    rows = submits(f"forwarded {account.system_id}", SUBMITS, session)
    answers = esme.ask_all("submit", rows)
    statuses = collections.Counter(answer.get("status") for answer in answers)
    report.check(f"'{session}': {SUBMITS} submits are taken", statuses == {0: SUBMITS}, dict(statuses))
    identities = collections.Counter()
    expected = set()
    for smsc, events in scene.events("submit").items():
        bound_as = {event["session"]: event["system_id"] for event in smsc.peer.events("bind")}
        for event in events[before[smsc] :]:
            identities[bound_as.get(event["session"])] += 1
            expected.add(scene.tagged(event["message_id"], smsc))
    own = identities == {account.system_id: SUBMITS}
    report.check(f"'{session}': all come by sessions of {account.system_id}", own, dict(identities))
    ids = {answer.get("message_id") for answer in answers}
    report.check(f"'{session}': ids are tagged", ids == expected, sorted(map(str, ids))[:3])
