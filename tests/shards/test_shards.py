#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of shards.py: python3 tests/shards/test_shards.py"""

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import shards  # noqa: E402  (the path comes first)

SUITE = """
what = "a suite"
sources = ["src", "!src/unused*", "run.sh"]
build = "true"
limit_s = 60
failed_status = [120]
command = ["sh", "run.sh", "{out}", "{seed}", "{kernel}", "{ops}"]
operations = ["read", "write"]
shard = [{ kernel = "6.1", ops = 100 }, { kernel = "6.12", ops = 100 }]
[bars]
operations_each = 200
[bars.at_least]
recall_hits = 10
"""

# what a shard does: see run() below
RUN = """
out=$1 seed=$2 ops=$4
[ ! -e "$out/../$seed.status" ] || exit $(cat "$out/../$seed.status")
echo "{\\"operations\\": {\\"read\\": $ops, \\"write\\": $ops}, \\"kernel\\": \\"$3\\"," \\
	"\\"counts\\": {\\"recall_hits\\": 5}, \\"differences\\": 0}" >"$out/result.json"
"""


class Tree(unittest.TestCase):
    """A small tree of its own, with one suite of two shards."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        for name, text in (("tests/shards/s.toml", SUITE), ("src/a.c", "a\n"),
                           ("src/b.c", "b\n"), ("src/unused.c", "c\n"),
                           ("run.sh", RUN), (".gitignore", "/build/\n")):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("init", "-q")
        self.commit()
        quiet = mock.patch.object(shards, "note")
        self.notes = quiet.start()
        self.addCleanup(quiet.stop)

    def git(self, *words):
        subprocess.run(["git", "-C", self.top, "-c", "user.name=t", "-c", "user.email=t@t",
                        *words], check=True, stdout=subprocess.DEVNULL)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")

    def run_suite(self, *numbers, trial=None):
        return shards.run_suite("s", list(numbers), trial, self.top)

    def lines(self):
        return shards.read_lines(self.top / "docs/results/s.jsonl")

    def write(self, lines):
        path = self.top / "docs/results/s.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def end_with(self, number, status):
        path = self.top / "build/shards/s"
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{number}.status").write_text(str(status))

    def report(self):
        """The status, and the report as an object."""
        out = io.StringIO()
        status = shards.report_all(["s"], True, self.top, out)
        return status, json.loads(out.getvalue())[0]


class Report(Tree):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.run_suite(), 0)

    def test_all_met(self):
        status, report = self.report()
        self.assertEqual(status, 0)
        self.assertEqual(report["operations"], {"read": 200, "write": 200})
        self.assertEqual(report["kernels"], ["6.1", "6.12"])
        self.assertEqual((report["missing"], report["foreign"]), ([], 0))

    def test_commit_elsewhere_keeps_the_hash(self):
        (self.top / "README").write_text("other\n")
        self.commit()
        self.assertEqual(self.report()[0], 0)

    def test_what_is_left_out_keeps_the_hash(self):
        (self.top / "src/unused.c").write_text("changed\n")
        self.assertEqual(self.report()[0], 0)
        self.commit()
        self.assertEqual(self.report()[0], 0)

    def test_missing_shard_fails(self):
        self.write(self.lines()[:1])
        status, report = self.report()
        self.assertEqual((status, report["missing"]), (1, [2]))

    def test_missing_shard_fails_though_bars_are_met(self):
        line = self.lines()[0]
        line["operations"] = {"read": 1000, "write": 1000}
        line["counts"] = {"recall_hits": 1000}
        self.write([line])
        status, report = self.report()
        self.assertTrue(all(bar["met"] for bar in report["bars"]))
        self.assertEqual(status, 1)

    def test_foreign_hash_does_not_count(self):
        lines = self.lines()
        lines[1]["sources"] = "0123456789abcdef"
        self.write(lines)
        status, report = self.report()
        self.assertEqual((status, report["foreign"], report["missing"]), (1, 1, [2]))
        self.assertEqual(report["operations"]["read"], 100)

    def test_changed_source_makes_all_foreign(self):
        for name in ("src/a.c", "run.sh"):
            (self.top / name).write_text("changed\n")
            self.commit()
            status, report = self.report()
            self.assertEqual((status, report["foreign"]), (1, 2))

    def test_renamed_source_makes_all_foreign(self):
        self.git("mv", "src/a.c", "src/c.c")
        self.commit()
        self.assertEqual(self.report()[1]["foreign"], 2)

    def test_difference_fails(self):
        lines = self.lines()
        lines[0]["differences"] = 1
        self.write(lines)
        status, report = self.report()
        self.assertEqual((status, report["failed"], report["differences"]), (1, [1], 1))
        self.assertTrue(all(bar["met"] for bar in report["bars"]))

    def test_difference_fails_though_it_was_run_again(self):
        lines = self.lines()
        self.write([{**lines[0], "differences": 1}, *lines])
        self.assertEqual(self.report()[0], 1)

    def test_twice_run_counts_once(self):
        lines = self.lines()
        self.write([lines[0], *lines])
        self.assertEqual(self.report()[1]["operations"], {"read": 200, "write": 200})

    def test_status_fails(self):
        lines = self.lines()
        lines[1]["status"] = 122
        self.write(lines)
        self.assertEqual(self.report()[0], 1)

    def test_too_few_operations_of_a_class_fail(self):
        lines = self.lines()
        lines[0]["operations"]["write"] -= 1
        self.write(lines)
        status, report = self.report()
        self.assertEqual(status, 1)
        self.assertEqual([bar["name"] for bar in report["bars"] if not bar["met"]], ["write"])

    def test_class_that_is_nowhere_fails(self):
        lines = self.lines()
        for line in lines:
            del line["operations"]["write"]
        self.write(lines)
        self.assertEqual(self.report()[0], 1)

    def test_count_below_its_bar_fails(self):
        lines = self.lines()
        lines[1]["counts"]["recall_hits"] = 4
        self.write(lines)
        self.assertEqual(self.report()[0], 1)

    def test_damaged_line_is_refused(self):
        path = self.top / "docs/results/s.jsonl"
        for text in ("{", "[]", '{"shard": 1}', '{"shard": "1"}'):
            path.write_text(text + "\n")
            with self.assertRaises(shards.Unusable):
                self.report()

    def test_negative_number_is_refused(self):
        lines = self.lines()
        lines[0]["operations"]["read"] = -1
        self.write(lines)
        with self.assertRaises(shards.Unusable):
            self.report()

    def test_no_result_at_all_fails(self):
        (self.top / "docs/results/s.jsonl").unlink()
        self.assertEqual(self.report()[0], 1)

    def test_people_are_told(self):
        self.write(self.lines()[:1])
        out = io.StringIO()
        shards.report_all(["s"], False, self.top, out)
        for words in ("MISSING: shards 2", "NOT MET", "0 of other sources"):
            self.assertIn(words, out.getvalue())

    def test_local_changes_are_refused(self):
        for name in ("src/a.c", "src/new.c"):
            path = self.top / name
            path.write_text("changed\n")
            with self.assertRaises(shards.Unusable):
                self.report()
            with self.assertRaises(shards.Unusable):
                self.run_suite()
            self.git("checkout", "-q", "src/a.c")
        path.unlink()
        (self.top / "other").write_text("does not count\n")
        self.assertEqual(self.report()[0], 0)


class Run(Tree):
    def test_goes_on_where_it_stopped(self):
        self.assertEqual(self.run_suite(2), 0)
        first = self.lines()
        self.assertEqual([line["shard"] for line in first], [2])
        self.assertEqual(self.run_suite(), 0)
        self.assertEqual([line["shard"] for line in self.lines()], [2, 1])
        self.assertEqual(self.lines()[0], first[0])

    def test_line_has_all(self):
        self.run_suite(1)
        line = self.lines()[0]
        self.assertEqual((line["suite"], line["seed"], line["status"]), ("s", 1, 0))
        self.assertRegex(line["commit"], "^[0-9a-f]{40}$")
        self.assertEqual(line["kernel"], "6.1")

    def test_failure_is_kept_and_not_tried_again(self):
        self.end_with(1, 120)
        self.assertEqual(self.run_suite(1), 1)
        self.assertEqual(self.lines()[0]["status"], 120)
        self.end_with(1, 0)
        self.assertEqual(self.run_suite(1), 1)
        self.assertEqual(len(self.lines()), 1)

    def test_what_did_not_start_leaves_nothing(self):
        self.end_with(1, 125)
        self.assertEqual(self.run_suite(), 1)
        self.assertEqual([line["shard"] for line in self.lines()], [2])

    def test_trial_leaves_nothing(self):
        with mock.patch("sys.stdout", io.StringIO()) as out:
            self.assertEqual(self.run_suite(1, trial=7), 0)
        self.assertEqual(json.loads(out.getvalue())["operations"]["read"], 7)
        self.assertEqual(self.lines(), [])

    def test_sources_that_change_meanwhile_leave_nothing(self):
        (self.top / "run.sh").write_text("echo x >>src/a.c\n" + RUN)
        self.commit()
        with self.assertRaises(shards.Unusable):
            self.run_suite(1)
        self.assertEqual(self.lines(), [])

    def test_build_that_fails(self):
        path = self.top / "tests/shards/s.toml"
        path.write_text(SUITE.replace('build = "true"', 'build = "false"'))
        with self.assertRaises(shards.Unusable):
            self.run_suite()

    def test_source_that_is_not_there(self):
        path = self.top / "tests/shards/s.toml"
        path.write_text(SUITE.replace('"run.sh"]', '"rum.sh"]'))
        with self.assertRaises(shards.Unusable):
            self.run_suite()

    def test_end_at_the_limit_leaves_nothing(self):
        path = self.top / "tests/shards/s.toml"
        path.write_text(SUITE.replace("limit_s = 60", "limit_s = 0.1"))
        (self.top / "run.sh").write_text("exec tail -f /dev/null\n")
        self.commit()
        self.assertEqual(self.run_suite(1), 1)
        self.assertEqual(self.lines(), [])

    def test_unknown_suite_and_shard(self):
        with self.assertRaises(shards.Unusable):
            shards.run_suite("other", [], None, self.top)
        with self.assertRaises(shards.Unusable):
            self.run_suite(3)


class Words(unittest.TestCase):
    def test_wrong_use(self):
        for words in ([], ["--json", "s"], ["--trial", "0", "s"], ["--what"], ["s", "one"]):
            with self.assertRaises(SystemExit) as end, mock.patch("sys.stderr", io.StringIO()):
                shards.main(words)
            self.assertEqual(end.exception.code, 2)

    def test_real_suites_can_be_read(self):
        self.assertIn("lease-model", shards.suite_names())
        for name in shards.suite_names():
            suite = shards.Suite(name)
            self.assertLessEqual(suite.limit_s, 3600)
            self.assertTrue(suite.hash())
            for number in suite.numbers():
                values = {"seed": number, "out": "x", **suite.shard[number - 1]}
                self.assertTrue([word.format_map(values) for word in suite.command])


if __name__ == "__main__":
    unittest.main()
