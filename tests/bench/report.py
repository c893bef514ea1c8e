#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns what the guest measured into results.json, a table, a plot and verdicts.

  report.py collect --out FILE RAWDIR...   rows of one or more boots, FILE replaced
  report.py table FILE                     medians and ratios, a boot at a time
  report.py bars FILE                      PASS or FAIL of each bar; exit 1 unless all pass
  report.py plot FILE OUT.svg              gnuplot

One row is one run. Medians and ratios are formed here and only within one boot:
two boots, or two machines, are never compared.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

FIELDS = {
    "boot": str, "kernel": str, "accel": str, "system": str, "workload": str,
    "threads": int, "files": int, "topology": str, "run": int, "mount_options": str,
    "boot_options": str, "build_options": str, "commit": str, "dirty": bool, "seed": int,
    "iops": float, "lat_mean_us": float, "lat_p99_us": float,
    "counter": str, "per_op": float,
}
MEASURED = ("iops", "lat_mean_us", "lat_p99_us")
COUNTED = ("counter", "per_op")
BOOT_FIELDS = ("boot", "kernel", "accel", "topology", "boot_options")

FUSE = ("fuse-null", "fuse-null-pinned")
DAX = ("ext4-dax", "xfs-dax")
TOPOLOGIES = ("2x1", "1x4", "2x2")
RUNS = 5

NOP_BAR = 0.9
FUSE_BARS = {"nullfs-call": 4.0, "nullfs-call-done": 2.5}
FUSE_BAR_WORKLOAD = "randwrite-4k-dsync"
LEASED = "nullfs-leased"
NULL_DAX = "null-dax"
# (workload, threads, files), against the fastest of these, at least
LEASED_BARS = (
    (("randwrite-4k-dsync", 1, 1), DAX, 1.2), (("randwrite-4k-dsync", 1, 1), FUSE, 25.0),
    (("randwrite-4k-dsync", 2, 2), DAX, 1.25), (("randwrite-4k-dsync", 2, 1), DAX, 1.2),
    (("randread-4k", 1, 1), DAX, 0.95),
    (("randwrite-4k-dsync", 1, 1), (NULL_DAX,), 0.9),
    (("randwrite-4k-dsync", 2, 2), (NULL_DAX,), 0.9),
    (("randwrite-4k-dsync", 2, 1), (NULL_DAX,), 0.9), (("randread-4k", 1, 1), (NULL_DAX,), 0.9),
)
# Where there are so many CPUs: zuf's own copy against the kernel's library
CROWD = 4
CROWD_BAR = (("randwrite-4k-dsync", CROWD, 1), (LEASED + "-library",), 1.1)
# Copy-on-write with a word, in one trip, against two: mean latency, less than
COW = ("nullfs-cow-word", "nullfs-cow-done")
COW_BAR = 0.75
COW_BAR_KEY = ("randwrite-4k-dsync", 1, 1)
COUNT_BARS = {
    "context_switches": 2.02, "server_syscalls": 1.01, "migrations": 0.001,
    "cross_cpu_wakeups": 0.001, "remote_tlb_flushes": 0.001,
}
COUNT_WORKLOADS = {"count-nop": "null-op", "count-map": "nullfs-call",
                   "count-getattr": "nullfs-call"}


class BadResults(Exception):
    """What was measured can't be used; the text says what and where."""


# ------------------------------------------------------------------- collect

def read_meta(path):
    """key=value lines; a value may hold anything but a newline."""
    meta = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, sep, value = line.partition("=")
        if not sep:
            raise BadResults(f"{path}: not a key=value line: {line!r}")
        meta[key] = value
    return meta


