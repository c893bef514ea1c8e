# SPDX-License-Identifier: BSD-3-Clause
"""Print compile_commands.json: how each source is compiled.

User mode's commands are read from what make would run, the module's from the files
that Kbuild leaves beside its objects (the 6.1 build, where there is one).
"""

import json
import os
import re
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = re.compile(r"^[^-].*\.c$")


def user_commands():
    """Yield (source, words) of every compiler call of `make tests`, then of `make fuzz`."""
    run = subprocess.run(
        ["make", "--dry-run", "--always-make", "--keep-going", "-s", "tests", "fuzz"],
        cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    for line in run.stdout.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if not words or os.path.basename(words[0]) not in ("cc", "gcc", "clang", "clang-14"):
            continue
        sources = [w for w in words if SOURCE.match(w)]
        for source in sources:
            others = [w for w in words if w not in sources]
            yield source, others + [source]


def module_commands():
    """Yield (source, words) of the module, under the sources' own names."""
    build = os.path.join(TOP, "build", "zuf", "6.1")
    if not os.path.isdir(build):
        return
    for name in sorted(os.listdir(build)):
        if not re.match(r"^\..*\.o\.cmd$", name):
            continue
        with open(os.path.join(build, name), encoding="utf-8") as file:
            match = re.match(r"^(?:saved)?cmd_\S+ := (.*?) *(?:;|$)", file.readline())
        words = shlex.split(match.group(1)) if match else []
        source = os.path.join(TOP, "zuf", name[1:-len(".o.cmd")] + ".c")
        if words and os.path.exists(source):
            yield source, [source if w.endswith(".c") else w for w in words]


def main():
    kdir = os.path.realpath(os.path.join(TOP, "build", "kernels", "6.1", "build"))
    entries = {}
    for source, words in user_commands():
        path = os.path.join(TOP, source)
        entries.setdefault(path, {"directory": TOP, "file": path, "arguments": words})
    for source, words in module_commands():
        entries[source] = {"directory": kdir, "file": source, "arguments": words}
    json.dump(list(entries.values()), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
