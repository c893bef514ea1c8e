#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges what ci/bench-names measured.

  names.py RESULTS.json    medians, PASS or FAIL of each bar

Exit status 1 unless all bars pass. Only rows of one boot are compared.
"""

import statistics
import sys

import report

BAR = 1.1
OPS = ("name-stat", "name-open-close")
OURS, THEIRS = "toyfs", "ext4-dax"


def medians(rows):
    """{(workload, system): (microseconds, runs)} of one boot."""
    boots = report.boots_of(rows)
    if len(boots) != 1:
        raise report.BadResults(f"rows of {len(boots)} boots, not of one")
    groups = {}
    for row in rows:
        groups.setdefault((row["workload"], row["system"]), []).append(row["lat_mean_us"])
    return {key: (statistics.median(group), len(group)) for key, group in groups.items()}


def verdicts(found):
    """[(verdict, text)], one of each operation."""
    result = []
    for workload in OPS:
        ours, theirs = found.get((workload, OURS)), found.get((workload, THEIRS))
        if not ours or not theirs or min(ours[1], theirs[1]) < report.RUNS:
            result.append(("NOT RUN", f"{workload}: too few figures"))
            continue
        ratio = ours[0] / theirs[0]
        result.append(("PASS" if ratio <= BAR else "FAIL",
                       f"{workload}: {OURS} {ours[0]:.2f} us, {THEIRS} {theirs[0]:.2f} us: "
                       f"{ratio:.2f} times (at most {BAR})"))
    return result


def main(argv):
    if len(argv) != 2 or argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(argv) == 2 else 2
    try:
        judged = verdicts(medians(report.load(argv[1])))
    except report.BadResults as err:
        print(f"names.py: {err}", file=sys.stderr)
        return 2
    for word, text in judged:
        print(f"{word}: {text}")
    return 0 if all(word == "PASS" for word, _ in judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
