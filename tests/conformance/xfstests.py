#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run tests of xfstests' tests/generic, and write down how each one ended.

  xfstests.py --suite DIR --out RESULT.json [--group G] [--part K/N]
              [--without NAME] [NAME...]

NAME is like 001. Part K of N has every N-th test of the group, without one that needs
another machine. The suite's own settings come in HOST_OPTIONS. tests/xfstests/ says which
requirements of tests do not apply here, and which of the causes that a test itself gives
for not running are good ones; any other is a failure. It also has those that are known to
fail on a kernel, and why.
Exit status: 0 every test that applies passed or is known to fail, 1 one did not, 2 wrong use.
"""

import argparse
import collections
import json
import os
import pathlib
import platform
import re
import selectors
import signal
import subprocess
import sys
import time

import machine

LISTS = pathlib.Path(__file__).resolve().parents[1] / "xfstests"
LIMIT_S = 3300
LINE = re.compile(r"generic/(\d+)\s+(.*)")
SECONDS = re.compile(r"(\d+)s$")
DETAIL_LINES = 40
# It loads a policy of SELinux, which no later test expects: see ztoyfs.sh
LAST = ("700",)


def read_list(path):
    """Its lines that are no comments, by tabs."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return [tuple(line.split("\t")) for line in lines]


def good_cause(said, causes):
    for pattern, cause in causes:
        if re.search(pattern, said):
            return cause
    return None


def left_out(suite, name, requirements):
    """What the design leaves out that the test's source shows it to require, or None."""
    source = (suite / "tests/generic" / name).read_text(errors="replace")
    lines = [f"generic/{name}"]
    lines += [line for line in source.splitlines() if not re.match(r"\s*#", line)]
    for pattern, cause in requirements:
        if any(re.search(pattern, line) for line in lines):
            return cause
    return None


def unexpected(suite, name):
    """Lines of the test's output that it should not have had."""
    want = (suite / "tests/generic" / f"{name}.out").read_text(errors="replace").splitlines()
    bad = suite / "results/generic" / f"{name}.out.bad"
    lines = bad.read_text(errors="replace").splitlines() if bad.exists() else []
    return [line for line in lines if line not in want]


class Results:
    """What check printed so far, line by line."""

    def __init__(self, causes, known=(), suite=None):
        self.causes = causes
        self.suite = suite
        self.known_here = {name: (text, why) for name, kernel, text, why in known
                           if platform.release().startswith(kernel)}
        self.known = {}
        self.passed, self.failed, self.not_run = [], {}, {}
        self.unjudged = {}
        self.last = None

    def take(self, line):
        """True: the line ends a test."""
        match = LINE.match(line)
        if not match:
            if self.last in self.failed and len(self.failed[self.last]) < DETAIL_LINES:
                self.failed[self.last].append(line)
            return False
        name, rest = match[1], match[2].strip()
        self.last = None
        if "[not run]" in rest:
            said = rest.split("[not run]", 1)[1].strip()
            cause = good_cause(said, self.causes)
            if cause:
                self.not_run[name] = cause
            else:
                self.unjudged[name] = said
        elif SECONDS.search(rest):
            self.passed.append(name)
        else:
            self.failed[name] = [rest]
            self.last = name
        return True

    def judge_failures(self):
        """Once check has ended: it says that a test has failed before it keeps what that said."""
        for name in [name for name in self.failed if self.fails_as_known(name)]:
            del self.failed[name]
            self.known[name] = self.known_here[name][1]

    def fails_as_known(self, name):
        """And in no other way: each line that is too many says so."""
        if name not in self.known_here:
            return False
        lines = unexpected(self.suite, name)
        return lines and all(re.search(self.known_here[name][0], line) for line in lines)

    def done(self):
        return {*self.passed, *self.failed, *self.known, *self.not_run, *self.unjudged}


def lines_of(process, limit_s):
    """Lines of its output; None once it was silent for so long, which ends it."""
    os.set_blocking(process.stdout.fileno(), False)
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(limit_s):
                yield None
                return
            read = process.stdout.read()
            if not read:
                yield text.decode(errors="replace")
                return
            *lines, text = (text + read).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")


def run_check(suite, names, results):
    """One run of check, which may end early at a test that does not end."""
    words = ["bash", "./check", "--exact-order", *[f"generic/{name}" for name in names]]
    with subprocess.Popen(words, cwd=suite, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        start = time.monotonic()
        for line in lines_of(process, LIMIT_S):
            if line is None:
                os.killpg(process.pid, signal.SIGKILL)
                return True
            print(f"[{time.monotonic() - start:.0f}] {line}", flush=True)
            results.take(line)
    return False


def run(suite, names):
    requirements = read_list(LISTS / "not-applying")
    results = Results(read_list(LISTS / "not-run-causes"), read_list(LISTS / "known-failures"),
                      suite)
    for name in names:
        cause = left_out(suite, name, requirements)
        if cause:
            results.not_run[name] = cause
    left = [name for name in names if name not in results.not_run]
    while left:
        late = run_check(suite, left, results)
        left = [name for name in left if name not in results.done()]
        if not late:
            break
        results.failed[left.pop(0)] = [f"no sign of life for {LIMIT_S} s"]
    for name in left:
        results.failed[name] = ["left no line"]
    results.judge_failures()
    return results


def summary(names, results):
    causes = collections.Counter(results.not_run.values())
    bad = len(results.failed) + len(results.unjudged)
    return {
        "operations": {"run": len(results.passed) + len(results.failed) + len(results.known),
                       "passed": len(results.passed)},
        "counts": {"tests": len(names), "failed": len(results.failed),
                   "failed, known": len(results.known),
                   "not run": len(results.not_run) + len(results.unjudged),
                   "not run, for no good cause": len(results.unjudged),
                   **{f"not run: {cause}": n for cause, n in sorted(causes.items())}},
        "differences": bad, "passed_tests": sorted(results.passed),
        "failed_tests": sorted(results.failed),
        "known_failures": dict(sorted(results.known.items())),
        "not_run_tests": dict(sorted(results.not_run.items())),
        "unjudged_tests": dict(sorted(results.unjudged.items())),
    }


def choose(suite, group, part, without=()):
    """Every N-th test of a group, by the suite's own lists of groups, but for these."""
    names = []
    for path in sorted((suite / "tests/generic").glob("[0-9]*[0-9]")):
        match = re.search(r"^_begin_fstest (.*)$", path.read_text(errors="replace"), re.MULTILINE)
        if match and (group == "all" or group in match[1].split()):
            names.append(path.name)
    number, count = map(int, part.split("/"))
    names = [name for name in names[number - 1::count] if name not in without]
    return sorted(names, key=LAST.__contains__)


def main(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--group", default="auto")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--without", action="append", default=[], metavar="NAME")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args(words)
    suite = args.suite.resolve()
    names = args.name or choose(suite, args.group, args.part, args.without)
    if not names:
        parser.error("no test chosen")
    result = summary(names, run(suite, names))
    args.out.write_text(json.dumps({**result, **machine.describe()}))
    return 1 if result["differences"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