def fio_figures(path):
    """IOPS, mean and p99 latency of the one job group in fio's JSON output."""
    text = path.read_text(encoding="utf-8")
    try:
        jobs = json.loads(text[text.index("{"):])["jobs"]
    except (ValueError, KeyError) as err:
        raise BadResults(f"{path}: not fio's JSON output: {err}") from err
    if len(jobs) != 1 or jobs[0].get("error"):
        raise BadResults(f"{path}: {len(jobs)} job groups, error {jobs[0].get('error')}")
    sides = [jobs[0][side] for side in ("read", "write") if jobs[0][side]["total_ios"]]
    if len(sides) != 1:
        raise BadResults(f"{path}: expected reads or writes, found {len(sides)} kinds of I/O")
    lat = sides[0]["lat_ns"]
    return {
        "iops": float(sides[0]["iops"]),
        "lat_mean_us": lat["mean"] / 1e3,
        "lat_p99_us": lat["percentile"]["99.000000"] / 1e3,
    }


def row_of(boot, common, values):
    """A whole row: every field of FIELDS, in order, null where it does not apply."""
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise BadResults(f"unknown fields {sorted(unknown)}")
    merged = {"files": 0, "run": 1, "seed": 0, "mount_options": "", **common, **boot, **values}
    row = {}
    for field, kind in FIELDS.items():
        value = merged.get(field)
        row[field] = kind(value) if value is not None else None
    check_row(row)
    return row


def check_row(row):
    """One row is either a measured run or a counted fact, with every field there."""
    if list(row) != list(FIELDS):
        raise BadResults(f"fields {list(row)} are not those of a row")
    for field, kind in FIELDS.items():
        if row[field] is None:
            if field not in MEASURED + COUNTED:
                raise BadResults(f"{field} is missing in {row}")
        elif not isinstance(row[field], kind):
            raise BadResults(f"{field} is not a {kind.__name__} in {row}")
    measured = [row[field] is not None for field in MEASURED]
    counted = [row[field] is not None for field in COUNTED]
    if not ((all(measured) and not any(counted)) or (all(counted) and not any(measured))):
        raise BadResults(f"neither a measured run nor a counted fact: {row}")


def collect_boot(raw, common):
    """All rows of one guest's raw directory."""
    raw = pathlib.Path(raw)
    if not (raw / "boot.meta").is_file():
        raise BadResults(f"{raw}/boot.meta is missing: did the guest get to measuring?")
    meta = read_meta(raw / "boot.meta")
    missing = [field for field in BOOT_FIELDS if field not in meta]
    if missing:
        raise BadResults(f"{raw}/boot.meta lacks {missing}")
    boot = {field: meta[field] for field in BOOT_FIELDS}
    rows = []
    for path in sorted(raw.glob("*.run")):
        run = read_meta(path)
        fio, lines = run.pop("fio", None), run.pop("rows", None)
        if fio:
            rows.append(row_of(boot, common, {**run, **fio_figures(raw / fio)}))
            continue
        for line in (raw / lines).read_text(encoding="utf-8").splitlines():
            rows.append(row_of(boot, common, {**run, **json.loads(line)}))
    if not rows:
        raise BadResults(f"{raw} holds no runs")
    return rows


def load(path):
    try:
        rows = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise BadResults(f"{path}: {err}") from err
    for row in rows:
        check_row(row)
    return rows


def save(rows, path):
    """Replaces the file in one step; a reader sees the old or the new one."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    body = ",\n".join(json.dumps(row) for row in rows)
    fresh.write_text(f"[\n{body}\n]\n", encoding="utf-8")
    fresh.replace(path)


# ------------------------------------------------------------------- medians

def boots_of(rows):
    """{boot: its rows}, in the order of appearance."""
    boots = {}
    for row in rows:
        boots.setdefault(row["boot"], []).append(row)
    return boots


def medians(rows):
    """{(system, workload, threads, files): medians} of one boot's measured rows."""
    if len({row["boot"] for row in rows}) > 1:
        raise BadResults("medians across boots")
    groups = {}
    for row in rows:
        if row["iops"] is not None:
            key = (row["system"], row["workload"], row["threads"], row["files"])
            groups.setdefault(key, []).append(row)
    return {
        key: {"runs": len(group),
              **{field: statistics.median(row[field] for row in group) for field in MEASURED}}
        for key, group in groups.items()
    }


