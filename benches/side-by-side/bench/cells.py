"""What is measured: the workloads, who takes part in each, and the bar that smppmux is held to there."""

import dataclasses

from . import machine

# The engine's drivers; the first is the one that `auto` takes.
DRIVERS = ("epoll", "ring", "glommio")
TCP_PROXIES = ("haproxy", "nginx")
# What no proxy can be cheaper than that has a connection to an SMSC for each client.
FLOOR = "floor"
NO_PROXY = "direct"
# What one address and port take from one other address, and less.
BINDS_PER_ADDRESS = 25_000
IDLE_BASE = 10
# Files that a process with so many connections opens besides.
SPARE_FILES = 500


@dataclasses.dataclass(frozen=True)
class Cell:
    """One workload."""

    name: str
    group: str
    connections: int
    window: int
    contestants: tuple
    # Messages per second in all, on a fixed schedule; None keeps every window full.
    rate: int | None = None
    kind: str = "mt"
    smscs: int = 2
    # The ESMEs bind without an address_range and get all that their accounts may claim.
    is_range_empty: bool = False
    # The ESMEs connect by TLS; the proxy speaks plain SMPP to the SMSCs.
    has_tls: bool = False
    # The load never sleeps: what it takes to wake it is in no response time.
    is_load_awake: bool = False
    accounts: int = 10
    # Addresses that the proxy listens on: one has 28,000 ports for connections from it.
    addresses: int = 1
    # The most that smppmux's CPU per message may be, as a part of the reference's.
    bar: float | None = None
    # Another length than the other samples have.
    seconds: float | None = None
    warm_up: float = 0.3
    # How long a start takes beyond the usual.
    start_s: float = 0.0
    # Fewer rounds than the other cells, where a sample takes long and varies little.
    rounds: int | None = None
    # Whose CPU the bar is relative to, and who is held to it.
    reference: str = "haproxy"
    subject: str = DRIVERS[0]


def mobile_terminated(connections, window, bar, rate=None):
    name = f"{rate:,}/s over {connections}" if rate else f"{connections} × {window}"
    return Cell(
        name=name, group="MT", connections=connections, window=window, rate=rate, bar=bar,
        contestants=(NO_PROXY, FLOOR, *TCP_PROXIES, *DRIVERS),
    )  # fmt: skip


def tls(connections, window):
    return Cell(
        f"TLS, {connections} × {window}", "TLS", connections, window, ("haproxy-tls", "epoll-tls", "ring-tls"),
        has_tls=True, reference="haproxy-tls", subject="epoll-tls",
    )  # fmt: skip


CELLS = (
    mobile_terminated(1, 1, 1.0),
    mobile_terminated(1, 100, 1.0),
    mobile_terminated(10, 1, 0.8),
    mobile_terminated(10, 10, 0.8),
    mobile_terminated(10, 100, 1.0),
    mobile_terminated(100, 1, 0.5),
    mobile_terminated(100, 10, 0.7),
    mobile_terminated(100, 100, 0.75),
    mobile_terminated(1000, 1, 0.45),
    mobile_terminated(1000, 10, 0.45),
    mobile_terminated(1000, 100, 0.7),
    mobile_terminated(100, 100, 0.75, rate=5_000),
    mobile_terminated(100, 100, 0.8, rate=20_000),
    Cell("receipts, 100 × 10", "Other traffic", 100, 10, (NO_PROXY, "haproxy", DRIVERS[0]), kind="receipts"),
    Cell("two segments, 100 × 10", "Other traffic", 100, 10, (NO_PROXY, "haproxy", DRIVERS[0]), kind="concatenated"),
    Cell("MO, 100 × 10", "Other traffic", 100, 10, (NO_PROXY, "haproxy", DRIVERS[0]), kind="mo"),
    tls(10, 10),
    tls(100, 10),
    tls(1000, 10),
    Cell(
        "MO across cores, 100 × 10", "Two engines", 100, 10, ("two-local", "two-across"), kind="mo", smscs=1,
        bar=1.5, reference="two-local", subject="two-across",
    ),
    Cell(
        "MT on two engines, 100 × 10", "Two engines", 100, 10, (DRIVERS[0], "two"),
        bar=1.1, reference=DRIVERS[0], subject="two",
    ),
    Cell(
        "MT on two engines, 1000 × 10", "Two engines", 1000, 10, (DRIVERS[0], "two"),
        bar=1.1, reference=DRIVERS[0], subject="two",
    ),
    Cell(
        "MO, a million ranges", "Ranges", 100, 10, ("few-ranges", "many-ranges"), kind="mo", is_range_empty=True,
        accounts=100, bar=1.5, reference="few-ranges", subject="many-ranges", seconds=1.0, start_s=5.0,
    ),
    Cell(
        "1 × 1 with spin-before-park", "Latency", 1, 1, (NO_PROXY, "haproxy", DRIVERS[0], "spin"), subject="spin",
        is_load_awake=True,
    ),
)  # fmt: skip

# Gateways cost a hundred times as much, so one cell tells it. They answer before they have sent a message on, so only at a
# rate that they can keep up with is it whole messages that are measured. opensmppbox sleeps a second whenever it finds
# nothing to read: windows that hold a second's worth keep that sleep out of it.
GATEWAY_CELL = Cell(
    "200/s over 10, through gateways", "Gateways", 10, 1000, (NO_PROXY, "haproxy", DRIVERS[0]), rate=200,
    seconds=3.0, warm_up=2.5, start_s=2.0, rounds=3,
)  # fmt: skip


def idle(binds, contestants):
    """Binds that only answer enquire_link, for a whole interval of it (25 s) and more."""
    return Cell(
        f"{binds:,} idle binds", "Idle", binds, 1, contestants, kind="idle", addresses=binds // BINDS_PER_ADDRESS + 1,
        seconds=3.0 if binds == IDLE_BASE else 30.0, warm_up=1.0, start_s=binds / 5_000, rounds=1,
    )  # fmt: skip


def idle_cells():
    """A few binds to compare with, ten thousand, and a hundred thousand or what the host allows."""
    most = min(100_000, (machine.open_files_limit() - SPARE_FILES) // 1000 * 1000)
    return [idle(IDLE_BASE, DRIVERS), idle(10_000, DRIVERS), *([idle(most, DRIVERS[:1])] if most > 10_000 else [])]


QUICK = ("10 × 10", "100 × 10", "5,000/s over 100", "MO across cores, 100 × 10")
SMOKE = ("10 × 10",)


def plain(name):
    """A name as it may be typed: `x` for the sign, any case."""
    return name.replace("×", "x").replace(" ", "").lower()


def chosen(names, contestants, extras):
    """The cells with one of these names (all for none), with the contestants of these names (all for none)."""
    cells = [*CELLS, *(idle_cells() if "idle" in extras else ())]
    gateways = [name for name in extras if name != "idle"]
    if gateways:
        cells.append(dataclasses.replace(GATEWAY_CELL, contestants=(*GATEWAY_CELL.contestants, *gateways)))
    wanted = {plain(name) for name in names}
    unknown = wanted - {plain(cell.name) for cell in cells}
    if unknown:
        known = "; ".join(cell.name for cell in cells)
        raise SystemExit(f"there is no cell {', '.join(sorted(unknown))}; there are: {known}")
    cells = [cell for cell in cells if not wanted or plain(cell.name) in wanted]
    if contestants:
        cells = [
            dataclasses.replace(cell, contestants=tuple(name for name in cell.contestants if name in contestants))
            for cell in cells
        ]
    return [cell for cell in cells if cell.contestants]
