"""What the soak with faults runs on: smppmux, its configuration and its control socket, and the peers around it."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import ledger

SMSCS = ("smsc-0", "smsc-1", "smsc-2")
# One more, which reloads add and remove; only the accounts that may use every server know it.
SPARE = "spare"
# Two processes share each account, so that MO has somewhere to go when one of them is killed.
GROUPS = {"esme-a": (1, 2, 3, 4), "esme-b": (1, 2, 3, 4), "esme-c": (5, 6, 7, 8), "esme-d": (5, 6, 7, 8), "guest": (9,)}
GUEST = 9
SERVERS_OF = {
    route: ("smsc-0", "smsc-1") if route < 3 else ("smsc-2",) if route in (7, 8) else (*SMSCS, SPARE) for route in range(1, 10)
}
CONNECTIONS, GUEST_CONNECTIONS = 6, 2
MO_SHARE, GUEST_SHARE = 0.2, 0.02
# In all, however many engines share them.
SESSIONS_PER_SMSC = 4
ESME_WINDOW, SMSC_WINDOW = 150, 500
# What smppmux has under way to one client session at most.
CLIENT_WINDOW = 200
BIND_TIMEOUT_S = 5
PATIENCE_S = 60
SAMPLE_EVERY_S = 2
# What an engine may keep for use again.
SPARE_KIB_MAX = 16 * 1024
SABOTAGES = {
    "mt-lost": ("smsc", "lost"), "mt-twice": ("smsc", "twice"), "mt-misrouted": ("smsc", "misrouted"),
    "mt-changed": ("smsc", "changed"), "mt-answer-lost": ("esme", "answer-lost"),
    "mt-answer-twice": ("esme", "answer-twice"), "mt-answer-swapped": ("esme", "answer-swapped"),
    "mo-lost": ("esme", "lost"), "mo-twice": ("esme", "twice"), "mo-misrouted": ("esme", "misrouted"),
    "mo-changed": ("esme", "changed"), "mo-answer-lost": ("smsc", "answer-lost"), "mo-answer-twice": ("smsc", "answer-twice"),
}  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def resident_kib(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stage:
    """Starts, asks and watches them. What goes wrong beside what is counted is kept as a trouble."""

    def __init__(self, options, running, folder, rate):
        self.options, self.running, self.folder, self.rate = options, running, pathlib.Path(folder), rate
        self.books = ledger.Books(SERVERS_OF)
        self.ports = {name: free_port() for name in (*SMSCS, SPARE)}
        self.listen = free_port()
        self.lives, self.processes, self.ended = {}, {}, []
        self.next_life = 1
        self.weights, self.has_guest, self.has_spare = dict.fromkeys(SMSCS, 1), True, True
        self.begin = time.monotonic()
        self.samples, self.next_sample, self.troubles = [], 0.0, []

    def configuration(self):
        lines = [
            f'[engine]\ncores = "{self.options.cores}"\ndistribution = "round-robin"\ndrain-timeout = "10s"',
            f'[admin]\nsocket = "{self.folder}/control.sock"',
            '[queue]\npath = "soak.redb"\n\n[receipts]\npath = "soak.receipts"',
            f'[[vserver]]\nname = "sms"\nlisten = ["127.0.0.1:{self.listen}"]\nbind-timeout = "{BIND_TIMEOUT_S}s"',
        ]
        servers = (*SMSCS, SPARE) if self.has_spare else SMSCS
        for number, name in enumerate(servers):
            lines.append(
                f'[[server]]\nname = "{name}"\nuid = "0{number}"\naddress = "127.0.0.1:{self.ports[name]}"\nsystem-id = "mux"\n'
                f'password = "secret"\nconnections-total = {SESSIONS_PER_SMSC}\nreconnect-max = "1s"\nweight = {self.weights.get(name, 1)}'
            )
        for account, may_use in SERVERS_OF.items():
            if account == GUEST and not self.has_guest:
                continue
            claims = [] if account == GUEST else [f"888{account:02}"]
            lines.append(
                f'[[client]]\nsystem-id = "esme{account}"\npassword = "secret"\n'
                f"address-ranges = {json.dumps(claims)}\nwindow = {CLIENT_WINDOW}\nservers = {json.dumps([name for name in may_use if name in servers])}"
            )
        return "\n\n".join(lines) + "\n"

    def write_configuration(self):
        file = self.folder / "soak.toml"
        file.write_text(self.configuration())
        return file

    def start_peer(self, name):
        role = "smsc" if name in self.ports else "esme"
        life = ledger.Life(self.next_life, role, name, self.folder / f"{self.next_life:05}.records")
        self.next_life += 1
        mt = self.rate * (1 - MO_SHARE)
        settings = {"role": role, "life": life.number, "log": life.path}
        if role == "smsc":
            accounts = sorted(SERVERS_OF.keys() - {GUEST})
            settings |= {"rate": self.rate * MO_SHARE / len(self.ports), "window": SMSC_WINDOW, "accounts": accounts}
            settings["address"] = f"127.0.0.1:{self.ports[name]}"
        else:
            is_guest = name == "guest"
            share = GUEST_SHARE if is_guest else (1 - GUEST_SHARE) / (len(GROUPS) - 1)
            settings |= {"rate": mt * share, "window": ESME_WINDOW, "accounts": GROUPS[name], "guest": GUEST}
            settings |= {"connections": GUEST_CONNECTIONS if is_guest else CONNECTIONS, "address": f"127.0.0.1:{self.listen}"}
        whose, what = SABOTAGES.get(self.options.sabotage, (None, None))
        if whose == role:
            settings["sabotage"] = what
        values = {key: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value for key, value in settings.items()}
        command = [self.options.peer, *(f"{key}={value}" for key, value in values.items())]
        with open(self.folder / f"{name}.err", "ab") as errors:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors)
        self.running.processes.append(self.processes[name])
        self.books.add(life)
        self.lives[name] = life

    def control(self, method, path):
        """Asks the control socket; gives the status and the JSON."""
        status, body = self.ask(method, path)
        return status, json.loads(body or b"null")

    def spare_kib(self):
        """Buffers that the engines keep for use again, as far as they say."""
        lines = self.ask("GET", "/metrics")[1].decode().splitlines()
        each = [int(line.split()[-1]) // 1024 for line in lines if line.startswith("smppmux_core_spare_buffer_bytes{")]
        if not each or max(each) > SPARE_KIB_MAX:
            self.trouble(f"spare buffers of each engine, in KiB: {each}, of {SPARE_KIB_MAX}")
        return sum(each)

    def ask(self, method, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(f"{self.folder}/control.sock")
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
            octets = b""
            while part := connection.recv(65536):
                octets += part
        head, _, body = octets.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def order_it(self, path):
        status, answer = self.control("POST", path)
        if status >= 300:
            self.trouble(f"{path} was answered {status}: {answer}")

    def trouble(self, text):
        self.troubles.append(text)
        self.say(f"TROUBLE: {text}")

    def say(self, text):
        print(f"{time.monotonic() - self.begin:7.1f} s  {text}", flush=True)

    def sample(self):
        # While it is stopped it says nothing.
        if not self.is_stopped:
            self.samples.append((time.monotonic() - self.begin, resident_kib(self.serve), self.descriptors(), self.spare_kib()))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.serve.pid}/fd"))

    def look_at_processes(self):
        if self.serve.poll() is not None:
            sys.exit(f"smppmux ended with {self.serve.returncode}: {self.running.errors('serve')[-3000:]}")
        for name, process in self.processes.items():
            if process.poll() is not None and not self.lives[name].is_killed and process not in self.ended:
                self.ended.append(process)
                self.trouble(f"{name} ended with {process.returncode}: {(self.folder / f'{name}.err').read_text()[-2000:]}")

    def are_all_bound(self):
        """As the peers noted it."""
        self.books.read()
        lives = {life.number for life in self.lives.values()}
        is_open = [session for session in self.books.accounts if session >> 16 in lives and session not in self.books.closed]
        wanted = (len(SMSCS) + self.has_spare) * SESSIONS_PER_SMSC + (len(GROUPS) - 1) * 4 * CONNECTIONS + GUEST_CONNECTIONS * self.has_guest
        return len(is_open) == wanted

    def wait_for_bound(self, when):
        if not self.work(PATIENCE_S, self.are_all_bound):
            self.trouble(f"not all sessions are bound {when}")

    def tell(self, name, command):
        self.processes[name].stdin.write(command.encode() + b"\n")
        self.processes[name].stdin.flush()

    def tell_all(self, command):
        for name in self.processes:
            self.tell(name, command)