def best(meds, systems, key):
    """The medians of the fastest of @systems at (workload, threads, files), or None."""
    found = [meds[(system, *key)] for system in systems if (system, *key) in meds]
    return max(found, key=lambda med: med["iops"], default=None)


# --------------------------------------------------------------------- table

def ratio(med, reference):
    return f"{med['iops'] / reference['iops']:8.2f}" if reference else "       -"


def table(rows, out):
    for boot, mine in boots_of(rows).items():
        first, meds = mine[0], medians(mine)
        runs = sorted({med["runs"] for med in meds.values()})
        print(f"boot {boot}: kernel {first['kernel']}, {first['accel']}, topology "
              f"{first['topology']}, runs a figure: {'-'.join(map(str, runs))}", file=out)
        print(f"commit {first['commit']}{' with local changes' if first['dirty'] else ''}; "
              f"boot options: {first['boot_options']}", file=out)
        table_roundtrips(meds, out)
        for key in sorted({key[1:] for key in meds if key[1] != "roundtrip"}):
            workload, threads, files = key
            print(f"\n{workload}, {threads} thread{'s'[:threads > 1]}, "
                  f"{files} file{'s'[:files > 1]}", file=out)
            print(f"  {'system':18} {'IOPS':>9} {'mean us':>9} {'p99 us':>9} "
                  f"{'x FUSE':>8} {'x DAX':>8}", file=out)
            fuse, dax = best(meds, FUSE, key), best(meds, DAX, key)
            for (system, *rest), med in meds.items():
                if tuple(rest) == key:
                    print(f"  {system:18} {med['iops']:9.0f} {med['lat_mean_us']:9.2f} "
                          f"{med['lat_p99_us']:9.2f} {ratio(med, fuse)} {ratio(med, dax)}",
                          file=out)
        table_counts(mine, out)
        print(file=out)
    print("x FUSE: against the faster of fuse-null and fuse-null-pinned; "
          "x DAX: against the faster of ext4-dax and xfs-dax; same boot.", file=out)


def table_roundtrips(meds, out):
    found = [(key[0], med) for key, med in meds.items() if key[1] == "roundtrip"]
    if not found:
        return
    print("\nroundtrip", file=out)
    print(f"  {'system':18} {'mean us':>9} {'p99 us':>9}", file=out)
    for system, med in found:
        print(f"  {system:18} {med['lat_mean_us']:9.3f} {med['lat_p99_us']:9.3f}", file=out)


def table_counts(rows, out):
    counted = [row for row in rows if row["counter"]]
    if not counted:
        return
    print("\ncounted, per operation", file=out)
    for row in counted:
        print(f"  {row['system']:18} {row['workload']:14} {row['counter']:20} "
              f"{row['per_op']:10.5f}", file=out)


# ---------------------------------------------------------------------- bars

def bar_nop(meds):
    """(figure or None, text) of the NOP round against the pipe."""
    nop = meds.get(("null-op", "roundtrip", 1, 0))
    pipe = meds.get(("pipe-pingpong", "roundtrip", 1, 0))
    if not nop or not pipe:
        return None, "no NOP round" if not nop else "no pipe ping-pong"
    if min(nop["runs"], pipe["runs"]) < RUNS:
        return None, f"{min(nop['runs'], pipe['runs'])} runs of {RUNS}"
    figure = nop["lat_mean_us"] / pipe["lat_mean_us"]
    return figure, f"{nop['lat_mean_us']:.2f} us / {pipe['lat_mean_us']:.2f} us = {figure:.3f}"


