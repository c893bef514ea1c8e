#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of extents.py: python3 tests/bench/test_extents.py"""

import io
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import extents  # noqa: E402  (the path comes first)
import report   # noqa: E402

BOOT = {"boot": "b1", "kernel": "6.1.0", "accel": "tcg", "topology": "2x1",
        "boot_options": "quiet"}
COMMON = {"commit": "abc", "dirty": False, "build_options": "-O2"}


def row(count, **values):
    return report.row_of(BOOT, COMMON, {"system": "nullfs-leased",
                                        "workload": f"extents-{count}", "threads": 1,
                                        "files": 1, **values})


def measured(lookup_ns, runs=5, slab=80.0, most=1000000):
    """Runs of all; lookup_ns: {extents: figure}."""
    rows = []
    for run in range(1, runs + 1):
        for count, figure in lookup_ns.items():
            rows.append(row(count, run=run, iops=1e5, lat_mean_us=10.0, lat_p99_us=20.0))
            rows.append(row(count, run=run, counter="lookup_ns", per_op=figure + run))
        rows.append(row(most, run=run, counter="slab_bytes", per_op=slab))
    return rows


def words(rows):
    return [word for word, _ in extents.verdicts(extents.one_boot(rows))]


class Verdicts(unittest.TestCase):
    def test_below_the_bars(self):
        self.assertEqual(words(measured({1: 90.0, 1000: 100.0, 1000000: 290.0})),
                         ["PASS", "PASS"])

    def test_lookup_above_its_bar(self):
        self.assertEqual(words(measured({1000: 100.0, 1000000: 320.0})), ["FAIL", "PASS"])

    def test_memory_above_its_bar(self):
        self.assertEqual(words(measured({1000: 100.0, 1000000: 200.0}, slab=96.5)),
                         ["PASS", "FAIL"])

    def test_too_few_runs(self):
        self.assertEqual(words(measured({1000: 100.0, 1000000: 200.0}, runs=4)),
                         ["NOT RUN", "NOT RUN"])

    def test_no_base(self):
        self.assertEqual(words(measured({10000: 100.0, 1000000: 200.0}))[0], "NOT RUN")

    def test_only_the_base(self):
        self.assertEqual(words(measured({1000: 100.0}, most=1000))[0], "NOT RUN")

    def test_nothing(self):
        self.assertEqual(words([row(5, run=1, iops=1e5, lat_mean_us=1.0, lat_p99_us=2.0)]),
                         ["NOT RUN", "NOT RUN"])

    def test_two_boots_are_not_compared(self):
        rows = measured({1000: 100.0, 1000000: 200.0})
        rows[0]["boot"] = "b2"
        with self.assertRaises(report.BadResults):
            extents.one_boot(rows)


class Drawing(unittest.TestCase):
    def test_one_line_a_number(self):
        rows = measured({1: 90.0, 1000: 100.0, 1000000: 290.0})
        script = extents.plot_script(rows, extents.one_boot(rows), "x.svg")
        self.assertIn("\n1000 103.0 10000.0\n", script)
        self.assertEqual(script.count("10000.0"), 3)

    def test_table(self):
        rows = measured({1000: 100.0, 1000000: 290.0})
        out = io.StringIO()
        extents.table(rows, extents.one_boot(rows), out)
        self.assertIn("slab_bytes 80.0", out.getvalue())


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
