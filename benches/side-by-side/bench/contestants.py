"""Who is measured: how each is found, installed, configured and started. Configurations are in `peers/`."""

import json
import pathlib
import subprocess

from . import certificate
from .jasmin import Jasmin
from .kannel import Kannel
from .process import ContestantError, first_line, found, write_configuration

ROOT = pathlib.Path(__file__).resolve().parents[3]
NGINX_MODULES = "/usr/lib/nginx/modules"
RANGES = ("888765", "24457", "11144")
# From here on each account has ranges of its own.
MANY_RANGES = 1000
# Room for the largest cell, 100,000 messages at two servers.
SERVER_WINDOW = 60_000


class HaProxy:
    """HAProxy in TCP mode, one thread."""

    packages = ("haproxy",)

    def __init__(self, title="HAProxy", has_tls=False):
        self.title = title
        self._has_tls = has_tls

    def version(self):
        return first_line(found("haproxy"), "-v").split(" - ")[0].removeprefix("HAProxy version ")

    def start(self, running):
        place = running.place
        servers = "\n".join(f"    server smsc-{n} 127.0.0.1:{port}" for n, port in enumerate(place.smscs))
        security = f"ssl crt {certificate.make(place.folder).both}" if self._has_tls else ""
        file = write_configuration("haproxy.cfg", place, servers=servers, security=security)
        log = running.start("haproxy", found("haproxy"), "-db", "-f", file, cpus={place.proxy_cpu})
        running.wait_for_listener(place.listen, log)


class Nginx:
    """nginx's stream module, one worker."""

    title = "nginx stream"
    packages = ("nginx-light", "libnginx-mod-stream")

    def version(self):
        return first_line(found("nginx"), "-v").removeprefix("nginx version: ")

    def start(self, running):
        place = running.place
        servers = "\n".join(f"        server 127.0.0.1:{port};" for port in place.smscs)
        file = write_configuration("nginx.conf", place, servers=servers, modules=NGINX_MODULES)
        errors = str(place.folder / "nginx-error.log")
        log = running.start("nginx", found("nginx"), "-c", file, "-e", errors, cpus={place.proxy_cpu})
        running.wait_for_listener(place.listen, log)


class Smppmux:
    """smppmux with everything on, with one driver, on one engine or two."""

    packages = ()

    def __init__(self, program, title, driver="epoll", engines=1, spin="0s", clients_on=None, ranges=0, has_tls=False):
        self.title = title
        self._has_tls = has_tls
        self._program = program
        self._driver = driver
        self._engines = engines
        self._spin = spin
        # Address ranges of all accounts together; 0: three, which every account may claim.
        self._ranges = ranges
        # All clients on this engine, and the only server's session on engine 0.
        self._clients_on = clients_on

    def version(self):
        commit = subprocess.run(
            ("git", "-C", str(ROOT), "log", "-1", "--format=%h %cs"), capture_output=True, text=True, check=False
        ).stdout.strip()
        return f"{first_line(self._program, '--version')}, commit {commit or 'unknown'}"

    def start(self, running):
        place = running.place
        cpus = (place.proxy_cpu, place.second_cpu)[: self._engines]
        file = write_configuration(
            "smppmux.toml", place, cores=",".join(map(str, cpus)), io=self._driver, spin=self._spin,
            pins="[]" if self._clients_on is None else f'["listener:sms={self._clients_on}"]',
            servers="\n\n".join(self._server(n, port) for n, port in enumerate(place.smscs)),
            clients="\n\n".join(self._clients(place.accounts)),
            listen_keys=self._listen_keys(place),
        )  # fmt: skip
        log = running.start("smppmux", self._program, "serve", "--config", file, cpus=set(cpus))
        running.wait_for(lambda: "smppmux ready" in log.read_text(errors="replace"), log, "smppmux is not ready")

    def _listen_keys(self, place):
        addresses = json.dumps(place.addresses)
        if not self._has_tls:
            return f"listen = {addresses}"
        files = certificate.make(place.folder)
        return f'listen = []\ntls-listen = {addresses}\ntls-certificate = ["{files.certificate}"]\ntls-key = ["{files.key}"]'

    def _server(self, number, port):
        sessions = "connections = 1" if self._clients_on is None else "connections-total = 1"
        return (
            f'[[server]]\nname = "smsc-{number}"\nuid = "0{number}"\naddress = "127.0.0.1:{port}"\n'
            f'system-id = "mux"\npassword = "secret"\nwindow = {SERVER_WINDOW}\n{sessions}'
        )

    def _clients(self, accounts):
        ranges = many_ranges(self._ranges) if self._ranges else RANGES
        is_shared = len(ranges) < MANY_RANGES
        for number in range(accounts):
            own = ranges if is_shared else ranges[number::accounts]
            yield (
                f'[[client]]\nsystem-id = "esme{number + 1}"\npassword = "secret"\n'
                f"address-ranges = {json.dumps(own)}"
            )


def many_ranges(count):
    """So many ranges that hold every destination of the load; where there are many, each destination has its own."""
    if count < MANY_RANGES:
        return [*RANGES, *(f"5{n:010}" for n in range(count - len(RANGES)))]
    own = [f"{prefix:0<6}{n:05}" for prefix in RANGES for n in range(100_000)]
    return [*own, *(f"5{n:010}" for n in range(count - len(own)))]


class Floor:
    """`benches/examples/relay`: receive and send, and nothing else."""

    title = "bare relay"
    packages = ()

    def __init__(self, program):
        self._program = program

    def version(self):
        if not self._program.exists():
            raise ContestantError(f"{self._program} is not built (--example relay)")
        return ""

    def start(self, running):
        place = running.place
        smscs = (f"127.0.0.1:{port}" for port in place.smscs)
        log = running.start("relay", str(self._program), f"127.0.0.1:{place.listen}", *smscs, cpus={place.proxy_cpu})
        running.wait_for_listener(place.listen, log)


class Direct:
    """Nobody between ESMEs and SMSCs."""

    title = "no proxy"
    packages = ()

    def version(self):
        return ""

    def start(self, running):
        pass


def all_contestants(program, peers_folder, relay):
    """By name. Where no driver is named it is the one that `auto` takes."""
    return {
        "direct": Direct(),
        "floor": Floor(relay),
        "haproxy": HaProxy(),
        "nginx": Nginx(),
        "epoll": Smppmux(program, "smppmux (epoll)"),
        "ring": Smppmux(program, "smppmux (ring)", driver="ring"),
        "glommio": Smppmux(program, "smppmux (glommio)", driver="glommio"),
        "spin": Smppmux(program, "smppmux (epoll, spin-before-park 1 ms)", spin="1ms"),
        "few-ranges": Smppmux(program, "ten ranges", ranges=10),
        "many-ranges": Smppmux(program, "a million ranges", ranges=1_000_000),
        "haproxy-tls": HaProxy("HAProxy, TLS", has_tls=True),
        "epoll-tls": Smppmux(program, "smppmux (epoll), TLS", has_tls=True),
        "ring-tls": Smppmux(program, "smppmux (ring), TLS", driver="ring", has_tls=True),
        "two": Smppmux(program, "smppmux on two engines", engines=2),
        "two-local": Smppmux(program, "two engines, all on one", engines=2, clients_on=0),
        "two-across": Smppmux(program, "two engines, each message crosses", engines=2, clients_on=1),
        "kannel": Kannel(peers_folder),
        "jasmin": Jasmin(peers_folder),
    }
