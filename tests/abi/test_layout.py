#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Headers keep what older versions of them promised: python3 tests/abi/test_layout.py

Each structure of the older header is in today's, with its fields at their places and of
their types, and is no shorter; what was reserved may have got a name. Each number is
what it was. Where fields are and what numbers are worth the compiler says.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
VERSIONS = TOP / "tests/abi/versions"
HEADERS = ("api/zus_api.h", "api/zufs_media.h", "zus/include/zus.h")

# Structures that may grow at their end: a message's fixed part, whose size it tells;
# in zus.h what libzus alone allocates, or has by its size. None else: they stand in
# arrays, in other structures, or in the number of an ioctl.
MAY_GROW = {
    "api/zus_api.h": re.compile(r"zufs_\w+_(in|out)"),
    "api/zufs_media.h": re.compile(r"(?!)"),
    "zus/include/zus.h": re.compile(
        r"zus_(mount|mount_out|statfs|create_open|rename_out|setattr|setxattr|create|rename"
        r"|map|map_done|write|fsync|fallocate|copy|ioctl|plugin|\w+_ops)"),
}

PROGRAM = """
#include <stdio.h>
#include <stddef.h>
#include "{header}"
static void number(const char *name, long long value) {{ printf("%s = %lld\\n", name, value); }}
static void text(const char *name, const char *value) {{ printf("%s = \\"%s\\"\\n", name, value); }}
#define SHOW(x) _Generic((x), char *: text, default: number)(#x, x)
#define SIZE(s) number(#s, sizeof(struct s))
#define FIELD(s, f) \\
	printf("%s.%s = %zu %zu\\n", #s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f))
int main(void)
{{
{calls}
	return 0;
}}
"""


def uncommented(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def structures(text):
    """{name: {field: type}}"""
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", uncommented(text), re.S | re.M):
        fields = found[name] = {}
        for member in filter(None, (m.strip() for m in body.split(";"))):
            member = " ".join(member.split())
            match = (re.fullmatch(r"(.*\(\*)(\w+)(\).*)", member) or
                     re.fullmatch(r"([\w ]+?[ *]+)(\w+)((?:\[.*\])?)", member))
            if not match:
                raise ValueError(f"struct {name}: {member}")
            fields[match[2]] = match[1] + match[3]
    return found


def numbers(text):
    """Names of macros that have a value, and of enum's members."""
    text = uncommented(text).replace("\\\n", " ")
    values = re.findall(r"^#define (ZU\w+)[ \t]+(?!__attribute__|\.|ZUS_PLUGIN_ABI_MAJOR,)\S",
                        text, re.M)
    for body in re.findall(r"^enum \w+ \{(.*?)\}", text, re.S | re.M):
        values += re.findall(r"\bZU\w+(?=\s*[,=\s])", body)
    return values


def facts(text, include):
    """{what: value as the compiler has it} of a header's text."""
    calls = [f"SHOW({name});" for name in numbers(text)]
    for name, fields in structures(text).items():
        calls.append(f"SIZE({name});")
        calls += [f"FIELD({name}, {field});" for field in fields]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "header.h").write_text(text)
        (folder / "facts.c").write_text(PROGRAM.format(header="header.h",
                                                       calls="\n".join(calls)))
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", f"-I{include}", "-o",
                        folder / "facts", folder / "facts.c"], check=True)
        out = subprocess.run([folder / "facts"], check=True, capture_output=True, text=True)
    return dict(line.split(" = ", 1) for line in out.stdout.splitlines())


def number_kept(name, old, new):
    if name.endswith("_ALL"):
        return not int(old) & ~int(new)
    if name.endswith(("_MINOR", "_COUNT")):
        return int(old) <= int(new)
    return old == new


def field_kept(name, what, old, new):
    """old, new: (structures, facts)"""
    (old_structs, old_facts), (new_structs, new_facts) = old, new
    if what not in new_structs[name]:
        return what.startswith("reserved")
    return (old_facts[f"{name}.{what}"] == new_facts[f"{name}.{what}"] and
            old_structs[name][what] == new_structs[name][what]) or what.startswith("reserved")


def lost(header, old_text, new_text, old_include, new_include):
    """What the older header promised and the newer one does not keep."""
    old = structures(old_text), facts(old_text, old_include)
    new = structures(new_text), facts(new_text, new_include)
    found = []
    for name in numbers(old_text):
        if name not in new[1]:
            found.append(f"{name} is gone")
        elif not number_kept(name, old[1][name], new[1][name]):
            found.append(f"{name} was {old[1][name]}, is {new[1][name]}")
    for name, fields in old[0].items():
        if name not in new[0]:
            found.append(f"struct {name} is gone")
            continue
        size, now = int(old[1][name]), int(new[1][name])
        if now < size or (now > size and not MAY_GROW[header].fullmatch(name)):
            found.append(f"struct {name} had {size} bytes, has {now}")
        found += [f"struct {name}: {field} was {fields[field]} at {old[1][f'{name}.{field}']},"
                  f" is {new[0][name].get(field, 'gone')} at"
                  f" {new[1].get(f'{name}.{field}', '-')}"
                  for field in fields if not field_kept(name, field, old, new)]
    return found


def versions():
    """[(version, folder of its sources)]"""
    lines = (line.split("#")[0].split() for line in VERSIONS.read_text().splitlines())
    return [(line[0], TOP / "build/abi" / line[0] / "tree") for line in lines if line]


