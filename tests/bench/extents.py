#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges and draws what ci/bench-extents measured.

  extents.py RESULTS.json [OUT.svg]   medians, PASS or FAIL of each bar; a plot by gnuplot

Exit status 1 unless all bars pass. Only rows of one boot are compared.
"""

import statistics
import subprocess
import sys

import report

BASE = 1000			# extents
LOOKUP_BAR = 3.0		# of the most extents against BASE
BYTES_BAR = 96.0		# an extent, of slab pages


def number_of(workload):
    """Extents of workload extents-N, or None."""
    name, _, number = workload.partition("-")
    return int(number) if name == "extents" and number.isdigit() else None


def figures(rows):
    """{(extents, what): (median, runs)} of one boot; what is read_ns or a counter."""
    groups = {}
    for row in rows:
        extents = number_of(row["workload"])
        if extents is None:
            continue
        if row["counter"] is None:
            groups.setdefault((extents, "read_ns"), []).append(row["lat_mean_us"] * 1e3)
        else:
            groups.setdefault((extents, row["counter"]), []).append(row["per_op"])
    return {key: (statistics.median(group), len(group)) for key, group in groups.items()}


def one_boot(rows):
    boots = report.boots_of(rows)
    if len(boots) != 1:
        raise report.BadResults(f"rows of {len(boots)} boots, not of one")
    return figures(rows)


def verdicts(found):
    """[(verdict, text)] of both bars."""
    most = max((extents for extents, _ in found), default=0)
    base, top = found.get((BASE, "lookup_ns")), found.get((most, "lookup_ns"))
    result = []
    if not base or not top or most == BASE or min(base[1], top[1]) < report.RUNS:
        result.append(("NOT RUN", f"lookup among {most} extents: too few figures"))
    else:
        ratio = top[0] / base[0]
        result.append(("PASS" if ratio <= LOOKUP_BAR else "FAIL",
                       f"lookup among {most} extents {ratio:.2f} times that among {BASE} "
                       f"(at most {LOOKUP_BAR:.0f})"))
    slab = found.get((most, "slab_bytes"))
    if not slab or slab[1] < report.RUNS:
        result.append(("NOT RUN", "memory an extent: too few figures"))
    else:
        result.append(("PASS" if slab[0] <= BYTES_BAR else "FAIL",
                       f"{slab[0]:.1f} bytes an extent, of {most} (at most {BYTES_BAR:.0f})"))
    return result


def table(rows, found, out):
    first = rows[0]
    print(f"boot {first['boot']}: kernel {first['kernel']}, {first['accel']}, topology "
          f"{first['topology']}\ncommit {first['commit']}"
          f"{' with local changes' if first['dirty'] else ''}; "
          f"boot options: {first['boot_options']}", file=out)
    print(f"{'extents':>9} {'runs':>5} {'lookup ns':>10} {'64-byte read ns':>16}", file=out)
    for extents in sorted({extents for extents, _ in found}):
        read, look = (found.get((extents, what)) for what in ("read_ns", "lookup_ns"))
        if read and look:
            print(f"{extents:9} {read[1]:5} {look[0]:10.0f} {read[0]:16.0f}", file=out)
    for (extents, what), (value, _) in found.items():
        if what not in ("read_ns", "lookup_ns"):
            print(f"of {extents} extents each: {what} {value:.1f}", file=out)


def plot_script(rows, found, svg):
    first = rows[0]
    lines = [
        "set terminal svg size 900,500 enhanced background '#ffffff'", f"set output '{svg}'",
        f"set title \"One lease of many: kernel {first['kernel']}, {first['accel']}, "
        f"boot {first['boot']}\" noenhanced",
        "set logscale x", "set xlabel 'leases of the inode'", "set ylabel 'ns'",
        "set yrange [0:*]", "set grid", "set key top left", "$data << EOD",
    ]
    for extents in sorted({extents for extents, _ in found}):
        read, look = (found.get((extents, what)) for what in ("read_ns", "lookup_ns"))
        if read and look:
            lines.append(f"{extents} {look[0]:.1f} {read[0]:.1f}")
    lines += ["EOD", "plot $data using 1:3 with linespoints pt 6 title 'read of 64 bytes', "
              "$data using 1:2 with linespoints pt 7 title 'of that the lookup'"]
    return "\n".join(lines) + "\n"


def plot(script):
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError as err:
        raise report.BadResults("gnuplot is not installed (apt-get install gnuplot-nox)") from err
    except subprocess.CalledProcessError as err:
        raise report.BadResults(f"gnuplot failed with status {err.returncode}") from err


def main(argv):
    if len(argv) not in (2, 3) or argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(argv) == 2 else 2
    try:
        rows = report.load(argv[1])
        found = one_boot(rows)
        table(rows, found, sys.stdout)
        if len(argv) == 3:
            plot(plot_script(rows, found, argv[2]))
        judged = verdicts(found)
    except report.BadResults as err:
        print(f"extents.py: {err}", file=sys.stderr)
        return 2
    for word, text in judged:
        print(f"{word}: {text}")
    return 0 if all(word == "PASS" for word, _ in judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
