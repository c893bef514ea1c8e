#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of report.py: python3 tests/bench/test_report.py"""

import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import report  # noqa: E402  (the path comes first)

BOOT = {"boot": "b1", "kernel": "6.1.0", "accel": "tcg", "topology": "2x1",
        "boot_options": "quiet"}
COMMON = {"commit": "abc", "dirty": False, "build_options": "-O2"}


def measured(system, iops, workload="randwrite-4k-dsync", boot="b1", topology="2x1", **more):
    values = {"system": system, "workload": workload, "threads": 1, "files": 1, "iops": iops,
              "lat_mean_us": 1e6 / iops, "lat_p99_us": 2e6 / iops, **more}
    return report.row_of({**BOOT, "boot": boot, "topology": topology}, COMMON, values)


def counted(workload, counter, per_op, boot="b1", topology="2x1", system=None):
    return report.row_of({**BOOT, "boot": boot, "topology": topology}, COMMON, {
        "system": system or report.COUNT_WORKLOADS[workload], "workload": workload,
        "threads": 1, "files": 1, "counter": counter, "per_op": per_op})


def roundtrip(system, mean_us, **more):
    return measured(system, 1e6 / mean_us, workload="roundtrip", files=0, **more)


def leased_rows(run, leased, reads, library, **where):
    """One run: peers are DAX at 50000, of which one is faster, and null-dax at 65000."""
    rows = []
    for threads, files in ((1, 1), (2, 1), (2, 2), (4, 1)):
        more = {"threads": threads, "files": files, "run": run, **where}
        for workload, mine in (("randwrite-4k-dsync", leased), ("randread-4k", reads)):
            more["workload"] = workload
            rows.append(measured("nullfs-leased", mine, **more))
            rows.append(measured("nullfs-leased-library", library, **more))
            rows.append(measured("null-dax", 65000.0, **more))
            rows.append(measured("ext4-dax", 50000.0, **more))
            rows.append(measured("xfs-dax", 40000.0, **more))
    return rows


def whole_boot(boot, topology, fuse=2000.0, call=9000.0, done=6000.0, nop=50.0, pipe=60.0,
               switches=2.0, leased=64000.0, reads=60000.0, library=50000.0,
               cow=0.7):
    """Five runs of all that the bars look at."""
    where = {"boot": boot, "topology": topology}
    rows = [row for run in range(1, report.RUNS + 1)
            for row in leased_rows(run, leased, reads, library, **where)]
    for run in range(1, report.RUNS + 1):
        rows.append(roundtrip("null-op", nop, run=run, **where))
        rows.append(roundtrip("pipe-pingpong", pipe, run=run, **where))
        for threads in (1, 2):
            more = {"threads": threads, "run": run, **where}
            rows.append(measured("fuse-null", fuse, **more))
            rows.append(measured("fuse-null-pinned", fuse * 0.8, **more))
            rows.append(measured("nullfs-call", call, **more))
            rows.append(measured("nullfs-call-done", done, **more))
            rows.append(measured("nullfs-cow-word", 10000.0, **more))
            rows.append(measured("nullfs-cow-done", 10000.0 * cow, **more))
    for workload in report.COUNT_WORKLOADS:
        for counter in report.COUNT_BARS:
            value = switches if counter == "context_switches" else 0.0
            rows.append(counted(workload, counter, value, **where))
    return rows


def three_boots(**more):
    return [row for index, topology in enumerate(report.TOPOLOGIES)
            for row in whole_boot(f"b{index}", topology, **more)]


def words(rows):
    return {(where.split()[0], bar): word for where, bar, word, _ in report.verdicts(rows)}


class Rows(unittest.TestCase):
    def test_has_exactly_the_fields(self):
        self.assertEqual(list(measured("toyfs", 1.0)), list(report.FIELDS))

    def test_unknown_field_is_refused(self):
        with self.assertRaises(report.BadResults):
            measured("toyfs", 1.0, colour="red")

    def test_missing_field_is_refused(self):
        with self.assertRaises(report.BadResults):
            report.row_of(BOOT, COMMON, {"system": "toyfs", "iops": 1.0})

    def test_half_measured_is_refused(self):
        row = measured("toyfs", 1.0)
        row["lat_p99_us"] = None
        with self.assertRaises(report.BadResults):
            report.check_row(row)

    def test_measured_and_counted_is_refused(self):
        with self.assertRaises(report.BadResults):
            measured("toyfs", 1.0, counter="migrations", per_op=0.0)


