"""Results as tables, and as the page docs/BENCHMARKS.md with its charts."""

import json
import pathlib
import statistics
import string

from . import chart
from .cells import DRIVERS, FLOOR, IDLE_BASE

PAGE = pathlib.Path(__file__).resolve().parents[1] / "page.md"
# Samples beside which others used more than this many CPUs are left out where enough others are there.
DISTURBED_MAX = 0.15
SAMPLES_MIN = 3
MINUS = "−"


def medians(cell):
    """Of each contestant with samples: the median of each figure, and how many samples it is of."""
    result = {}
    for name, samples in cell["samples"].items():
        undisturbed = [figures for figures in samples if figures["others_cpus"] <= DISTURBED_MAX]
        used = undisturbed if len(undisturbed) >= SAMPLES_MIN else samples
        if used:
            keys = [key for key in used[0] if key != "at"]
            result[name] = {key: statistics.median(figures[key] for figures in used) for key in keys}
            result[name] |= {"count": len(used), "is_disturbed": used is samples and len(undisturbed) < len(samples)}
            result[name]["spread"] = spread([figures["cpu_us"] for figures in used])
    return result


def spread(values):
    """How far the middle half of the samples is from the median, as a part of it."""
    median = statistics.median(values)
    if len(values) < 4 or not median:
        return None
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / median


def ratio_of(cell, figures, name, key="cpu_us"):
    """A contestant's figure as a part of the reference's; None where either is missing."""
    reference = figures.get(cell["reference"])
    if reference is None or name not in figures or not reference[key]:
        return None
    return figures[name][key] / reference[key]


def tables(results):
    return "\n\n".join(f"{title}\n\n{table}" for title, table in parts(results).items())


def parts(results):
    """The tables of the page, by title."""
    cells = [(cell, medians(cell)) for cell in results["cells"]]
    titles = {name: about["title"] for name, about in results["contestants"].items()}
    main = [(cell, figures) for cell, figures in cells if cell["group"] == "MT"]
    idle = [(cell, figures) for cell, figures in cells if cell["group"] == "Idle"]
    rest = [(cell, figures) for cell, figures in cells if cell["group"] not in ("MT", "Idle")]
    made = {
        "CPU": table_of_cpu(main, titles),
        "Throughput": table_of(main, titles, "per_second", lambda value: f"{value:,.0f}"),
        "Latency": table_of_latency(main, titles),
        "Memory": table_of(main, titles, "resident_mib", lambda value: f"{value:.1f}", without=("direct",)),
        "Other": table_of_rest(rest, titles),
        "Idle": table_of_idle(idle, titles),
        "Bars": table_of_bars(cells, titles),
    }
    return {title: table for title, table in made.items() if table}


