#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of ci/coverage: python3 tests/ci/test_coverage.py"""

import collections
import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
PATH = str(pathlib.Path(__file__).resolve().parents[2] / "ci/coverage")
LOADER = importlib.machinery.SourceFileLoader("coverage", PATH)
coverage = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage", LOADER))
LOADER.exec_module(coverage)


def file(name, **counts):
    return {"file": name, "lines": [{"line_number": int(n[1:]), "count": c}
                                    for n, c in counts.items()]}


class Coverage(unittest.TestCase):
    def add(self, *runs):
        lines = collections.defaultdict(dict)
        for run in runs:
            coverage.add(lines, run)
        return coverage.summary(lines)

    def test_a_line_counts_if_any_run_had_it(self):
        result = self.add([file("/x/zuf/map.c", l1=0, l2=0, l3=0)], [file("map.c", l1=4, l2=0)],
                          [file("map.c", l1=0, l3=1)])
        self.assertEqual((result["lines"], result["run"]), (3, 2))
        self.assertEqual(result["files"]["map.c"]["missed"], "2")

    def test_what_is_not_ours_does_not_count(self):
        result = self.add([file("include/linux/fs.h", l1=0), file("zus_api.h", l1=0),
                           file("data.h", l7=1)])
        self.assertEqual(list(result["files"]), ["data.h"])
        self.assertEqual(result["percent"], 100)

    def test_ranges(self):
        self.assertEqual(coverage.ranges([7, 1, 3, 2]), "1-3 7")
        self.assertEqual(coverage.ranges([]), "")


if __name__ == "__main__":
    unittest.main()