class Collect(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.raw = pathlib.Path(self.tmp.name)
        self.addCleanup(self.tmp.cleanup)
        (self.raw / "boot.meta").write_text(
            "".join(f"{key}={value}\n" for key, value in BOOT.items()), encoding="utf-8")

    def fio_run(self, error=0, writes=10):
        side = {"total_ios": 0, "iops": 0, "lat_ns": {}}
        write = {"total_ios": writes, "iops": 1234.5,
                 "lat_ns": {"mean": 2000.0, "percentile": {"99.000000": 7000}}}
        (self.raw / "001.json").write_text(
            "note: a line of fio before its output\n" +
            json.dumps({"jobs": [{"error": error, "read": side, "write": write}]}),
            encoding="utf-8")
        (self.raw / "001.run").write_text(
            "system=toyfs\nworkload=randwrite-4k-osync\nthreads=2\nfiles=1\nrun=3\nseed=7\n"
            "mount_options=rw,mode=call\nfio=001.json\n", encoding="utf-8")

    def test_fio(self):
        self.fio_run()
        row, = report.collect_boot(self.raw, {**COMMON, "dirty": True})
        self.assertEqual(row["iops"], 1234.5)
        self.assertEqual((row["lat_mean_us"], row["lat_p99_us"]), (2.0, 7.0))
        self.assertEqual((row["threads"], row["run"], row["seed"]), (2, 3, 7))
        self.assertEqual(row["mount_options"], "rw,mode=call")
        self.assertIs(row["dirty"], True)
        self.assertIsNone(row["counter"])

    def test_fio_error_is_refused(self):
        self.fio_run(error=5)
        with self.assertRaises(report.BadResults):
            report.collect_boot(self.raw, COMMON)

    def test_fio_without_io_is_refused(self):
        self.fio_run(writes=0)
        with self.assertRaises(report.BadResults):
            report.collect_boot(self.raw, COMMON)

    def test_rows(self):
        (self.raw / "002.rows").write_text(
            '{"system": "null-op", "workload": "count-nop", "threads": 1, "files": 1, '
            '"counter": "migrations", "per_op": 0.5}\n', encoding="utf-8")
        (self.raw / "002.run").write_text("run=1\nrows=002.rows\n", encoding="utf-8")
        row, = report.collect_boot(self.raw, COMMON)
        self.assertEqual((row["counter"], row["per_op"], row["iops"]),
                         ("migrations", 0.5, None))

    def test_nothing_measured_is_refused(self):
        with self.assertRaises(report.BadResults):
            report.collect_boot(self.raw, COMMON)

    def test_file_is_replaced(self):
        path = self.raw / "results.json"
        report.save([measured("toyfs", 1.0), measured("toyfs", 2.0)], path)
        report.save([measured("toyfs", 3.0)], path)
        self.assertEqual([row["iops"] for row in report.load(path)], [3.0])


class Medians(unittest.TestCase):
    def test_median_of_five(self):
        rows = [measured("toyfs", iops, run=run)
                for run, iops in enumerate((5.0, 1.0, 3.0, 100.0, 2.0))]
        med = report.medians(rows)[("toyfs", "randwrite-4k-dsync", 1, 1)]
        self.assertEqual((med["iops"], med["runs"]), (3.0, 5))

    def test_never_across_boots(self):
        with self.assertRaises(report.BadResults):
            report.medians([measured("toyfs", 1.0), measured("toyfs", 1.0, boot="b2")])

    def test_ratio_only_within_a_boot(self):
        rows = [measured("toyfs", 8000.0), measured("fuse-null", 2000.0, boot="b2")]
        out = io.StringIO()
        report.table(rows, out)
        line, = [line for line in out.getvalue().splitlines() if line.startswith("  toyfs")]
        self.assertEqual(line.split()[-2:], ["-", "-"])

    def test_ratio_to_the_better_fuse(self):
        rows = [measured("toyfs", 8000.0), measured("fuse-null", 2000.0),
                measured("fuse-null-pinned", 4000.0), measured("xfs-dax", 16000.0)]
        out = io.StringIO()
        report.table(rows, out)
        line, = [line for line in out.getvalue().splitlines() if line.startswith("  toyfs")]
        self.assertEqual(line.split()[-2:], ["2.00", "0.50"])


class Bars(unittest.TestCase):
    def test_all_pass(self):
        out = io.StringIO()
        self.assertTrue(report.bars(three_boots(), out))
        self.assertTrue(out.getvalue().endswith(" passed, 0 failed\n"))

    def test_slow_nop(self):
        found = words(three_boots(nop=54.1))
        self.assertEqual(found[("2x1", "NOP round <= 0.9 x pipe")], "FAIL")

    def test_slow_call(self):
        found = words(three_boots(call=7999.0))
        self.assertEqual(found[("1x4", "nullfs-call >= 4.0 x FUSE, 1 thr")], "FAIL")
        self.assertEqual(found[("1x4", "nullfs-call-done >= 2.5 x FUSE, 1 thr")], "PASS")

    def test_slow_leased_write(self):
        found = words(three_boots(leased=62000.0))
        bar = "leased randwrite-4k-dsync {} thr {} file >= {}"
        self.assertEqual(found[("2x1", bar.format(2, 2, "1.25 x DAX"))], "FAIL")
        self.assertEqual(found[("2x1", bar.format(2, 1, "1.2 x DAX"))], "PASS")
        self.assertEqual(found[("2x1", bar.format(1, 1, "25.0 x FUSE"))], "PASS")
        found = words(three_boots(leased=49000.0))
        self.assertEqual(found[("2x1", bar.format(1, 1, "25.0 x FUSE"))], "FAIL")
        self.assertEqual(found[("2x1", bar.format(1, 1, "0.9 x null-dax"))], "FAIL")

    def test_slow_leased_read(self):
        found = words(three_boots(reads=47000.0))
        self.assertEqual(found[("1x4", "leased randread-4k 1 thr 1 file >= 0.95 x DAX")], "FAIL")

    def test_own_copy_no_faster_than_the_library(self):
        found = words(three_boots(library=60000.0))
        bar = "leased randwrite-4k-dsync 4 thr 1 file >= 1.1 x nullfs-leased-library"
        self.assertEqual(found[("1x4", bar)], "FAIL")
        self.assertEqual(found[("2x2", bar)], "FAIL")
        self.assertNotIn(("2x1", bar), found)  # two CPUs

    def test_one_trip_is_not_much_shorter(self):
        found = words(three_boots(cow=0.76))
        self.assertEqual(found[("2x2", "one trip < 0.75 x two trips")], "FAIL")
        found = words([row for row in three_boots() if row["system"] != "nullfs-cow-done"])
        self.assertEqual(found[("2x1", "one trip < 0.75 x two trips")], "NOT RUN")

    def test_both_dax_must_be_measured(self):
        rows = [row for row in three_boots() if row["system"] != "xfs-dax"]
        self.assertEqual(words(rows)[("2x1", "leased randread-4k 1 thr 1 file >= 0.95 x DAX")],
                         "NOT RUN")

    def test_counter_over_the_bar(self):
        found = words(three_boots(switches=2.03))
        self.assertEqual(found[("2x2", "count-map: context_switches <= 2.02")], "FAIL")

    def test_counts_of_a_peer_do_not_judge_us(self):
        rows = three_boots() + [counted("count-map", "migrations", 1.0, boot="b0",
                                        system="fuse-null-pinned")]
        self.assertTrue(report.bars(rows, io.StringIO()))

    def test_four_runs_are_not_five(self):
        rows = [row for row in three_boots()
                if not (row["system"] == "nullfs-call" and row["run"] == 5)]
        self.assertEqual(words(rows)[("2x1", "nullfs-call >= 4.0 x FUSE, 1 thr")], "NOT RUN")
        self.assertFalse(report.bars(rows, io.StringIO()))

    def test_fuse_must_be_measured_both_ways(self):
        rows = [row for row in three_boots() if row["system"] != "fuse-null-pinned"]
        self.assertEqual(words(rows)[("2x1", "nullfs-call >= 4.0 x FUSE, 1 thr")], "NOT RUN")

    def test_missing_topology(self):
        rows = [row for row in three_boots() if row["topology"] != "1x4"]
        self.assertEqual(words(rows)[("1x4", "all bars")], "NOT RUN")
        self.assertFalse(report.bars(rows, io.StringIO()))

    def test_missing_counter(self):
        rows = [row for row in three_boots() if row["counter"] != "migrations"]
        self.assertEqual(words(rows)[("2x1", "count-nop: migrations <= 0.001")], "NOT RUN")

    def test_dirty_tree_is_told(self):
        rows = three_boots()
        for row in rows:
            row["dirty"] = True
        out = io.StringIO()
        report.bars(rows, out)
        self.assertIn("local changes", out.getvalue())

    def test_no_rows_do_not_pass(self):
        self.assertFalse(report.bars([], io.StringIO()))


class Plot(unittest.TestCase):
    def test_script_draws_one_boot(self):
        rows = [measured("toyfs", 8000.0), measured("fuse-null", 2000.0),
                measured("xfs-dax", 1.0, boot="b2")]
        script = report.plot_script(rows, "out.svg")
        self.assertIn("toyfs 8000.0", script)
        self.assertNotIn("xfs-dax", script)

    def test_nothing_to_plot(self):
        with self.assertRaises(report.BadResults):
            report.plot_script([roundtrip("null-op", 1.0)], "out.svg")


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad))
