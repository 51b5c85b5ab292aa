"""The books of the soak with faults: what peers wrote down, laid side by side.

A peer writes records of 16 octets to a file of its own, in order, each batch with one write(2), so that SIGKILL loses
nothing that was written. What decides is written first: an SMSC notes a message before it answers it, and so does an ESME;
an answer is noted when it was read. Hence a message that was acknowledged was noted by whoever took it, and one that is
noted as answered was answered.

A message is known by its token: the life of the process that sent it (16 bits), its route (8 bits: the account), its
number (40 bits).
"""

import array
import collections
import struct

RECORD = struct.Struct("<QQ")
NUMBER_MASK = (1 << 40) - 1
# Kinds of records; the second word is kind << 56 | detail << 32 | session, and a session is life << 16 | ordinal. The detail of
# GOOD and GOT is a count: so many messages from this one on, of consecutive numbers.
OPENED, CLOSED, SENT, GOOD, BAD, GOT, WRONG = range(1, 8)
# How a session ended: by us at the end, reset by us as a fault, unbound by smppmux, closed by smppmux without a word.
ENDED, CUT, UNBOUND, DROPPED = range(1, 5)
WRONGS = {
    1: "an answer that nobody waits for",
    2: "an answer of another command",
    3: "an answer that names another message",
    4: "a message whose octets are changed",
    5: "a request without an answer on a session that lived",
    6: "an unknown or malformed PDU",
    7: "a session that could not be ended properly",
    8: "ESME_RINVBNDSTS on a session that is not being unbound",
}

