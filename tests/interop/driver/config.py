"""The accounts of the test and the configuration file that smppmux gets."""

ENGINE_COUNT = 2
SERVER_ACCOUNT = ("mux", "secret")
UIDS = ("0A", "0B")


class Account:
    """One account of an ESME: what it may claim and what it claims when it binds."""

    def __init__(self, system_id, password, prefix, address_range):
        self.system_id = system_id
        self.password = password
        self.prefix = prefix
        self.address_range = address_range


# The three ways a bind names a prefix: plain, as a UNIX regular expression, and by leaving it to the account.
PLAIN = Account("esme1", "one1", "888765", "888765")
EXPRESSION = Account("esme2", "two2", "24457", "^24457")
EMPTY = Account("esme3", "three3", "11144", "")
KANNEL = Account("kannel", "kanpass", "55500", "^55500")
ACCOUNTS = (PLAIN, EXPRESSION, EMPTY, KANNEL)


def smppmux_config(listen_port, smscs, cores, auth):
    """The text of a configuration file: one vserver, round-robin over the SMSCs, an engine on each of `cores`.

    With `auth` "forward" the SMSCs know the accounts, and the file names none.
    """
    servers = ", ".join(f'"{smsc.name}"' for smsc in smscs)
    parts = [
        "[engine]",
        f'cores = "{cores}"',
        'distribution = "round-robin"',
        'drain-timeout = "5s"',
        "",
        "[queue]",
        'store = "memory"',
        "",
        "[[vserver]]",
        'name = "sms"',
        f'listen = ["127.0.0.1:{listen_port}"]',
        'method = "round-robin"',
        # So that a few messages, which come together, show whether servers take turns.
        "method-batch = 1",
        f'auth = "{auth}"',
        f"servers = [{servers}]",
    ]
    for smsc in smscs:
        parts += [
            "",
            "[[server]]",
            f'name = "{smsc.name}"',
            f'uid = "{smsc.uid}"',
            f'address = "127.0.0.1:{smsc.port}"',
            f'system-id = "{SERVER_ACCOUNT[0]}"',
            f'password = "{SERVER_ACCOUNT[1]}"',
            "connections = 1",
            "window = 100",
            'reconnect-min = "200ms"',
            'reconnect-max = "1s"',
        ]
    for account in ACCOUNTS if auth == "local" else ():
        parts += [
            "",
            "[[client]]",
            f'system-id = "{account.system_id}"',
            f'password = "{account.password}"',
            f'address-ranges = ["{account.prefix}"]',
        ]
    return "\n".join(parts) + "\n"
