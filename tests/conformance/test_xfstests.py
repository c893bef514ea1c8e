#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of xfstests.py: python3 tests/conformance/test_xfstests.py"""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import xfstests  # noqa: E402  (the path comes first)


def all_apply():
    return mock.patch.object(xfstests, "left_out", lambda *_: None)


class Xfstests(unittest.TestCase):
    CAUSES = [(r"no quota", "quotas")]

    def take(self, *lines):
        results = xfstests.Results(self.CAUSES)
        for line in lines:
            results.take(line)
        return results

    def test_passed(self):
        results = self.take("generic/001 3s ...  4s", "generic/002        1s")
        self.assertEqual(results.passed, ["001", "002"])

    def test_failed_with_details(self):
        results = self.take("generic/001 - output mismatch (see x)", "    +bad",
                            "generic/002  1s")
        self.assertEqual(results.failed, {"001": ["- output mismatch (see x)", "    +bad"]})
        self.assertEqual(results.passed, ["002"])

    def test_status_and_dmesg_fail(self):
        results = self.take("generic/001 [failed, exit status 1]",
                            "generic/002 _check_dmesg: something found in dmesg (see x)")
        self.assertEqual(sorted(results.failed), ["001", "002"])

    def test_what_changes_the_machine_comes_last(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder, "tests/generic")
            tests.mkdir(parents=True)
            for name in ("699", "700", "701", "702"):
                (tests / name).write_text("_begin_fstest auto\n")
            suite = pathlib.Path(folder)
            self.assertEqual(xfstests.choose(suite, "all", "1/1"), ["699", "701", "702", "700"])
            self.assertEqual(xfstests.choose(suite, "auto", "2/2"), ["702", "700"])

    def test_good_cause(self):
        results = self.take("generic/001       [not run] there is no quota")
        self.assertEqual(results.not_run, {"001": "quotas"})

    def test_unknown_cause_is_a_difference(self):
        results = self.take("generic/001       [not run] something is missing")
        self.assertEqual(results.unjudged, {"001": "something is missing"})
        result = xfstests.summary(["001"], results)
        self.assertEqual((result["differences"], result["operations"]["run"]), (1, 0))

    def test_what_is_known_to_fail_on_this_kernel(self):
        known = [("001", "6.1.", "too large", "the kernel's"), ("002", "6.12.", "", "not here"),
                 ("004", "6.1.", "too large", "the kernel's"), ("005", "6.1.", "", "says nothing")]
        printed = {"001": "fine\nx is too large\ny is too large\n", "002": "fine\nbad\n",
                   "004": "fine\nx is too large\nand more\n", "005": "fine\n"}
        with tempfile.TemporaryDirectory() as folder:
            for part in ("tests/generic", "results/generic"):
                pathlib.Path(folder, part).mkdir(parents=True)
            for name in printed:
                pathlib.Path(folder, f"tests/generic/{name}.out").write_text("fine\n")
            with mock.patch.object(xfstests.platform, "release", lambda: "6.1.0-57-amd64"):
                results = xfstests.Results([], known, pathlib.Path(folder))
            for line in ("generic/001 - output mismatch", "    +bad", "generic/003  1s",
                         *[f"generic/{name} - output mismatch" for name in ("002", "004", "005")]):
                results.take(line)
            for name, text in printed.items():  # check does this behind its line
                pathlib.Path(folder, f"results/generic/{name}.out.bad").write_text(text)
            results.judge_failures()
        self.assertEqual(results.known, {"001": "the kernel's"})
        self.assertEqual(sorted(results.failed), ["002", "004", "005"])
        result = xfstests.summary(["001", "002", "003", "004", "005"], results)
        self.assertEqual((result["operations"], result["differences"]), ({"run": 5, "passed": 1}, 3))

    def test_summary_adds_up(self):
        results = self.take("generic/001  4s", "generic/002 [not run] no quota",
                            "generic/003 - output mismatch")
        result = xfstests.summary(["001", "002", "003"], results)
        self.assertEqual(result["operations"], {"run": 2, "passed": 1})
        self.assertEqual(result["counts"]["not run: quotas"], 1)
        self.assertEqual((result["differences"], result["failed_tests"]), (1, ["003"]))

    def test_a_test_without_a_line_fails(self):
        with mock.patch.object(xfstests, "run_check", lambda *_: False), all_apply():
            self.assertEqual(xfstests.run("suite", ["001"]).failed, {"001": ["left no line"]})

    def test_after_one_that_hangs_the_rest_is_run(self):
        def run_check(_suite, names, results):
            if names[0] == "001":
                return True
            results.take(f"generic/{names[0]}  1s")
            return False

        with mock.patch.object(xfstests, "run_check", run_check), all_apply():
            results = xfstests.run("suite", ["001", "002"])
        self.assertEqual((sorted(results.failed), results.passed), (["001"], ["002"]))

    def test_what_a_test_requires_by_its_source(self):
        wants = [("_require_quota", "quotas"), ("_require_x", "x"), ("generic/004", "named")]
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder) / "tests/generic"
            tests.mkdir(parents=True)
            for name, source, cause in (
                    ("001", "_require_scratch\n\t_require_quota usr\n", "quotas"),
                    ("002", "_require_x\n_require_quota\n", "quotas"),
                    ("004", "true\n", "named"),
                    ("003", "_require_scratch\n# _require_quota\n# _require_x\n", None)):
                (tests / name).write_text(source)
                self.assertEqual(xfstests.left_out(pathlib.Path(folder), name, wants), cause)

    def test_parts_are_all_of_a_group_each_once(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder) / "tests/generic"
            tests.mkdir(parents=True)
            for number in range(1, 8):
                group = "auto quick" if number % 2 else "auto"
                (tests / f"{number:03}").write_text(f"_begin_fstest {group}\n")
                (tests / f"{number:03}.out").write_text("")
            parts = [xfstests.choose(pathlib.Path(folder), "auto", f"{k}/3") for k in (1, 2, 3)]
            self.assertEqual(sorted(sum(parts, [])), [f"{k:03}" for k in range(1, 8)])
            self.assertEqual(xfstests.choose(pathlib.Path(folder), "quick", "1/1"),
                             ["001", "003", "005", "007"])
            self.assertEqual(xfstests.choose(pathlib.Path(folder), "auto", "2/3", ["005"]),
                             ["002"])

    def test_lists_have_their_columns(self):
        for name, columns in (("not-run-causes", 2), ("not-applying", 2), ("known-failures", 4)):
            for line in xfstests.read_list(xfstests.LISTS / name):
                self.assertEqual(len(line), columns, line)


if __name__ == "__main__":
    unittest.main()
