"""A scene: two SMSCs of one kind, smppmux before them (or nothing), and what is needed to start ESMEs in it."""

import os
import tempfile

from .config import ACCOUNTS, ENGINE_COUNT, SERVER_ACCOUNT, UIDS, smppmux_config
from .peer import Peer
from .report import PeerError
from .smppmux import Smppmux, free_ports
from .smsc import Smsc

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")


class Tools:
    """Where the programs that the peers need are."""

    def __init__(self, python, node, node_modules):
        self._commands = {"smpplib": ([python], "py"), "npm": ([node], "js")}
        self.environment = dict(os.environ, NODE_PATH=node_modules, PYTHONDONTWRITEBYTECODE="1")

    def command(self, role, kind):
        interpreter, extension = self._commands[kind]
        return [*interpreter, os.path.join(PEERS, f"{role}_{kind}.{extension}")]


class Scene:
    """Everything that runs in one scene. `direct` leaves smppmux out: ESMEs connect to the first SMSC."""

    def __init__(self, tools, smsc_kind, work_dir, smppmux_program=None, cores=None, auth="local"):
        self.direct = smppmux_program is None
        self.smsc_kind = smsc_kind
        self.work_dir = tempfile.mkdtemp(prefix=f"{smsc_kind}-", dir=work_dir)
        self._tools = tools
        self._program = smppmux_program
        self._cores = cores
        self._config_path = os.path.join(self.work_dir, "smppmux.toml")
        self._esmes = []
        self._auth = auth
        accounts = {} if self.direct else dict([SERVER_ACCOUNT])
        if self.direct or auth == "forward":
            accounts.update((account.system_id, account.password) for account in ACCOUNTS)
        self._listen_port, *smsc_ports = free_ports(3)
        self.smscs = [
            Smsc(
                f"smsc-{letter}",
                uid,
                port,
                tools.command("smsc", smsc_kind),
                tools.environment,
                os.path.join(self.work_dir, f"smsc-{letter}.log"),
                accounts,
            )
            for letter, uid, port in zip("ab", UIDS, smsc_ports)
        ]
        self.smppmux = None

    def smpp_ports(self):
        return [self._listen_port, *(smsc.port for smsc in self.smscs)]

    def esme_port(self):
        """Where an ESME connects to."""
        return self.smscs[0].port if self.direct else self._listen_port

    def used_smscs(self):
        return self.smscs[:1] if self.direct else self.smscs

    def start(self):
        for smsc in self.smscs:
            smsc.start()
        if not self.direct:
            with open(self._config_path, "w", encoding="utf-8") as config:
                config.write(smppmux_config(self._listen_port, self.smscs, self._cores, self._auth))
            self.start_smppmux()

    def start_smppmux(self):
        """Starts smppmux, or starts it again, and waits until it is bound everywhere."""
        self.smppmux = Smppmux(self._program, self._config_path, os.path.join(self.work_dir, "smppmux.log"))
        self.smppmux.wait_listening(self._listen_port)
        for smsc in self.smscs if self._auth == "local" else ():
            rows = smsc.wait_bound(ENGINE_COUNT)
            if len(rows) < ENGINE_COUNT:
                raise PeerError(f"{smsc.name}: {len(rows)} of {ENGINE_COUNT} binds: {self.smppmux.log_tail()}")

    def start_esme(self, kind):
        esme = Peer(
            f"esme-{kind}",
            [*self._tools.command("esme", kind), "127.0.0.1", str(self.esme_port())],
            self._tools.environment,
            os.path.join(self.work_dir, f"esme-{kind}.log"),
        )
        self._esmes.append(esme)
        return esme

    def tagged(self, message_id, smsc):
        """The id that an ESME should see for an SMSC's id."""
        return message_id if self.direct else f"{message_id}#mx-{smsc.uid}"

    def events(self, kind):
        """The events of a kind at each SMSC."""
        return {smsc: smsc.peer.events(kind) for smsc in self.used_smscs()}

    def forget_events(self):
        for smsc in self.smscs:
            smsc.peer.forget_events()

    def stop_peers(self):
        for esme in self._esmes:
            esme.stop()
        for smsc in self.smscs:
            smsc.stop()

    def kill_all(self):
        """Ends whatever a failure left running."""
        if self.smppmux is not None and self.smppmux.runs():
            self.smppmux.terminate()
        for peer in [*self._esmes, *(smsc.peer for smsc in self.smscs if smsc.peer)]:
            peer.kill()

    def peer_pdu_count(self, kannel_pdus):
        """PDUs on the wire by the peers' own counts, so that each is counted once. Ask only after `stop_peers`.

        Without smppmux each PDU has a peer at both ends, and only the SMSCs' counts are taken.
        """
        at_smscs = sum(sum(smsc.counts().values()) for smsc in self.smscs)
        at_esmes = sum(sum(esme.counts.values()) for esme in self._esmes) + kannel_pdus
        return at_smscs if self.direct else at_smscs + at_esmes
