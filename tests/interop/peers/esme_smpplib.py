"""An ESME made of PyPI's smpplib. Usage: esme_smpplib.py HOST PORT

All PDUs are built, sent, read and parsed by smpplib's own Client. This file only carries the driver's commands to it
and tells the driver what came in. smpplib knows no cancel_sm and no replace_sm, so neither does this peer.
"""

import selectors
import sys

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.smpp

from lines import CommandLines, emit, reply

ANSWER_TIMEOUT_S = 15


class CountingClient(smpplib.client.Client):
    """smpplib's client, with its PDUs counted for the comparison with the capture."""

    sent = 0
    received = 0

    def send_pdu(self, p):
        CountingClient.sent += 1
        return super().send_pdu(p)

    def read_pdu(self):
        pdu = super().read_pdu()
        CountingClient.received += 1
        return pdu


class Esme:
    """All sessions of this program and the commands whose answers are still out."""

    def __init__(self, host, port):
        self.host = host
        self.port = port
        self.sessions = {}
        self.waiting = {}
        self.selector = selectors.DefaultSelector()

    def run(self):
        lines = CommandLines()
        self.selector.register(lines.descriptor, selectors.EVENT_READ, None)
        while True:
            for key, _ in self.selector.select():
                if key.data is not None:
                    self.read_session(key.data)
                    continue
                commands = lines.read_available()
                if commands is None:
                    return
                for command in commands:
                    getattr(self, "do_" + command["do"])(command)

    def do_bind(self, command):
        client = CountingClient(self.host, self.port, timeout=ANSWER_TIMEOUT_S, allow_unknown_opt_params=True)
        bind = getattr(client, "bind_" + command["mode"])
        try:
            client.connect()
            bind(
                system_id=command["system_id"],
                password=command["password"],
                address_range=command.get("address_range", ""),
            )
        except smpplib.exceptions.PDUError as refusal:
            client.disconnect()
            reply(command, status=refusal.args[1])
            return
        except (smpplib.exceptions.ConnectionError, OSError) as failure:
            client.disconnect()
            reply(command, error=repr(failure))
            return
        name = command["session"]
        client.set_message_received_handler(lambda pdu: self.on_message(name, pdu))
        self.sessions[name] = client
        self.selector.register(client._socket, selectors.EVENT_READ, name)
        reply(command, status=0)

    def do_submit(self, command):
        self.send(
            command,
            "submit_sm",
            source_addr=command["source"],
            destination_addr=command["destination"],
            short_message=command["text"].encode("ascii"),
            registered_delivery=command.get("registered_delivery", 0),
        )

    def do_query(self, command):
        self.send(command, "query_sm", message_id=command["message_id"], source_addr=command["source"])

    def do_enquire_link(self, command):
        self.send(command, "enquire_link")

    def do_unbind(self, command):
        self.send(command, "unbind")

    def do_stats(self, command):
        reply(command, sent=CountingClient.sent, received=CountingClient.received)

    def send(self, command, name, **fields):
        """Sends a request; the reply to the driver follows when its response is read."""
        client = self.sessions.get(command["session"])
        if client is None:
            reply(command, error="no such session")
            return
        pdu = smpplib.smpp.make_pdu(name, client=client, **fields)
        self.waiting[(command["session"], pdu.sequence)] = command
        client.send_pdu(pdu)

    def read_session(self, name):
        client = self.sessions[name]
        try:
            pdu = client.read_pdu()
        except (smpplib.exceptions.ConnectionError, OSError):
            self.forget(name)
            emit(event="closed", session=name)
            return
        if pdu.is_response():
            self.on_response(name, pdu)
        elif pdu.command == "deliver_sm":
            client._message_received(pdu)
        elif pdu.command == "enquire_link":
            client._enquire_link_received(pdu)
        elif pdu.command == "unbind":
            emit(event="unbind", session=name)
            response = smpplib.smpp.make_pdu("unbind_resp", client=client)
            response.sequence = pdu.sequence
            client.send_pdu(response)

    def on_response(self, name, pdu):
        command = self.waiting.pop((name, pdu.sequence), None)
        if command is None:
            emit(event="stray", session=name, command=pdu.command, sequence_number=pdu.sequence)
            return
        fields = {"status": pdu.status, "command": pdu.command}
        if text(getattr(pdu, "message_id", None)):
            fields["message_id"] = text(pdu.message_id)
        if getattr(pdu, "message_state", None) is not None:
            fields["message_state"] = pdu.message_state
        if pdu.command == "unbind_resp":
            self.forget(name)
        reply(command, **fields)

    def on_message(self, name, pdu):
        emit(
            event="deliver",
            session=name,
            source=text(pdu.source_addr),
            destination=text(pdu.destination_addr),
            esm_class=pdu.esm_class,
            text=text(pdu.short_message),
            receipted_message_id=text(getattr(pdu, "receipted_message_id", None)),
        )

    def forget(self, name):
        client = self.sessions.pop(name)
        self.selector.unregister(client._socket)
        client.state = smpplib.consts.SMPP_CLIENT_STATE_OPEN
        client.disconnect()


def text(octets):
    """An octet string as the driver compares it; None stays None."""
    return octets.decode("latin-1") if isinstance(octets, bytes) else octets


if __name__ == "__main__":
    Esme(sys.argv[1], int(sys.argv[2])).run()
