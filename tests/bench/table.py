"""What the bench prints: where and of what, a table with ratios, and with which commands."""

import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

import cases as catalogue
from servers import ROOT


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "-"


def versions():
    dpkg = ["dpkg-query", "-W", "-f", "${Version}"]
    packages = json.loads((ROOT / "tests/bench/peers/js/package.json").read_text())["dependencies"]
    found = {"telemed": (ROOT / "VERSION").read_text().strip(),
             "commit": first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"),
             "compiler": first_line("gcc", "--version"), "node": first_line("node", "--version"), **packages}
    for package in ("lighttpd", "libwebsockets17", "libev4", "libfcgi0ldbl", "libsqlite3-0"):
        found[package] = first_line(*dpkg, package)
    return found


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "descriptors": first_line("bash", "-c", "ulimit -Hn")}


def went(runs):
    """Those that did not fail: nothing else is a figure."""
    return [run for run in runs if "failed" not in run]


def sound(results):
    """Has nothing failed, and is there a figure of everything?"""
    return all(went(runs) == runs and runs for _, by_label in results for runs in by_label.values())


def medians(by_label):
    """{label: {key: median}} of one case."""
    found = {}
    for label, runs in by_label.items():
        keys = {k for r in went(runs) for k, v in r.items() if isinstance(v, (int, float))}
        found[label] = {k: statistics.median(r[k] for r in went(runs) if k in r) for k in keys}
    return found


def short(value):
    if value is None:
        return "-"
    if value >= 10000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def judge(case, middle):
    """(text, whether it is met) of each thing that is wanted."""
    for a in case.wanted:
        is_ = middle.get(a.ours, {}).get(a.key)
        other = middle.get(a.other, {}).get(a.key) if a.other else 1
        sign = ">=" if a.at_least else "<="
        if is_ is None or not other:
            yield f"{a.key}: not measured", False
            continue
        ratio = is_ / other
        met = ratio >= a.factor if a.at_least else ratio <= a.factor
        name = f"{a.key} of {a.ours}" if a.ours != "ours" else a.key
        to = f" / {a.other}" if a.other else ""
        yield f"{name}{to} = {short(ratio)}, wanted {sign} {a.factor:,}", met


def show_row(case, label, runs, figures, repeat):
    key, _, by = case.figure
    good = went(runs)
    values = [run[key] / by for run in good if key in run]
    worst = max((run.get("noise", 0) for run in good), default=0)
    spread = f"({short(min(values))} to {short(max(values))}, others {worst:.0%})" if values else ""
    more = "  ".join(f"{k} {short(figures.get(k))}" for k in case.shows)
    print(f"  {label:24}{short(figures[key] / by) if values else '-':>10}   {spread}   {more}".rstrip())
    if len(good) < repeat:
        print(f"    FAILED: the figure is of {len(good)} of {repeat} runs")
    for run in runs:
        if "failed" in run:
            print(f"    FAILED: {' '.join(run['failed'].split())[:300]}")


def show_cases(results, repeat):
    met = missed = failed = 0
    for case, by_label in results:
        middle = medians(by_label)
        print(f"\n{case.name} [{case.figure[1]}]")
        for label, figures in middle.items():
            show_row(case, label, by_label[label], figures, repeat)
            failed += len(by_label[label]) - len(went(by_label[label]))
        for text, ok in judge(case, middle):
            print(f"    {'met   ' if ok else 'MISSED'} {text}")
            met, missed = met + ok, missed + (not ok)
    print(f"\n{met} met, {missed} missed; runs that failed: {failed}")


def plain(command):
    """As it would be typed here: without this machine's folders."""
    return re.sub(r"[^\s=:]*/telemed-bench\.[^/]+/bench\.[^/ ]+", "DIR", command).replace(f"{ROOT}/", "").replace(str(ROOT), ".")


def show_commands(results, servers, loads):
    print("\nservers (DIR is a folder of its own; the peers have no rate limits, and hash at ours' cost):")
    for name, commands in servers.items():
        for command in commands:
            print(f"  {name}: {plain(command)}")
    if loads:
        print("load, with --to, --users and --server besides:")
    for case, by_label in results:
        if case.name not in loads:
            continue
        print(f"  {case.name}: {loads[case.name]}")
        for label in by_label:
            kind, more = catalogue.server_of(case, label)
            print(f"    {label}: {' '.join(map(str, [kind.__name__, *more]))}")


def show(about, args, results, servers, loads):
    for name in ("machine", "versions"):
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in about[name].items())}")
    print(f"{about['when']}, {about['command']}: medians of {args.repeat}, {args.seconds:g} s each; peers and relay on Unix sockets"
          " where it does not say otherwise")
    show_cases(results, args.repeat)
    show_commands(results, servers, loads)