def rows(heads, lines):
    if not lines:
        return ""
    rule = "|".join(["---"] + ["---:"] * (len(heads) - 1))
    return "\n".join([f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def names_in(cells, without=()):
    return [name for name in dict.fromkeys(name for _, figures in cells for name in figures) if name not in without]


def table_of(cells, titles, key, write, without=()):
    names = names_in(cells, without)
    lines = [
        [cell["name"], *(write(figures[name][key]) if name in figures else "" for name in names)]
        for cell, figures in cells
    ]
    return rows(["connections × window (or rate)", *(titles[name] for name in names)], lines)


def table_of_cpu(cells, titles):
    """Microseconds a message, and in brackets the ratio to HAProxy."""
    names = names_in(cells, without=("direct",))
    lines = []
    for cell, figures in cells:
        line = [cell["name"]]
        for name in names:
            ratio = ratio_of(cell, figures, name)
            text = f"{figures[name]['cpu_us']:.2f}" if name in figures else ""
            line.append(f"{text} ({ratio:.2f})" if ratio and name != cell["reference"] else text)
        lines.append(line)
    return rows(["connections × window (or rate)", *(titles[name] for name in names)], lines)


def table_of_latency(cells, titles):
    """What a contestant adds to the response time of no proxy at all."""
    names = [name for name in names_in(cells, without=("direct",)) if name in ("haproxy", "nginx", DRIVERS[0])]
    lines = []
    for cell, figures in cells:
        if "direct" in figures:
            lines.append([cell["name"], percentiles(figures["direct"]), *(
                added(figures[name], figures["direct"]) if name in figures else "" for name in names
            )])  # fmt: skip
    return rows(["connections × window (or rate)", "no proxy", *(f"{titles[name]} adds" for name in names)], lines)


def percentiles(figures):
    return " / ".join(f"{figures[key]:,.0f}" for key in ("p50_us", "p99_us", "p999_us"))


def added(figures, direct):
    differences = (figures[key] - direct[key] for key in ("p50_us", "p99_us", "p999_us"))
    return " / ".join(f"{value:,.0f}".replace("-", MINUS) for value in differences)


def table_of_rest(cells, titles):
    lines = []
    for cell, figures in cells:
        for name, median in figures.items():
            ratio = ratio_of(cell, figures, name)
            direct = figures.get("direct")
            lines.append([
                cell["name"], titles[name], f"{median['per_second']:,.0f}",
                "" if name == "direct" else f"{median['cpu_us']:.2f}",
                "" if not ratio or name in ("direct", cell["reference"]) else f"{ratio:.2f}",
                percentiles(median) if name == "direct" or not direct else f"+ {added(median, direct)}",
                "" if name == "direct" else f"{median['resident_mib']:.1f}",
            ])  # fmt: skip
    return rows(["workload", "between", "messages/s", "CPU µs", "ratio", "p50 / p99 / p99.9 µs", "RSS MiB"], lines)


def table_of_idle(cells, titles):
    """Memory and CPU of binds that only answer enquire_link."""
    base = next((figures for cell, figures in cells if cell["connections"] == IDLE_BASE), {})
    lines = []
    for cell, figures in cells:
        for name, median in figures.items():
            binds = cell["connections"]
            more_kib = (median["resident_mib"] - base[name]["resident_mib"]) * 1024 if name in base else None
            per_bind = "" if more_kib is None or binds == IDLE_BASE else f"{more_kib * 1024 / binds:,.0f}"
            share = f"{median['proxy_busy']:.2%}"
            lines.append([cell["name"], titles[name], f"{median['resident_mib']:.1f}", per_bind, share])
    return rows(["", "driver", "RSS MiB", "octets a bind", "of a core"], lines)


def table_of_bars(cells, titles):
    """Each bar, and whether it was held in this run."""
    lines = []
    for cell, figures in cells:
        subject, reference = cell["subject"], cell["reference"]
        ratio = ratio_of(cell, figures, subject)
        if cell["bar"] is not None and ratio is not None:
            lines.append(bar(f"{cell['name']}: CPU, {titles[subject]} to {titles[reference]}", cell["bar"], ratio))
        throughput = ratio_of(cell, figures, subject, "per_second")
        if cell["group"] == "MT" and throughput is not None and not cell["rate"]:
            lines.append(bar(f"{cell['name']}: messages/s to {titles[reference]}", 1.0, throughput, at_least=True))
        latency = ratio_of(cell, figures, subject, "p99_us")
        if cell["group"] == "MT" and cell["rate"] and latency is not None:
            lines.append(bar(f"{cell['name']}: p99 to {titles[reference]}", 1.0, latency))
        if cell["group"] == "Idle" and cell["connections"] == 10_000 and subject in figures:
            lines.append(bar(f"{cell['name']}: RSS MiB", 48, figures[subject]["resident_mib"]))
            lines.append(bar(f"{cell['name']}: % of a core", 3, figures[subject]["proxy_busy"] * 100))
        if subject == "spin" and {"spin", "haproxy", "direct"} <= figures.keys():
            spin, haproxy = (figures[name]["p50_us"] - figures["direct"]["p50_us"] for name in ("spin", "haproxy"))
            lines.append(bar(f"{cell['name']}: added p50 to HAProxy", 0.5, spin / haproxy))
    return rows(["bar", "asked", "measured", "held"], lines)


def bar(what, asked, measured, at_least=False):
    held = measured >= asked if at_least else measured <= asked
    return [what, f"{'≥' if at_least else '≤'} {asked:g}", f"{measured:.2f}", "yes" if held else "**no**"]


def write(results, docs):
    """Writes the page, its charts and the figures; gives the paths."""
    folder = docs / "benchmarks"
    folder.mkdir(exist_ok=True)
    written = {
        folder / "results.json": json.dumps(results, indent=1) + "\n",
        folder / "cpu.svg": chart_of_cpu(results),
        folder / "latency.svg": chart_of_latency(results),
        docs / "BENCHMARKS.md": page(results),
    }
    for path, text in written.items():
        path.write_text(text)
    return list(written)


def main_cells(results):
    return [(cell, medians(cell)) for cell in results["cells"] if cell["group"] == "MT"]


def chart_of_cpu(results):
    names = (FLOOR, *DRIVERS)
    groups = [
        (cell["name"], {name: ratio_of(cell, figures, name) for name in names}, cell["bar"])
        for cell, figures in main_cells(results)
    ]
    titles = {name: results["contestants"].get(name, {}).get("title", name) for name in names}
    return chart.grouped_bars("CPU for one message, HAProxy = 1 (shorter is better)", groups, titles, line=1.0)


def chart_of_latency(results):
    names = ("haproxy", "nginx", DRIVERS[0])
    groups = []
    for cell, figures in main_cells(results):
        if cell["rate"] and "direct" in figures:
            for key, label in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
                values = {name: figures[name][key] - figures["direct"][key] for name in names if name in figures}
                groups.append((f"{cell['name']}, {label}", values, None))
    titles = {name: results["contestants"].get(name, {}).get("title", name) for name in names}
    title = "Added response time at a fixed rate, microseconds (shorter is better)"
    return chart.grouped_bars(title, groups, titles, digits=0)


def page(results):
    machine, tables_of_page = results["machine"], parts(results)
    figures = [(cell["name"], name, median) for cell in results["cells"] for name, median in medians(cell).items()]
    counts = [median["count"] for _, _, median in figures]
    if not counts:
        raise SystemExit("nothing was measured, so there is no page to write")
    spreads = [median["spread"] for _, name, median in figures if name != "direct" and median["spread"] is not None]
    versions = [
        f"| {about['title']} | {about['version']} |" for about in results["contestants"].values() if about["version"]
    ]
    values = {
        "date": results["date"],
        "minutes": results["minutes"],
        "processor": machine["processor"],
        "cpus": machine["cpus"],
        "virtual": ", a virtual machine" if machine["virtual"] else "",
        "memory": machine["memory_gib"],
        "kernel": machine["kernel"],
        "system": machine["system"],
        "rounds": f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}",
        "seconds": results["sample_seconds"],
        "spread": f"{statistics.median(spreads):.1%}" if spreads else "too few samples to tell",
        "quiet": quietness(figures),
        "idle_base": IDLE_BASE,
        "versions": "\n".join(["| | version |", "|---|---|", *versions]),
    }
    for title in ("CPU", "Throughput", "Latency", "Memory", "Other", "Idle", "Bars"):
        values[f"table_{title.lower()}"] = tables_of_page.get(title, "Not measured in this run.")
    return string.Template(PAGE.read_text()).substitute(values)


def quietness(figures):
    """What is to be said of others' work on the machine."""
    disturbed = [f"{cell} ({name})" for cell, name, median in figures if median["is_disturbed"]]
    if not disturbed:
        return (
            "No other process used the machine; what its host did beside is not seen. Where samples of one cell differ much,"
            " percentiles at a rate tell little."
        )
    if len(disturbed) > 12:
        return (
            f"**Others used the machine beside {len(disturbed)} of the {len(figures)} medians: this run tells no more than"
            " rough ratios of CPU, and nothing of throughput and response times.**"
        )
    return f"**Others used the machine beside these, so read them with care:** {', '.join(disturbed)}."