def gaps(text, include):
    """Structures with bytes that no field names, or that another alignment would move."""
    known, found = facts(text, include), []
    for name, fields in structures(text).items():
        end = 0
        for field in fields:
            off, size = map(int, known[f"{name}.{field}"].split())
            if off != end or off % min(size & -size, 8):
                found.append(f"{name}.{field}")
            end = off + size
        if end != int(known[name]) or end % 8:
            found.append(name)
    return found


class Today(unittest.TestCase):
    def test_the_abi_has_no_padding(self):
        for header in HEADERS[:2]:
            self.assertEqual(gaps((TOP / header).read_text(), TOP / "api"), [])

    def test_padding_is_seen(self):
        for body in ("__u32 a; __u64 b;", "__u64 a; __u32 b;", "__u32 a; __u32 b; __u32 c;"):
            text = "#include <linux/types.h>\nstruct zufs_x {\n" + body + "\n};\n"
            self.assertTrue(gaps(text, TOP / "api"), body)


class Versions(unittest.TestCase):
    def test_all_that_older_ones_promised_is_kept(self):
        self.assertTrue(versions(), f"{VERSIONS} names none")
        for version, tree in versions():
            for header in HEADERS:
                self.assertTrue((tree / header).exists(),
                                f"ABI {version} is not there: make abi")
                with self.subTest(version=version, header=header):
                    self.assertEqual(lost(header, (tree / header).read_text(),
                                          (TOP / header).read_text(),
                                          tree / "api", TOP / "api"), [])


class Differences(unittest.TestCase):
    """Each kind of change that breaks somebody is seen, and those that do not are not."""

    def changed(self, header, old, new):
        before = (TOP / header).read_text()
        self.assertEqual(before.count(old), 1, old)
        # the headers' own assertions would stop most of it before
        after = re.sub(r"^ZUFS_(SIZE|OFF)\(.*?\);$", "", before.replace(old, new), flags=re.M)
        return lost(header, before, after, TOP / "api", TOP / "api")

    def api(self, old, new):
        return self.changed("api/zus_api.h", old, new)

    def sdk(self, old, new):
        return self.changed("zus/include/zus.h", old, new)

    def test_nothing(self):
        self.assertEqual(self.api("struct zufs_nop {", "struct zufs_nop {"), [])

    def test_a_field_moved(self):
        found = self.api("	__u32 count;\n	__u32 eof;", "	__u32 eof;\n	__u32 count;")
        self.assertEqual([line.split(" was ")[0] for line in found],
                         ["struct zufs_readdir_out: count", "struct zufs_readdir_out: eof"])

    def test_a_field_before_others(self):
        found = self.api("struct zufs_lookup_in {", "struct zufs_lookup_in {\n	__u64 more;")
        self.assertEqual(len(found), 2, found)

    def test_a_type_changed(self):
        self.assertEqual(len(self.api("	__s32 result;", "	__u32 result;")), 1)

    def test_a_message_may_grow_and_not_shrink(self):
        head = ("struct zufs_lookup_in {\n	__u64 dir;		/* handle */\n"
                "	__u32 name_bytes;	/* without NUL */\n")
        self.assertEqual(self.api(head + "	__u32 reserved;\n",
                                  head + "	__u32 reserved;\n	__u64 more;\n"), [])
        self.assertEqual(self.api(head + "	__u32 reserved;\n", head + "	__u32 flags;\n"), [])
        self.assertEqual(len(self.api("struct zufs_freeze_in {\n	__u32 thaw;",
                                      "struct zufs_freeze_in {\n	__u16 thaw;")), 1)

    def test_what_stands_in_arrays_may_not(self):
        found = self.api("	__u32 numa_node;	/* 0xffffffff: unknown */\n"
                         "	__u32 flags;		/* ZUFS_DEVF_* */\n",
                         "	__u32 numa_node;\n	__u32 flags;\n	__u64 more;\n")
        self.assertIn("struct zufs_device had 56 bytes, has 64", found)

    def test_numbers(self):
        nop = "#define ZUFS_OP_NOP			1\n"
        text = (TOP / "api/zus_api.h").read_text()
        count = re.search(r"#define ZUFS_OP_COUNT\s+(\d+)\n", text)
        count, number = count.group(0), int(count.group(1))
        self.assertEqual(len(self.api(nop, "#define ZUFS_OP_NOP 41\n")), 1)
        self.assertEqual(len(self.api(nop, "")), 1)
        self.assertEqual(self.api(count, f"#define ZUFS_OP_COUNT {number + 1}\n"), [])
        self.assertEqual(len(self.api(count, f"#define ZUFS_OP_COUNT {number - 1}\n")), 1)
        self.assertEqual(len(self.sdk("	ZUS_EVENT_NONE,\n", "")), 7)

    def test_a_callback_before_others(self):
        line = "	int (*readlink)(struct zus_req *req, struct zus_inode *inode);\n"
        self.assertIn("struct zus_inode_ops: evict", [
            found.split(" was ")[0]
            for found in self.sdk(line, "	void (*more)(void);\n" + line)])

    def test_a_callback_of_another_kind(self):
        self.assertEqual(len(self.sdk("(*readlink)(struct zus_req *req, ",
                                      "(*readlink)(void *req, ")), 1)

    def test_what_plugins_embed_may_not_grow(self):
        found = self.sdk("	uint64_t handle;	/* how the kernel names it */\n",
                         "	uint64_t handle;\n	uint64_t more;\n")
        self.assertIn("struct zus_inode had 32 bytes, has 40", found)


if __name__ == "__main__":
    not_built = TOP / "build/abi/not-built"
    if not_built.exists():
        print(not_built.read_text(), end="")
        raise SystemExit(77)
    unittest.main()
