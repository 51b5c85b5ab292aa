"""An SMSC made of PyPI's smpplib. Usage: smsc_smpplib.py HOST PORT ACCOUNTS

ACCOUNTS is a JSON object: who may bind, and the password of each.

smpplib is a client library, so accepting and framing are done here; every PDU is parsed and built by smpplib's own
classes. Kept as real as it is: error responses carry a body, delivery receipts have no TLVs but the text alone, and
cancel_sm and replace_sm, which smpplib does not know, are answered by generic_nack ESME_RINVCMDID.
Message ids are decimal.
"""

import collections
import json
import selectors
import socket
import struct
import sys
import time

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.smpp

from lines import CommandLines, emit, reply

BIND_MODES = {"bind_transmitter": "transmitter", "bind_receiver": "receiver", "bind_transceiver": "transceiver"}
FIRST_MESSAGE_ID = 7_000_001
STATE_ENROUTE = smpplib.consts.SMPP_MESSAGE_STATE_ENROUTE
RECEIPT_ESM_CLASS = 0x04
USER_DATA_HEADER_INDICATOR = 0x40
# Longer than an ESME takes to note the id of a submit_sm_resp: Kannel drops a receipt whose id it has not noted.
RECEIPT_DELAY_S = 0.2


class Session:
    """One accepted connection. smpplib's PDUs take their sequence numbers from it."""

    def __init__(self, number, connection):
        self.number = number
        self.connection = connection
        self.buffer = b""
        self.mode = None
        self.waiting = {}
        self._numbers = smpplib.client.SimpleSequenceGenerator()

    @property
    def sequence(self):
        return self._numbers.sequence

    def next_sequence(self):
        return self._numbers.next_sequence()

    def receives(self):
        return self.mode in ("receiver", "transceiver")


