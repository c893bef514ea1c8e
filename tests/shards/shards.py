#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run long suites in shards, and add up what they have shown.

  ci/shards SUITE [SHARD...]          run the shards that docs/results lacks, or these
  ci/shards --trial 5000 SUITE SHARD  a short one, of so many operations: only printed
  ci/shards --report [SUITE...]       add up, and judge against the bars
  ci/shards --list                    the suites

A suite is tests/shards/SUITE.toml. Shard k runs its command with seed k. A shard that ran
to its end, well or not, leaves one line in docs/results/SUITE.jsonl, with a hash of the
sources that count (those that begin with ! do not). Only lines of the present hash count; they stay valid as long as
those sources do not change, whatever else is committed. So a run that was interrupted goes
on where it stopped, and a shard that failed is not run again until something was changed.

Exit status: 0 done, or all bars are met; 1 a shard failed or did not end, one is missing,
or a bar is not met; 2 wrong use, local changes in the sources, or a damaged file.
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import tomllib

TOP = pathlib.Path(__file__).resolve().parents[2]
# what the runner itself says in a line; all else is the shard's own result
OWN = ("suite", "shard", "seed", "commit", "sources", "status", "seconds")


class Unusable(Exception):
    """What a person has to put right first; the text says how."""


def note(text):
    print(f"shards: {text}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------ suites

class Suite:
    """What tests/shards/NAME.toml says."""

    def __init__(self, name, top=TOP):
        self.name, self.top = name, pathlib.Path(top)
        path = self.top / "tests/shards" / f"{name}.toml"
        try:
            self.__dict__.update(tomllib.loads(path.read_text()))
            self.results = self.top / "docs/results" / f"{name}.jsonl"
            self.shard, self.bars["operations_each"]  # pylint: disable=pointless-statement
        except FileNotFoundError:
            raise Unusable(f"there is no suite {name}; see ci/shards --list") from None
        except (tomllib.TOMLDecodeError, AttributeError, KeyError) as err:
            raise Unusable(f"{path}: {err!r}") from None

    def git(self, *words, stdin=None):
        return subprocess.run(["git", "-C", str(self.top), *words], input=stdin, text=True,
                              check=True, stdout=subprocess.PIPE).stdout

    def check_clean(self):
        changed = self.git("status", "--porcelain", "--", *(
            f":!{source[1:]}" if source.startswith("!") else source for source in self.sources))
        if changed:
            raise Unusable(f"commit these first, their results could not be told apart:\n"
                           f"{changed.rstrip()}")

    def hash(self):
        """Of the names and contents of all files that count, as they lie in the tree."""
        names, without = set(), set()
        for source in self.sources:
            found = self.git("ls-files", "--", source.removeprefix("!")).splitlines()
            if not found:
                raise Unusable(f"{self.name}: no file is {source}")
            (without if source.startswith("!") else names).update(found)
        names = sorted(names - without)
        blobs = self.git("hash-object", "--stdin-paths", stdin="\n".join(names) + "\n").split()
        text = "".join(f"{blob} {name}\n" for blob, name in zip(blobs, names))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def numbers(self):
        return range(1, len(self.shard) + 1)


def suite_names(top=TOP):
    return sorted(path.stem for path in (pathlib.Path(top) / "tests/shards").glob("*.toml"))


# ----------------------------------------------------------------------- results

def check_line(line):
    """A line that somebody could have damaged; the words of what is wrong, or None."""
    if not isinstance(line, dict):
        return "it is no object"
    for key, kind in (("shard", int), ("sources", str), ("status", int), ("differences", int),
                      ("seconds", int), ("operations", dict), ("counts", dict)):
        if not isinstance(line.get(key), kind):
            return f"{key} is not there, or of another kind"
    for group in ("operations", "counts"):
        for name, value in line[group].items():
            if not isinstance(value, int) or value < 0:
                return f"{group}.{name} is no number"
    return None


def read_lines(path):
    lines = []
    if not path.exists():
        return lines
    for number, text in enumerate(path.read_text().splitlines(), 1):
        try:
            line = json.loads(text)
            wrong = check_line(line)
        except ValueError as err:
            line, wrong = None, str(err)
        if wrong:
            raise Unusable(f"{path}:{number}: {wrong}; take the line out, or restore it")
        lines.append(line)
    return lines


def failed(line):
    return line["status"] != 0 or line["differences"] != 0


def add_up(lines, group):
    sums = {}
    for line in lines:
        for name, value in line[group].items():
            sums[name] = sums.get(name, 0) + value
    return sums


def judge(suite, lines, sources):
    """All that the report says, of lines of any hash."""
    present = [line for line in lines if line["sources"] == sources]
    # of shards that were run more than once, the last one counts, but each failure does
    shards = {line["shard"]: line for line in present}
    counted = [shards[k] for k in suite.numbers() if k in shards]
    operations, counts = add_up(counted, "operations"), add_up(counted, "counts")
    bars = [{"name": name, "want": suite.bars["operations_each"],
             "got": operations.get(name, 0)} for name in suite.operations]
    bars += [{"name": name, "want": want, "got": counts.get(name, 0)}
             for name, want in suite.bars.get("at_least", {}).items()]
    for bar in bars:
        bar["met"] = bar["got"] >= bar["want"]
    report = {
        "suite": suite.name, "sources": sources,
        "shards": len(suite.shard), "foreign": len(lines) - len(present),
        "missing": [k for k in suite.numbers() if k not in shards],
        "failed": sorted({line["shard"] for line in present if failed(line)}),
        "differences": sum(line["differences"] for line in present),
        "seconds": sum(line["seconds"] for line in counted),
        "commits": sorted({line.get("commit", "") for line in counted}),
        "kernels": sorted({line.get("kernel", "") for line in counted}),
        "operations": operations, "counts": counts, "bars": bars,
    }
    report["met"] = (not report["missing"] and not report["failed"] and
                     all(bar["met"] for bar in bars))
    return report


def print_report(report, out=sys.stdout):
    def say(text):
        print(text, file=out)

    say(f"{report['suite']}: {report['shards'] - len(report['missing'])} of {report['shards']} "
        f"shards of sources {report['sources']}, {report['seconds']} s, "
        f"kernels {', '.join(report['kernels']) or 'none'}; {report['foreign']} of other sources")
    for bar in report["bars"]:
        say(f"  {bar['name']:<28} {bar['got']:>12}  at least {bar['want']:>9}  "
            f"{'met' if bar['met'] else 'NOT MET'}")
    for name, value in report["counts"].items():
        if name not in {bar["name"] for bar in report["bars"]}:
            say(f"  {name:<28} {value:>12}")
    say(f"  {'differences':<28} {report['differences']:>12}  at most          0  "
        f"{'NOT MET' if report['differences'] else 'met'}")
    if report["missing"]:
        say(f"  MISSING: shards {' '.join(map(str, report['missing']))}; "
            f"run ci/shards {report['suite']}")
    if report["failed"]:
        say(f"  FAILED: shards {' '.join(map(str, report['failed']))}")
    say(f"  {'all bars are met' if report['met'] else 'NOT ALL BARS ARE MET'}")


def report_all(names, as_json, top=TOP, out=sys.stdout):
    reports = []
    for name in names:
        suite = Suite(name, top)
        suite.check_clean()
        reports.append(judge(suite, read_lines(suite.results), suite.hash()))
    if as_json:
        json.dump(reports, out, indent=1)
        print(file=out)
    else:
        for report in reports:
            print_report(report, out)
    return 0 if all(report["met"] for report in reports) else 1


# --------------------------------------------------------------------------- run

def run_command(words, limit_s, cwd):
    """Its exit status, or None: it was ended at the limit."""
    with subprocess.Popen(words, cwd=cwd, stdin=subprocess.DEVNULL,
                          start_new_session=True) as process:
        try:
            return process.wait(limit_s)
        except BaseException as err:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(err, subprocess.TimeoutExpired):
                return None
            raise


def append_line(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def run_shard(suite, number, sources, trial):
    """True: it ran well to its end."""
    out = suite.top / "build/shards" / suite.name / str(number)
    out.mkdir(parents=True, exist_ok=True)
    result = out / "result.json"
    result.unlink(missing_ok=True)
    values = {"seed": number, "out": out, **suite.shard[number - 1],
              **({"ops": trial} if trial else {})}
    words = [word.format_map(values) for word in suite.command]
    note(f"{suite.name} {number} of {len(suite.shard)}: {' '.join(words)}")
    start = time.monotonic()
    status = run_command(words, suite.limit_s, suite.top)
    seconds = int(time.monotonic() - start)
    if status is None:
        note(f"{suite.name} {number}: no end within {suite.limit_s} s; nothing is kept of it")
        return False
    own = {"operations": {}, "counts": {}, "differences": 0}
    if result.exists():
        own.update(json.loads(result.read_text()))
    elif status not in suite.failed_status:
        note(f"{suite.name} {number}: ended with {status} and without a result; "
             "nothing is kept of it")
        return False
    line = dict(zip(OWN, (suite.name, number, number, suite.git("rev-parse", "HEAD").strip(),
                          sources, status, seconds)))
    line.update({key: value for key, value in own.items() if key not in OWN})
    wrong = check_line(line)
    if wrong:
        raise Unusable(f"{result}: {wrong}")
    if trial:
        print(json.dumps(line, indent=1), flush=True)
        return not failed(line)
    if suite.hash() != sources:
        raise Unusable("the sources have changed meanwhile; nothing is kept")
    append_line(suite.results, line)
    note(f"{suite.name} {number}: {'FAILED' if failed(line) else 'done'}, {seconds} s")
    return not failed(line)


def run_suite(name, numbers, trial, top=TOP):
    suite = Suite(name, top)
    if not trial:
        suite.check_clean()
    unknown = [k for k in numbers if k not in suite.numbers()]
    if unknown:
        raise Unusable(f"{name} has shards 1 to {len(suite.shard)}, not {unknown[0]}")
    build = suite.top / "build"
    build.mkdir(exist_ok=True)
    with open(build / ".lock-shards", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if run_command(["sh", "-ec", suite.build], None, suite.top):
            raise Unusable(f"this failed: {suite.build}")
        sources = suite.hash()
        good = True
        for number in numbers or suite.numbers():
            lines = read_lines(suite.results) if not trial else []
            known = [line for line in lines
                     if line["shard"] == number and line["sources"] == sources]
            if known:
                bad = any(map(failed, known))
                note(f"{name} {number}: {'has failed' if bad else 'is done'} with these sources")
                good = good and not bad
                continue
            good = run_shard(suite, number, sources, trial) and good
    return 0 if good else 1


def parse(words):
    parser = argparse.ArgumentParser(prog="ci/shards", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", metavar="SUITE [SHARD...]")
    parser.add_argument("--report", action="store_true", help="only add up and judge")
    parser.add_argument("--list", action="store_true", help="only print the suites' names")
    parser.add_argument("--json", action="store_true", help="the report, for programs")
    parser.add_argument("--trial", type=int, metavar="N",
                        help="run with N operations instead, and only print the result")
    args = parser.parse_args(words)
    if not args.report and not args.list and not args.suite:
        parser.error("which SUITE? see --list")
    if args.json and not args.report:
        parser.error("--json belongs to --report")
    if args.trial is not None and args.trial < 1:
        parser.error("--trial wants a positive number")
    return args, parser


def main(words):
    args, parser = parse(words)
    try:
        if args.list:
            for name in suite_names():
                print(f"{name:<20} {Suite(name).what}")
            return 0
        if args.report:
            return report_all(args.suite or suite_names(), args.json)
        if not all(word.isdecimal() for word in args.suite[1:]):
            parser.error("shards are numbers")
        return run_suite(args.suite[0], [int(word) for word in args.suite[1:]], args.trial)
    except Unusable as err:
        note(err)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
