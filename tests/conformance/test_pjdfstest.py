#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of pjdfstest.py: python3 tests/conformance/test_pjdfstest.py"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pjdfstest  # noqa: E402  (the path comes first)


class PjdfstestFile(unittest.TestCase):
    def judge(self, output, status=0, source='echo "1..3"\n'):
        return pjdfstest.judge_file(source, output, status)

    def test_all_passed(self):
        self.assertEqual(self.judge("1..2\nok 1\nok 2\n"), (2, 0, [], None))

    def test_failure_keeps_its_number_and_words(self):
        passed, _, failures, _ = self.judge("1..2\nok 1\nnot ok 2 - tried 'x', expected 0\n")
        self.assertEqual((passed, failures), (1, ["2 - tried 'x', expected 0"]))

    def test_what_the_suite_expects_is_apart(self):
        output = "1..2\nok 1\nnot ok 2 # TODO POSIX says so\n"
        self.assertEqual(self.judge(output), (1, 1, [], None))

    def test_too_few_lines_fail(self):
        self.assertEqual(self.judge("1..3\nok 1\n")[2], ["1 lines of a plan of 3"])

    def test_no_plan_fails(self):
        self.assertIn("printed no plan", self.judge("ok 1\n")[2])

    def test_status_and_time_fail(self):
        self.assertEqual(self.judge("1..1\nok 1\n", 1, 'echo "1..1"\n')[2], ["ended with 1"])
        self.assertEqual(self.judge("1..1\nok 1\n", True, 'echo "1..1"\n')[2],
                         ["no end in time"])

    def test_bail_out_fails(self):
        self.assertIn("bailed out", self.judge("1..1\nok 1\nBail out!\n", 0, 'echo "1..1"\n')[2])

    def test_who_left_itself_was_not_run(self):
        result = self.judge("1..1\nok 1\n", source="require chflags\necho \"1..3\"\n")
        self.assertEqual(result, (0, 0, [], "wants chflags(2)"))

    def test_one_real_test_is_run(self):
        self.assertEqual(self.judge("1..1\nok 1\n", source='echo "1..1"\n'), (1, 0, [], None))

    def test_leaving_for_no_known_cause_fails(self):
        self.assertEqual(self.judge("1..1\nok 1\n")[2], ["left itself, for no known cause"])


if __name__ == "__main__":
    unittest.main()