class Smsc:
    """The listener, its sessions and the messages that it took."""

    def __init__(self, host, port, accounts):
        self.accounts = accounts
        self.sessions = {}
        self.messages = {}
        self.due_receipts = collections.deque()
        self.session_count = 0
        self.sent = 0
        self.received = 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server((host, port), backlog=64)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def run(self):
        lines = CommandLines()
        self.selector.register(lines.descriptor, selectors.EVENT_READ, None)
        emit(event="listening")
        while True:
            for key, _ in self.selector.select(self.send_due_receipts()):
                if key.data is not None:
                    key.data()
                    continue
                commands = lines.read_available()
                if commands is None:
                    return
                for command in commands:
                    getattr(self, "do_" + command["do"])(command)

    # What the driver asks for.

    def do_sessions(self, command):
        rows = [{"session": s.number, "mode": s.mode} for s in self.sessions.values() if s.mode]
        reply(command, sessions=rows)

    def do_deliver(self, command):
        session = self.sessions.get(command["session"])
        if session is None:
            reply(command, error="no such session")
            return
        self.deliver(session, command, command["source"], command["destination"], command["text"].encode("ascii"))

    def do_stats(self, command):
        reply(command, sent=self.sent, received=self.received)

    def do_stop(self, command):
        for session in list(self.sessions.values()):
            self.drop(session)
        self.listener.close()
        reply(command, sent=self.sent, received=self.received)
        sys.exit(0)

    # What ESMEs do.

    def accept(self):
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session_count += 1
        session = Session(self.session_count, connection)
        self.sessions[session.number] = session
        self.selector.register(connection, selectors.EVENT_READ, lambda: self.read(session))

    def read(self, session):
        try:
            chunk = session.connection.recv(65536)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.drop(session)
            return
        session.buffer += chunk
        while len(session.buffer) >= 16 and session.number in self.sessions:
            length, _, _, sequence_number = struct.unpack(">LLLL", session.buffer[:16])
            if len(session.buffer) < length:
                return
            frame, session.buffer = session.buffer[:length], session.buffer[length:]
            self.received += 1
            try:
                pdu = smpplib.smpp.parse_pdu(frame, client=session, allow_unknown_opt_params=True)
            except smpplib.exceptions.UnknownCommandError:
                emit(event="refused", session=session.number, frame=frame.hex())
                self.send(session, "generic_nack", sequence_number, status=smpplib.consts.SMPP_ESME_RINVCMDID)
                continue
            self.on_pdu(session, pdu)

    def on_pdu(self, session, pdu):
        if pdu.command in BIND_MODES:
            self.on_bind(session, pdu)
        elif pdu.command == "submit_sm":
            self.on_submit(session, pdu)
        elif pdu.command == "query_sm":
            self.on_query(session, pdu)
        elif pdu.command == "enquire_link":
            self.send(session, "enquire_link_resp", pdu.sequence)
        elif pdu.command == "unbind":
            emit(event="unbind", session=session.number)
            self.send(session, "unbind_resp", pdu.sequence)
        elif pdu.command == "deliver_sm_resp":
            command = session.waiting.pop(pdu.sequence, None)
            if command is not None:
                reply(command, status=pdu.status)

    def on_bind(self, session, pdu):
        system_id, password = text(pdu.system_id), text(pdu.password)
        status = smpplib.consts.SMPP_ESME_ROK
        if system_id not in self.accounts:
            status = smpplib.consts.SMPP_ESME_RINVSYSID
        elif self.accounts[system_id] != password:
            status = smpplib.consts.SMPP_ESME_RINVPASWD
        mode = BIND_MODES[pdu.command]
        emit(event="bind", session=session.number, mode=mode, system_id=system_id, status=status)
        self.send(session, pdu.command + "_resp", pdu.sequence, status=status, system_id="smsc-smpplib")
        if status == smpplib.consts.SMPP_ESME_ROK:
            session.mode = mode

    def on_submit(self, session, pdu):
        message_id = str(FIRST_MESSAGE_ID + len(self.messages))
        header, body = split_user_data(pdu)
        message = {
            "message_id": message_id,
            "source": text(pdu.source_addr),
            "destination": text(pdu.destination_addr),
            "user_data_header": header.hex(),
            "text": text(body),
        }
        self.messages[message_id] = message
        emit(event="submit", session=session.number, **message)
        self.send(session, "submit_sm_resp", pdu.sequence, message_id=message_id)
        if pdu.registered_delivery & 1:
            self.due_receipts.append((time.monotonic() + RECEIPT_DELAY_S, session, message))

    def on_query(self, session, pdu):
        message_id = text(pdu.message_id)
        known = message_id in self.messages
        emit(event="query", session=session.number, message_id=message_id)
        self.send(
            session,
            "query_sm_resp",
            pdu.sequence,
            status=smpplib.consts.SMPP_ESME_ROK if known else smpplib.consts.SMPP_ESME_RINVMSGID,
            message_id=message_id,
            message_state=STATE_ENROUTE,
        )

    def send_due_receipts(self):
        """Sends the receipts whose time has come; returns the seconds until the next one, None when there is none."""
        while self.due_receipts:
            due, submitter, message = self.due_receipts[0]
            left = due - time.monotonic()
            if left > 0:
                return left
            self.due_receipts.popleft()
            self.send_receipt(submitter, message)
        return None

    def send_receipt(self, submitter, message):
        """Returns the receipt on another session than the submit came by, where there is one."""
        receiving = [session for session in self.sessions.values() if session.receives()]
        others = [session for session in receiving if session is not submitter]
        body = (
            "id:{message_id} sub:001 dlvrd:001 submit date:2611221200 done date:2611221201 "
            "stat:DELIVRD err:000 text:{start}"
        ).format(message_id=message["message_id"], start=message["text"][:20])
        for session in (others or receiving)[:1]:
            self.deliver(
                session, None, message["destination"], message["source"], body.encode("latin-1"), RECEIPT_ESM_CLASS
            )

    def deliver(self, session, command, source, destination, short_message, esm_class=0):
        pdu = smpplib.smpp.make_pdu(
            "deliver_sm",
            client=session,
            source_addr=source,
            destination_addr=destination,
            short_message=short_message,
            esm_class=esm_class,
        )
        if command is not None:
            session.waiting[pdu.sequence] = command
        self.write(session, pdu)

    def send(self, session, name, sequence_number, **fields):
        pdu = smpplib.smpp.make_pdu(name, client=session, **fields)
        pdu.sequence = sequence_number
        self.write(session, pdu)

    def write(self, session, pdu):
        self.sent += 1
        session.connection.sendall(pdu.generate())

    def drop(self, session):
        del self.sessions[session.number]
        self.selector.unregister(session.connection)
        session.connection.close()
        emit(event="closed", session=session.number)


def split_user_data(pdu):
    """The information elements in front of a message, without the octet that counts them, and the message itself."""
    octets = pdu.short_message or b""
    if not pdu.esm_class & USER_DATA_HEADER_INDICATOR or not octets:
        return b"", octets
    end = 1 + octets[0]
    return octets[1:end], octets[end:]


def text(octets):
    """An octet string as the driver compares it; None stays None."""
    return octets.decode("latin-1") if isinstance(octets, bytes) else octets


if __name__ == "__main__":
    Smsc(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])).run()
