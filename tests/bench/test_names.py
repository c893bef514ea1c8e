#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of names.py: python3 tests/bench/test_names.py"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import names    # noqa: E402  (the path comes first)
import report   # noqa: E402

BOOT = {"boot": "b1", "kernel": "6.1.0", "accel": "tcg", "topology": "2x1",
        "boot_options": "quiet"}
COMMON = {"commit": "abc", "dirty": False, "build_options": "-O2"}


def rows(toyfs_us, runs=5, boot="b1"):
    """Runs of both operations; ext4 takes 10 us, but once 1000."""
    return [report.row_of({**BOOT, "boot": boot}, COMMON,
                          {"system": system, "workload": workload, "threads": 1, "files": 1,
                           "run": run, "iops": 1.0, "lat_mean_us": us, "lat_p99_us": 99.0})
            for run in range(1, runs + 1) for workload in names.OPS
            for system, us in (("toyfs", toyfs_us), ("ext4-dax", 1000.0 if run == 1 else 10.0))]


def words(found):
    return [word for word, _ in names.verdicts(names.medians(found))]


class Verdicts(unittest.TestCase):
    def test_bar(self):
        self.assertEqual(words(rows(10.9)), ["PASS", "PASS"])
        self.assertEqual(words(rows(11.1)), ["FAIL", "FAIL"])

    def test_few_runs_are_none(self):
        self.assertEqual(words(rows(10.0, runs=4)), ["NOT RUN", "NOT RUN"])
        self.assertEqual(words([row for row in rows(10.0) if row["system"] == "toyfs"]),
                         ["NOT RUN", "NOT RUN"])

    def test_one_boot(self):
        with self.assertRaises(report.BadResults):
            words(rows(10.0) + rows(10.0, boot="b2"))


if __name__ == "__main__":
    unittest.main()
