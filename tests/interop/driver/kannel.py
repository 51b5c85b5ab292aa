"""Kannel as an ESME: bearerbox speaks SMPP, smsbox HTTP, and an HTTP server here gets what they report."""

import http.server
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from .config import KANNEL
from .report import PeerError
from .smppmux import accepts, free_ports

START_TIMEOUT_S = 20
# dlr-mask: 1 delivered, 2 failed, 4 buffered, 8 accepted by the SMSC, 16 refused by it.
ALL_REPORTS = 31
# Debian keeps them where only root's path leads.
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin"


class Kannel:
    """A running bearerbox and smsbox. `transceiver` binds once for both directions, else once for each."""

    def __init__(self, work_dir, smpp_port, transceiver):
        self._work_dir = work_dir
        os.makedirs(work_dir, exist_ok=True)
        self._smpp_port = smpp_port
        self._transceiver = transceiver
        self._processes = []
        self._admin_port, self._smsbox_port, self._http_port = free_ports(3)
        self.inbox = Inbox()

    def start(self):
        config_path = os.path.join(self._work_dir, "kannel.conf")
        with open(config_path, "w", encoding="ascii") as config:
            config.write(self._config())
        self._run("bearerbox", config_path)
        self._wait(lambda: accepts(self._smsbox_port), "bearerbox does not listen for smsbox")
        self._run("smsbox", config_path)
        self._wait(lambda: accepts(self._http_port), "smsbox does not listen for HTTP")

    def wait_online(self, timeout_s=START_TIMEOUT_S):
        """Waits until bearerbox says that its SMSC link is online; returns what it says of it."""
        deadline = time.monotonic() + timeout_s
        said = ""
        while time.monotonic() < deadline:
            status = fetch(f"http://127.0.0.1:{self._admin_port}/status.txt?password={KANNEL.password}")
            links = [line.strip().split(", rcvd")[0] for line in status.splitlines() if "SMPP:" in line]
            said = "; ".join(links) or "no SMPP link"
            if links and all("online" in line for line in links):
                return said
            time.sleep(0.1)
        return said

    def send(self, destination, text, reference=None):
        """Sends one message by HTTP, with a reference asking for every report on it; returns Kannel's own words."""
        fields = {
            "username": KANNEL.system_id,
            "password": KANNEL.password,
            "from": KANNEL.prefix + "77",
            "to": destination,
            "text": text,
        }
        if reference is not None:
            fields["dlr-mask"] = ALL_REPORTS
            fields["dlr-url"] = f"{self.inbox.address}/report?reference={reference}&type=%d&id=%F"
        return fetch(f"http://127.0.0.1:{self._http_port}/cgi-bin/sendsms?" + urllib.parse.urlencode(fields))

    def stop(self):
        """Ends smsbox, then bearerbox, which unbinds first."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.inbox.stop()

    def pdu_count(self):
        """PDUs that bearerbox sent and got: its debug log shows each one field by field. Ask only after `stop`."""
        return len(re.findall(r"SMPP PDU 0x[0-9a-f]+ dump:", self.log("bearerbox")))

    def log(self, program):
        path = os.path.join(self._work_dir, f"{program}.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _run(self, program, config_path):
        path = shutil.which(program, path=SYSTEM_PATH)
        if path is None:
            raise PeerError(f"{program} (package kannel) is not installed")
        with open(os.path.join(self._work_dir, f"{program}.out"), "wb") as output:
            process = subprocess.Popen(
                [path, config_path],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._work_dir,
            )
        self._processes.append(process)

    def _wait(self, holds, complaint):
        deadline = time.monotonic() + START_TIMEOUT_S
        while not holds():
            dead = [process.args[0] for process in self._processes if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise PeerError(f"{complaint} (ended: {dead}); bearerbox says: {self.log('bearerbox')[-800:]}")
            time.sleep(0.05)

    def _config(self):
        # A pair of binds is two groups of one smsc-id, so that Kannel matches the receipts of one with the other.
        directions = [{"port": self._smpp_port, "transceiver-mode": "true"}]
        if not self._transceiver:
            directions = [{"port": self._smpp_port}, {"receive-port": self._smpp_port}]
        link = {
            "smsc": "smpp",
            "smsc-id": "link",
            "host": "127.0.0.1",
            "smsc-username": KANNEL.system_id,
            "smsc-password": KANNEL.password,
            "system-type": '""',
            "interface-version": 34,
            "address-range": f'"{KANNEL.address_range}"',
            "reconnect-delay": 1,
            "enquire-link-interval": 30,
        }
        core = {
            "admin-port": self._admin_port,
            "admin-password": KANNEL.password,
            "status-password": KANNEL.password,
            "admin-allow-ip": '"127.0.0.1"',
            "smsbox-port": self._smsbox_port,
            "box-allow-ip": '"127.0.0.1"',
            "log-file": '"bearerbox.log"',
            "log-level": 0,
        }
        smsbox = {
            "bearerbox-host": "127.0.0.1",
            "sendsms-port": self._http_port,
            "log-file": '"smsbox.log"',
            "log-level": 0,
        }
        user = {
            "username": KANNEL.system_id,
            "password": KANNEL.password,
            "max-messages": 10,
            "concatenation": "true",
        }
        service = {
            "keyword": "default",
            "catch-all": "true",
            "max-messages": 0,
            "get-url": f'"{self.inbox.address}/mo?source=%p&destination=%P&text=%a"',
        }
        links = [("smsc", {**link, **direction}) for direction in directions]
        groups = (
            ("core", core),
            *links,
            ("smsbox", smsbox),
            ("sendsms-user", user),
            ("sms-service", service),
        )
        return "\n".join(
            "\n".join([f"group = {name}", *(f"{key} = {value}" for key, value in rows.items())]) + "\n"
            for name, rows in groups
        )


class Inbox:
    """A tiny HTTP server that keeps what smsbox reports: MO under /mo, delivery reports under /report."""

    def __init__(self):
        self._rows = {"/mo": [], "/report": []}
        self._changed = threading.Condition()
        inbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                row = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
                inbox._keep(parts.path, row)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format, *arguments):
                """Says nothing: standard output belongs to the report."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, path, count, timeout_s=15):
        """Returns the rows of a path once there are `count`, or those that came within the time."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._rows[path]) >= count, timeout_s)
            return list(self._rows[path])

    def wait_for(self, path, wanted, timeout_s=15):
        """Returns the wanted rows of a path once there is one, or none when none came within the time."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self._rows[path])), timeout_s)
            return [row for row in self._rows[path] if wanted(row)]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, path, row):
        with self._changed:
            self._rows.setdefault(path, []).append(row)
            self._changed.notify_all()


def fetch(url):
    """The body of an HTTP answer, also of an error's; the reason when there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode(errors="replace")
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode(errors="replace")
    except OSError as failure:
        return f"no answer: {failure}"