# One octet for each message: how often it was received, answered ESME_ROK, and answered otherwise; two bits each, up to 3.
RECEIVED, ACCEPTED, REFUSED = 1, 4, 16
# What most of them have: nothing, taken, answered, both, refused, refused though it was taken.
COMMON = (0, RECEIVED, ACCEPTED, RECEIVED | ACCEPTED, REFUSED, RECEIVED | REFUSED)
ONE_MORE = {
    what: bytes(value + what if value // what & 3 < 3 and value < 64 else value for value in range(256))
    for what in (RECEIVED, ACCEPTED, REFUSED)
}
LEAP_MAX = 50_000_000


class Life:
    """One process, from its start to its end: what it sent, and what it was told of it."""

    def __init__(self, number, role, name, path):
        self.number, self.role, self.name, self.path = number, role, name, path
        self.is_killed = False
        self.sent = 0
        self.messages = bytearray()
        self.first_session = array.array("I")
        self.buffer = b""
        self.file = None

    def make_room(self, end):
        """False: no such number can be."""
        if end > len(self.messages):
            if end - len(self.messages) > LEAP_MAX:
                return False
            self.messages.extend(bytes(max(65_536, end - len(self.messages))))
        return True

    def note(self, number, count, what):
        """Counts so many messages from this number on; gives what was known of them. None: no such number can be."""
        if not self.make_room(number + count):
            return None
        if count == 1:
            before = self.messages[number]
            self.messages[number] = ONE_MORE[what][before]
            return (before,)
        before = self.messages[number : number + count]
        self.messages[number : number + count] = before.translate(ONE_MORE[what])
        return before

    def note_session(self, number, count, session):
        end = number + count
        if end > len(self.first_session):
            self.first_session.frombytes(bytes(self.first_session.itemsize * max(65_536, end - len(self.first_session))))
        self.first_session[number:end] = array.array("I", (session,)) * count

    def counts(self):
        """How many messages there are of each value."""
        counts = collections.Counter({value: self.messages.count(value) for value in COMMON})
        rest = self.messages.translate(None, bytes(COMMON))
        counts.update(rest)
        return counts


class Books:
    """Reads the files of all lives as they grow. `servers_of` says to which servers a route's MT may go."""

    def __init__(self, servers_of):
        self.servers_of = servers_of
        self.lives = {}
        self.accounts = {}
        self.closed = {}
        self.losses = []
        self.repeats = collections.defaultdict(list)
        self.statuses = {"esme": collections.Counter(), "smsc": collections.Counter()}
        # Errors by the role of who was told, and the route.
        self.refused_of = collections.Counter()
        self.wrongs = collections.Counter()
        self.misrouted = collections.Counter()
        self.invented = 0

    def add(self, life):
        self.lives[life.number] = life

    def read(self, octets_max=1 << 20):
        """Reads on in each file; false when there was nothing more."""
        is_more = False
        for life in list(self.lives.values()):
            if life.file is None:
                try:
                    life.file = open(life.path, "rb", buffering=0)
                except FileNotFoundError:
                    continue
            octets = life.file.read(octets_max)
            if octets:
                is_more = True
                octets = life.buffer + octets
                whole = len(octets) // RECORD.size * RECORD.size
                life.buffer = octets[whole:]
                self.take(life, memoryview(octets)[:whole])
        return is_more

    def take(self, life, octets):
        role = life.role
        for token, word in RECORD.iter_unpack(octets):
            kind, detail, session = word >> 56, word >> 32 & 0xFFFFFF, word & 0xFFFFFFFF
            if kind == GOT:
                self.take_messages(life, token, detail, session)
            elif kind == GOOD:
                # Only the sender itself hears the answer.
                if life.note(token & NUMBER_MASK, detail, ACCEPTED) is None:
                    self.invented += 1
            elif kind == BAD:
                life.note(token & NUMBER_MASK, 1, REFUSED)
                self.statuses[role][detail] += 1
                self.refused_of[role, token >> 40 & 0xFF] += 1
            elif kind == SENT:
                life.sent = token
            elif kind == OPENED:
                self.accounts[session] = token
            elif kind == CLOSED:
                self.closed[session] = detail
                if detail != ENDED:
                    self.losses.append((life, self.accounts.get(session), detail, token))
            else:
                self.wrongs[WRONGS.get(token, "a record of an unknown kind")] += 1

    def take_messages(self, life, token, count, session):
        sender, route, number = self.lives.get(token >> 48), token >> 40 & 0xFF, token & NUMBER_MASK
        before = sender.note(number, count, RECEIVED) if sender and sender.role != life.role else None
        if before is None:
            self.invented += count
            return
        if life.role == "smsc":
            if life.name not in self.servers_of.get(route, ()):
                self.misrouted["MT"] += count
            return
        if self.accounts.get(session) != route:
            self.misrouted["MO"] += count
        for place, value in enumerate(before):
            if not value & 3:
                sender.note_session(number + place, 1, session)
                continue
            sessions = self.repeats[token + place]
            if not sessions:
                sessions.append(sender.first_session[number + place])
            sessions.append(session)

    def is_lossy(self, session):
        """Whether that session ended, or may have ended, with messages that were not acknowledged."""
        life = self.lives[session >> 16]
        cause = self.closed.get(session)
        return cause != ENDED if cause else life.is_killed

    def repeats_without_cause(self):
        """MO that came again though every earlier receiver lived on."""
        return sum(
            sum(map(self.is_lossy, sessions)) < len(sessions) - 1 for sessions in self.repeats.values()
        )

    def of(self, role):
        return [life for life in self.lives.values() if life.role == role]

    def sent(self, role):
        return sum(life.sent for life in self.of(role))

    def refused(self):
        return sum(sum(statuses.values()) for statuses in self.statuses.values())

    def all_delivered(self):
        """Whether all MO that was acknowledged has arrived."""
        return not self.figures_of("smsc")["lost"]

    def figures_of(self, role):
        """What became of the messages that the processes of a role sent."""
        counts = sum((life.counts() for life in self.of(role)), collections.Counter())

        def total(holds):
            return sum(number for value, number in counts.items() if holds(value & 3, value >> 2 & 3, value >> 4))

        return {
            "sent": self.sent(role),
            "accepted": total(lambda received, good, bad: good > 0),
            "received": total(lambda received, good, bad: received > 0),
            "lost": total(lambda received, good, bad: good > 0 and received == 0),
            "twice": total(lambda received, good, bad: received > 1),
            "arrived without ESME_ROK": total(lambda received, good, bad: received > 0 and good == 0),
            "answered twice": total(lambda received, good, bad: good + bad > 1),
        }

    def invented_numbers(self):
        """Messages received, or answered, under a number that their sender had not reached."""
        beyond = (value for life in self.lives.values() for value in life.messages[life.sent :])
        return self.invented + sum(1 for value in beyond if value)

    def summary(self):
        figures = {}
        for direction, role in (("MT", "esme"), ("MO", "smsc")):
            figures |= {f"{direction} {what}": number for what, number in self.figures_of(role).items()}
            figures[f"{direction} misrouted"] = self.misrouted[direction]
        figures["MO twice without a lost session"] = self.repeats_without_cause()
        figures["invented"] = self.invented_numbers()
        return figures