def bar_against(meds, system, peers, key):
    """(figure or None, text) of a system against the fastest of peers, at
    (workload, threads, files)."""
    mine = meds.get((system, *key))
    theirs = [meds.get((peer, *key)) for peer in peers]
    if not mine or not all(theirs):
        missing = [peer for peer, med in zip(peers, theirs) if not med]
        return None, f"no {', '.join(missing) if mine else system}"
    runs = min(med["runs"] for med in [mine, *theirs])
    if runs < RUNS:
        return None, f"{runs} runs of {RUNS}"
    fastest = best(meds, peers, key)
    figure = mine["iops"] / fastest["iops"]
    return figure, f"{mine['iops']:.0f} / {fastest['iops']:.0f} IOPS = {figure:.2f}"


def leased_verdicts(meds, topology):
    """[(bar, verdict, text)] of what leases are to reach."""
    sockets, _, cores = topology.partition("x")
    crowded = int(sockets) * int(cores) >= CROWD
    result = []
    for key, peers, bar in LEASED_BARS + ((CROWD_BAR,) if crowded else ()):
        figure, text = bar_against(meds, LEASED, peers, key)
        name = {DAX: "DAX", FUSE: "FUSE"}.get(peers, peers[0])
        result.append((f"leased {key[0]} {key[1]} thr {key[2]} file >= {bar} x {name}",
                       verdict(figure, figure is not None and figure >= bar), text))
    return result


def bar_cow(meds):
    """(figure or None, text) of copy-on-write in one trip against two."""
    one, two = (meds.get((system, *COW_BAR_KEY)) for system in COW)
    if not one or not two:
        return None, f"no {COW[1] if one else COW[0]}"
    if min(one["runs"], two["runs"]) < RUNS:
        return None, f"{min(one['runs'], two['runs'])} runs of {RUNS}"
    figure = one["lat_mean_us"] / two["lat_mean_us"]
    return figure, f"{one['lat_mean_us']:.2f} us / {two['lat_mean_us']:.2f} us = {figure:.3f}"


def bar_counts(rows, workload, counter):
    """(worst figure or None, text) of one counted fact."""
    found = [row["per_op"] for row in rows
             if row["workload"] == workload and row["counter"] == counter
             and row["system"] == COUNT_WORKLOADS[workload]]
    if not found:
        return None, "not counted"
    return max(found), f"{max(found):.5f}"


def verdict(figure, holds):
    if figure is None:
        return "NOT RUN"
    return "PASS" if holds else "FAIL"


def verdicts(rows):
    """(topology, bar, verdict, text) of each bar in each boot; a topology without
    a boot has NOT RUN, which is not PASS."""
    result = []
    for boot, mine in boots_of(rows).items():
        where, meds = f"{mine[0]['topology']} {boot[:8]}", medians(mine)
        figure, text = bar_nop(meds)
        result.append((where, f"NOP round <= {NOP_BAR} x pipe",
                       verdict(figure, figure is not None and figure <= NOP_BAR), text))
        for system, bar in FUSE_BARS.items():
            for threads in (1, 2):
                figure, text = bar_against(meds, system, FUSE, (FUSE_BAR_WORKLOAD, threads, 1))
                result.append((where, f"{system} >= {bar} x FUSE, {threads} thr",
                               verdict(figure, figure is not None and figure >= bar), text))
        figure, text = bar_cow(meds)
        result.append((where, f"one trip < {COW_BAR} x two trips",
                       verdict(figure, figure is not None and figure < COW_BAR), text))
        result += [(where, *judged) for judged in leased_verdicts(meds, mine[0]["topology"])]
        for workload in COUNT_WORKLOADS:
            for counter, bar in COUNT_BARS.items():
                figure, text = bar_counts(mine, workload, counter)
                result.append((where, f"{workload}: {counter} <= {bar}",
                               verdict(figure, figure is not None and figure <= bar), text))
    seen = {row["topology"] for row in rows}
    result += [(topology, "all bars", "NOT RUN", "no boot")
               for topology in TOPOLOGIES if topology not in seen]
    return result


