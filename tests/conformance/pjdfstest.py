#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run files of pjdfstest in the current folder, and write down how each test ended.

  pjdfstest.py --suite DIR --out RESULT.json [--part K/N | NAME...]

NAME is like chmod/00. Part K of N has every N-th file of the sorted list. A test is one
line of a file's output; a file that the suite leaves by itself, because it wants another
system, is one test that was not run, with what it wants as the cause. The shell is busybox's, whose own
tail, grep and awk save most of the time that an emulated machine needs to start them.
Exit status: 0 every test that was run passed, 1 one failed, 2 wrong use.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import machine

LIMIT_S = 1200
LINE = re.compile(r"(not )?ok\b *(\d+)?(.*)")
PLAN = re.compile(r"1\.\.(\d+)$")
# In the order in which a file asks: the suite's words for what Linux does not have, or
# what it asks of some filesystems alone
GUARDS = (
    (r"^require chflags_SF_SNAPSHOT", "wants UFS, for its snapshot flag"),
    (r"^require chflags", "wants chflags(2)"),
    (r"^require posix_fallocate", "is for FreeBSD's posix_fallocate(2)"),
    (r"^require rename_ctime", "is asked of EXT4, UFS and ZFS alone: ctime after rename(2)"),
    (r"^require stat_st_birthtime", "wants st_birthtime of stat(2)"),
    (r'FreeBSD:UFS"? *\] \|\| quick_exit', "wants UFS"),
    (r'FreeBSD:ZFS"? *\] \|\| quick_exit', "wants ZFS and its ACLs"),
    (r'FreeBSD"? *\] \|\| quick_exit', "is for FreeBSD"),
    (r"^nfsv4acls \|\| quick_exit", "wants NFSv4 ACLs"),
    (r"^FreeBSD:UFS\)|^FreeBSD:ZFS\)|^\tquick_exit", "wants FreeBSD, for its flags"),
)


def cause_of(text):
    """What a file wants that left itself."""
    for pattern, cause in GUARDS:
        if re.search(pattern, text, re.MULTILINE):
            return cause
    return None


def judge_file(source, output, status):
    """(passed, todo, failures, cause) of one file; cause: it was not run."""
    plan, seen, passed, todo, failures = None, 0, 0, 0, []
    for line in output.splitlines():
        match = PLAN.match(line)
        if match:
            plan = int(match[1])
            continue
        match = LINE.match(line)
        if not match:
            if line.startswith("Bail out!"):
                failures.append("bailed out")
            continue
        seen += 1
        if not match[1]:
            passed += 1
        elif "# TODO" in match[3]:
            todo += 1
        else:
            failures.append(f"{match[2] or seen}{match[3]}")
    if plan == 1 and seen == 1 and not failures and not re.search(r'^echo "1\.\.1"', source,
                                                                  re.MULTILINE):
        cause = cause_of(source)
        return 0, 0, [] if cause else ["left itself, for no known cause"], cause
    if plan is None:
        failures.append("printed no plan")
    elif plan != seen:
        failures.append(f"{seen} lines of a plan of {plan}")
    if status != 0:
        failures.append("no end in time" if status is True else f"ended with {status}")
    return passed, todo, failures, None


def run_file(path):
    """What it printed, and its exit status, or True: it did not end."""
    with subprocess.Popen(["busybox", "sh", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
            return output, process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return output, True


def choose(tests, part, names):
    files = sorted(path for path in tests.rglob("*.t"))
    if names:
        return [tests / f"{name}.t" for name in names]
    number, count = map(int, part.split("/"))
    return files[number - 1::count]


def run(tests, files):
    sums, causes, failed = collections.Counter(), collections.Counter(), []
    for path in files:
        name = str(path.relative_to(tests).with_suffix(""))
        home = pathlib.Path(name.replace("/", "-"))
        home.mkdir()
        os.chdir(home)
        start = time.monotonic()
        output, status = run_file(path)
        os.chdir("..")
        subprocess.run(["rm", "-rf", str(home)], check=False)
        passed, todo, failures, cause = judge_file(path.read_text(), output, status)
        sums.update(passed=passed, todo=todo, failed=len(failures))
        if cause:
            causes[cause] += 1
        failed += [f"{name}: {text}" for text in failures]
        print(f"{'not ok' if failures else 'ok'} - {name} ({time.monotonic() - start:.1f} s)"
              f"{' # SKIP ' + cause if cause else f', {passed} passed'}", flush=True)
        for text in failures:
            print(f"#   {text}", flush=True)
    return {
        "operations": {"run": sums["passed"] + sums["todo"] + sums["failed"],
                       "passed": sums["passed"]},
        "counts": {"files": len(files), "failed": sums["failed"],
                   "failed as the suite expects of Linux": sums["todo"],
                   "files not run": sum(causes.values()),
                   **{f"files not run: {cause}": n for cause, n in sorted(causes.items())}},
        "differences": sums["failed"], "failed_tests": failed,
    }


def main(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("name", nargs="*")
    args = parser.parse_args(words)
    tests = args.suite.resolve() / "tests"
    out = args.out.resolve()
    files = choose(tests, args.part, args.name)
    missing = [str(path) for path in files if not path.exists()]
    if missing or not files:
        parser.error(f"no such test: {' '.join(missing) or 'none chosen'}")
    result = run(tests, files)
    out.write_text(json.dumps({**result, **machine.describe()}))
    return 1 if result["differences"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
