"""Jasmin 0.11.0 with the RabbitMQ and Redis that it needs, all of them on the proxy's CPU and in its figures."""

import pathlib
import re
import shutil
import socket
import sys
import time

from .process import ContestantError, run, write_configuration

VERSION = "0.11.0"
PACKAGES = ("rabbitmq-server", "redis-server")
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PROMPTS = (b"jcli : ", b"> ")
TERMINAL_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b.")
PATIENCE_S = 150


class Jasmin:
    """One jasmind; two connectors at random, no limit of throughput (its default is one message a second)."""

    title = "Jasmin"
    packages = ()

    def __init__(self, folder):
        self._environment = pathlib.Path(folder) / "jasmin"

    @property
    def _program(self):
        return self._environment / "bin/jasmind.py"

    def version(self):
        if not self._program.exists() or not pathlib.Path(RABBITMQ).exists() or shutil.which("redis-server") is None:
            raise ContestantError("there is no Jasmin; `benches/side-by-side/run --install --with jasmin` installs it")
        return f"{VERSION}, with Debian's RabbitMQ and Redis"

    def install(self, apt_install):
        apt_install(PACKAGES)
        self._environment.parent.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "venv", str(self._environment), cwd="/")
        pip = (str(self._environment / "bin/pip"), "--quiet", "--disable-pip-version-check")
        run(*pip, "install", f"jasmin=={VERSION}", cwd="/")
        # The wheel lacks AMQP's description, which Jasmin reads at its start.
        run(*pip, "download", "--no-deps", "--no-binary", ":all:", f"jasmin=={VERSION}", cwd=self._environment)
        run("tar", "xf", f"jasmin-{VERSION}.tar.gz", cwd=self._environment)

    def start(self, running):
        place, cpus = running.place, {running.place.proxy_cpu}
        names = ("amqp", "distribution", "epmd", "redis", "smpps_pb", "client_pb", "http", "router", "jcli")
        ports = dict(zip(names, place.spare_ports(len(names))))
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        log = running.start("redis", "redis-server", "--port", str(ports["redis"]), *options, cpus=cpus)
        running.wait_for_listener(ports["redis"], log)
        self._start_rabbitmq(running, ports, cpus)
        specification = next(self._environment.glob("**/amqp0-9-1.xml"))
        file = write_configuration("jasmin.cfg", place, specification=specification, **ports)
        # It keeps nothing under its root but what the configuration does not name.
        environment = {"ROOT_PATH": str(place.folder), "CONFIG_PATH": str(place.folder), "LOG_PATH": str(place.folder)}
        # The lock against a second one, which those that were killed leave behind; nobody runs another on a bench machine.
        pathlib.Path("/tmp/jasmind.lock").unlink(missing_ok=True)
        command = (str(self._environment / "bin/python"), str(self._program), "-c", file)
        log = running.start("jasmin", *command, cpus=cpus, environment=environment)
        running.wait_for_listener(ports["jcli"], log, PATIENCE_S)
        running.wait_for_listener(place.listen, log, PATIENCE_S)
        configure(ports["jcli"], place)

    @staticmethod
    def _start_rabbitmq(running, ports, cpus):
        folder = running.place.folder
        epmd = next(pathlib.Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
        running.start("epmd", str(epmd), "-port", str(ports["epmd"]), "-address", "127.0.0.1", cpus=cpus)
        environment = {
            "HOME": str(folder), "ERL_EPMD_PORT": str(ports["epmd"]), "RABBITMQ_NODENAME": "side-by-side@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(ports["distribution"]), "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder), "RABBITMQ_LOGS": "-", "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            # One CPU: one scheduler, which does not spin.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }  # fmt: skip
        (folder / "plugins").write_text("[].")
        log = running.start("rabbitmq", RABBITMQ, cpus=cpus, environment=environment)
        running.wait_for_listener(ports["amqp"], log, PATIENCE_S)

        def is_up():
            return "Server startup complete" in log.read_text(errors="replace")

        running.wait_for(is_up, log, "RabbitMQ is not up", PATIENCE_S)


def configure(port, place):
    """Accounts, connectors and the route, by its console."""
    with Console(port) as console:
        console.say("group -a", "gid g", "ok")
        for number in range(1, place.accounts + 1):
            name = f"esme{number}"
            console.say("user -a", f"username {name}", "password secret", "gid g", f"uid {name}", "ok")
        for number, smsc in enumerate(place.smscs):
            console.say(
                "smppccm -a", f"cid smsc{number}", "host 127.0.0.1", f"port {smsc}", "username mux", "password secret",
                "bind transceiver", "submit_throughput 0", "loglevel 40", f"logfile {place.folder}/smsc{number}.log", "ok",
            )  # fmt: skip
        connectors = ";".join(f"smppc(smsc{number})" for number in range(len(place.smscs)))
        console.say("filter -a", "type TransparentFilter", "fid all", "ok")
        route = ("type RandomRoundrobinMTRoute", f"connectors {connectors}", "filters all", "rate 0.0", "order 10")
        console.say("mtrouter -a", *route, "ok")
        for number in range(len(place.smscs)):
            console.say(f"smppccm -1 smsc{number}")
        console.wait_until_bound(len(place.smscs))


class Console:
    """jcli: lines in, text up to the next prompt out."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        # To who does not tell the size of his terminal it shows no prompt before an empty line.
        self._socket.sendall(b"\r\n")
        self._read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def say(self, *lines):
        for line in lines:
            self._socket.sendall(line.encode() + b"\r\n")
            answer = self._read()
            if re.search(r"Error|Unknown|Incorrect|must ", answer):
                raise ContestantError(f"jcli, {line}: {answer}")
        return answer

    def wait_until_bound(self, connectors):
        end = time.monotonic() + PATIENCE_S
        while self.say("smppccm -l").count("BOUND_TRX") < connectors:
            if time.monotonic() > end:
                raise ContestantError("Jasmin's connectors are not bound")
            time.sleep(0.2)

    def _read(self):
        text = b""
        while not TERMINAL_CODES.sub(b"", text).endswith(PROMPTS):
            try:
                part = self._socket.recv(4096)
            except TimeoutError:
                part = b""
            if not part:
                raise ContestantError(f"jcli closed or said nothing: {text!r}")
            text += part
        return text.decode(errors="replace")