def bars(rows, out):
    """Prints the verdicts; true when every one is PASS."""
    result = verdicts(rows)
    for where, bar, word, text in result:
        print(f"{word:8} {where:12} {bar:58} {text}", file=out)
    if any(row["dirty"] for row in rows):
        print("measured on a tree with local changes: the commit does not tell what ran",
              file=out)
    words = [word for _, _, word, _ in result]
    failed = len(words) - words.count("PASS")
    print(f"{words.count('PASS')} passed, {failed} failed", file=out)
    return bool(words) and not failed


# ---------------------------------------------------------------------- plot

def plot_script(rows, svg):
    """A gnuplot script: one panel a workload, a cluster a system, a bar for each
    number of threads. Of several boots the first is drawn."""
    boot, mine = next(iter(boots_of(rows).items()))
    meds = {key: med for key, med in medians(mine).items()
            if key[1] != "roundtrip" and key[3] == 1}
    workloads = sorted({key[1] for key in meds})
    threads = sorted({key[2] for key in meds})
    systems = list(dict.fromkeys(key[0] for key in meds))
    if not meds:
        raise BadResults("nothing to plot")
    lines = [
        f"set terminal svg size 900,{300 * len(workloads) + 60} enhanced background '#ffffff'",
        f"set output '{svg}'",
        "set style data histograms", "set style histogram clustered gap 1",
        "set style fill solid 0.9 border -1", "set boxwidth 0.9",
        "set logscale y", "set ylabel 'IOPS (log scale)'", "set grid ytics",
        "set yrange [100:*]", "set xtics rotate by -25 noenhanced", "set key outside top right",
        f"set multiplot layout {len(workloads)},1 title "
        f"\"4 KiB, kernel {mine[0]['kernel']}, {mine[0]['accel']}, "
        f"{mine[0]['topology']}, boot {boot}\" noenhanced",
    ]
    for index, workload in enumerate(workloads):
        lines.append(f"$data{index} << EOD")
        for system in systems:
            cells = [f"{meds[(system, workload, n, 1)]['iops']:.1f}"
                     if (system, workload, n, 1) in meds else "NaN" for n in threads]
            lines.append(f"{system} {' '.join(cells)}")
        lines.append("EOD")
        lines.append(f"set title '{workload}' noenhanced")
        lines.append("plot " + ", ".join(
            f"$data{index} using {col + 2}:xtic(1) title '{n} thread{'s'[:n > 1]}'"
            for col, n in enumerate(threads)))
    lines.append("unset multiplot")
    return "\n".join(lines) + "\n"


def plot(rows, svg):
    script = plot_script(rows, svg)
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError as err:
        raise BadResults("gnuplot is not installed (apt-get install gnuplot-nox)") from err
    except subprocess.CalledProcessError as err:
        raise BadResults(f"gnuplot failed with status {err.returncode}") from err


# ---------------------------------------------------------------------- main

def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="command", required=True)
    cmd = sub.add_parser("collect", help="raw directories of guests to results.json")
    cmd.add_argument("--out", required=True)
    cmd.add_argument("--commit", required=True)
    cmd.add_argument("--dirty", choices=("0", "1"), required=True)
    cmd.add_argument("--build-options", required=True)
    cmd.add_argument("raw", nargs="+")
    for name, text in (("table", "medians and ratios"), ("bars", "verdicts")):
        sub.add_parser(name, help=text).add_argument("results")
    cmd = sub.add_parser("plot", help="draw an SVG")
    cmd.add_argument("results")
    cmd.add_argument("svg")
    return parser.parse_args(argv)


def run(args):
    if args.command == "collect":
        common = {"commit": args.commit, "dirty": args.dirty == "1",
                  "build_options": args.build_options}
        save([row for raw in args.raw for row in collect_boot(raw, common)], args.out)
        return 0
    rows = load(args.results)
    if args.command == "table":
        table(rows, sys.stdout)
    elif args.command == "plot":
        plot(rows, args.svg)
    elif args.command == "bars":
        return 0 if bars(rows, sys.stdout) else 1
    return 0


def main():
    try:
        sys.exit(run(parse_args(sys.argv[1:])))
    except BadResults as err:
        print(f"report.py: {err}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
