# SPDX-License-Identifier: BSD-3-Clause
"""
What the tests of names and attributes share: a runner of cases, and the system
calls that Python does not offer.

    from fslib import *

    @case
    def a_name_can_be_long(top): ...        # top: an empty folder on the filesystem

    main()                                  # usage: FILE.py FOLDER [CASE... | !CASE...]
"""

import ctypes
import errno
import fcntl
import glob
import os
import struct
import sys
import time
import traceback

libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_STATX_FORCE_SYNC = 0x2000
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
SYS_GETDENTS64, SYS_STATX = 217, 332
NOBODY = 65534
CLOCK_REALTIME_COARSE = 5
KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 0x10, 0x20, 0x40
AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = 0x400, 0x1000
FIEMAP = 0xc020660b
FIEMAP_SHARED = 0x2000

CASES = []
STATS = os.environ.get("ZUFS_STATS")    # statistics file of a server that no kernel module counts for


class NotRun(Exception):
    """A case cannot be run here: the cause."""


def read_lacks():
    """
    {(kind, name): why}, of what the filesystem under test has no way for. Kinds: case, to be
    run, and failing; never, not to be run, as it would not end; part, of other cases, which
    ask for it by lacks().
    """
    found = {}
    if path := os.environ.get("ZUFS_LACKS"):
        with open(path) as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    kind, name, why = line.split(maxsplit=2)
                    found[kind, name] = why.strip()
    return found


LACKS = read_lacks()
PARTS = set()                           # that were asked for, and are not there


def lacks(part):
    """What it says is left out of a case, and reported for itself."""
    if ("part", part) in LACKS:
        PARTS.add(part)
    return ("part", part) in LACKS


def case(function):
    CASES.append(function)
    return function


def main():
    folder, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    failed = not_run = ran = 0
    for function in CASES:
        name = function.__name__
        if f"!{name}" in wanted or (name not in wanted and any(w[0] != "!" for w in wanted)):
            continue
        if why := why_never(name):
            not_run += 1
            print(f"not run {name}: {why}", flush=True)
            tell("ok", name, f" # SKIP {why}")
            continue
        top = os.path.join(folder, name)
        os.mkdir(top)
        start = time.monotonic()
        ran += 1
        try:
            run(function, top)
            print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
            tell("ok", name)
        except NotRun as cause:
            not_run += 1
            print(f"not run {name}: {cause}", flush=True)
            tell("ok", name, f" # SKIP {cause}")
        except Exception:
            failed += 1
            print("not ok", name, flush=True)
            traceback.print_exc(file=sys.stdout)
            tell("not ok", name)
        os.system(f"chattr -R -f -i -a '{top}' 2>/dev/null; rm -rf '{top}'")
    for part in sorted(PARTS):
        tell("ok", f"(part) {part}", f" # SKIP {LACKS['part', part]}")
    print(f"{ran} cases, {failed} failed, {not_run} not run")
    sys.exit(1 if failed else 0)


def program():
    return os.path.basename(sys.argv[0]).removesuffix(".py")


def why_never(name):
    return LACKS.get(("never", f"{program()}:{name}"), LACKS.get(("never", f"{program()}:*")))


def run(function, top):
    """What is listed as lacking has to fail: or the list says too much."""
    why = LACKS.get(("case", f"{program()}:{function.__name__}"))
    if not why:
        function(top)
        return
    try:
        function(top)
    except NotRun:
        raise
    except Exception as e:
        traceback.print_exc(file=sys.stdout)
        raise NotRun(why) from e
    raise AssertionError(f"listed as lacking, and it passes: {why}")


def tell(result, name, more=""):
    """To the runner, which counts cases, as libcheck does."""
    path = os.environ.get("CK_TAP_LOG_FILE_NAME")
    if path:
        with open(path, "a") as file:
            file.write(f"{result} 1 - {program()}:{name}{more}\n")


def same(got, want, what=""):
    if got == want:
        return
    if isinstance(got, bytes) and isinstance(want, bytes) and len(got) + len(want) > 200:
        pairs = enumerate(zip(got, want))
        at = next((i for i, (a, b) in pairs if a != b), min(len(got), len(want)))
        raise AssertionError(f"{what}: {len(got)} bytes, of {len(want)}; from byte {at} on "
                             f"{got[at:at + 20]!r}, not {want[at:at + 20]!r}")
    raise AssertionError(f"{what}: {got!r:.1000}, not {want!r:.1000}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def error_of(function, *args, **kwargs):
    """The errno's name that a call ends with, or 'ok'."""
    try:
        function(*args, **kwargs)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    return "ok"


def fails(want, function, *args, **kwargs):
    same(error_of(function, *args, **kwargs), want, f"{function.__name__}{args}")


def raise_errno(path):
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), path)


def rename(old, new, flags=0):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags):
        raise_errno(old)


def linkat(fd, path, empty=False):
    """Give the open file a name, by the file itself or by its place in /proc."""
    source = b"" if empty else os.fsencode(f"/proc/self/fd/{fd}")
    at, flags = (fd, AT_EMPTY_PATH) if empty else (AT_FDCWD, AT_SYMLINK_FOLLOW)
    if libc.linkat(at, source, AT_FDCWD, os.fsencode(path), flags):
        raise_errno(path)


def seek(fd, off, whence):
    """The position, or the errno's name."""
    try:
        return os.lseek(fd, off, whence)
    except OSError as e:
        return errno.errorcode[e.errno]


def fallocate(fd, mode, off, length):
    if libc.fallocate(fd, mode, ctypes.c_longlong(off), ctypes.c_longlong(length)):
        raise_errno(str(fd))


def touch(path, data=b"", mode=0o644):
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    if data:
        os.write(fd, data)
    os.close(fd)


def cat(path):
    with open(path, "rb") as file:
        return file.read()


def tick():
    """Until the clock that file times come from has moved."""
    start = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) == start:
        pass


def drop_caches():
    """What is not in use leaves the kernel; the server is asked again."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")


def told(top):
    """The server has been told of inodes, files and locks that ended: statfs(2) waits for it."""
    os.statvfs(top)


def statx_mode_size(path, flags):
    """(mode, nlink, size, ino) by statx(2) with flags."""
    buf = ctypes.create_string_buffer(256)
    if libc.syscall(SYS_STATX, AT_FDCWD, os.fsencode(path), flags, 0x7ff, buf):
        raise_errno(path)
    nlink, mode, ino, size = (struct.unpack_from("=I", buf, 16)[0],
                              struct.unpack_from("=H", buf, 28)[0],
                              struct.unpack_from("=Q", buf, 32)[0],
                              struct.unpack_from("=Q", buf, 40)[0])
    return mode, nlink, size, ino


def getdents(fd, bytes_max):
    """[(ino, position, type, name)] of one getdents64(2)."""
    buf = ctypes.create_string_buffer(bytes_max)
    got = libc.syscall(SYS_GETDENTS64, fd, buf, bytes_max)
    if got < 0:
        raise_errno(str(fd))
    entries, at = [], 0
    while at < got:
        ino, off, length, kind = struct.unpack_from("=QqHB", buf, at)
        name = buf.raw[at + 19:at + length].split(b"\0", 1)[0]
        entries.append((ino, off, kind, name))
        at += length
    return entries


def read_all(fd, bytes_max):
    """Every entry from the position on."""
    entries = []
    while True:
        more = getdents(fd, bytes_max)
        if not more:
            return entries
        entries += more


def names_of(path, bytes_max=32768):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return [e[3] for e in read_all(fd, bytes_max) if e[3] not in (b".", b"..")]
    finally:
        os.close(fd)


def await_equal(function, want, seconds=60):
    """Until function() is want: what goes to the server later takes its time."""
    end = time.monotonic() + seconds
    while function() != want:
        holds(time.monotonic() < end, f"still {function()}, not {want}")


def as_user(function, *args, uid=NOBODY, gid=NOBODY):
    """Run in a child with other ids and no capabilities; its exceptions count."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            function(*args)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        os._exit(status)
    same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "child")


def in_child(function, *args):
    """Start it in a child of its own; the pid, for join()."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        function(*args)
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
    os._exit(status)


def join(*pids):
    status = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    same(status, [0] * len(pids), "children")


def tree(top):
    """{path: facts} of all below top, in the form that two filesystems agree on."""
    facts = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            kind = st.st_mode & 0o170000
            fact = [oct(st.st_mode), st.st_nlink, st.st_uid, st.st_gid]
            if kind == 0o100000:
                fact.append(st.st_size)
            elif kind == 0o120000:
                fact.append(os.readlink(path))
            elif kind in (0o020000, 0o060000):
                fact.append(st.st_rdev)
            facts[os.path.relpath(path, top)] = fact
    return facts


def check_consistent(top):
    """What readdir, lstat and link counts say of the tree fits together."""
    links, counts = {}, {}
    for where, dirs, files in os.walk(top):
        st = os.lstat(where)
        same(st.st_nlink, 2 + sum(1 for d in dirs
                                  if not os.path.islink(os.path.join(where, d))), where)
        fd = os.open(where, os.O_RDONLY)
        entries = read_all(fd, 32768)
        os.close(fd)
        plain = [e for e in entries if e[3] not in (b".", b"..")]
        same(len({e[3] for e in plain}), len(plain), f"names of {where} come once")
        same(len(entries), len(plain) + 2, f"dots of {where}")
        for ino, _, kind, name in plain:
            path = os.path.join(os.fsencode(where), name)
            st = os.lstat(path)
            same((st.st_ino, st.st_mode >> 12), (ino, kind), path)
            if kind != 4:
                links[ino] = links.get(ino, 0) + 1
                counts[ino] = st.st_nlink
    same(links, counts, "link counts")


def handle_of(path, flags=0):
    """(type, bytes)"""
    buf = ctypes.create_string_buffer(8 + 128)
    struct.pack_into("=Ii", buf, 0, 128, 0)
    mount_id = ctypes.c_int()
    if libc.name_to_handle_at(AT_FDCWD, os.fsencode(path), buf, ctypes.byref(mount_id), flags):
        raise_errno(path)
    count, kind = struct.unpack_from("=Ii", buf, 0)
    return kind, buf.raw[8:8 + count]


def open_handle(top, handle, flags=os.O_RDONLY):
    kind, data = handle
    buf = ctypes.create_string_buffer(struct.pack("=Ii", len(data), kind) + data)
    mount_fd = os.open(top, os.O_RDONLY)
    try:
        fd = libc.open_by_handle_at(mount_fd, buf, flags)
        if fd < 0:
            raise_errno(f"handle {kind}")
        return fd
    finally:
        os.close(mount_fd)


def all_asked():
    """{operation: how often the server was asked}; of the only mount."""
    found = {}
    if STATS:
        return stats_asked()
    for path in glob.glob("/sys/fs/zuf/mounts/*/ops/*"):
        with open(path) as file:
            found[os.path.basename(path)] = int(file.readline().split()[1])
    return found


def stats_asked():
    """The same from a file as struct zus_stats_file has it."""
    with open(STATS, "rb") as file:
        data = file.read()
    workers, ops = struct.unpack_from("=II", data, 16)
    names = [data[56 + 16 * i:72 + 16 * i].split(b"\0")[0].decode() for i in range(ops)]
    return {name: sum(struct.unpack_from("=Q", data, 1088 + 2112 * w + 64 + 32 * i)[0]
                      for w in range(workers)) for i, name in enumerate(names)}


def asked(op):
    """How often the server was asked for that."""
    return all_asked()[op]


def fiemap(fd, start=0, length=(1 << 64) - 1, most=1000):
    """[(logical, physical, length, flags)]"""
    buf = bytearray(32 + 56 * most)
    struct.pack_into("=QQIIII", buf, 0, start, length, 0, 0, most, 0)
    fcntl.ioctl(fd, FIEMAP, buf)
    count = struct.unpack_from("=I", buf, 20)[0]
    found = []
    for i in range(count):
        logical, physical, size = struct.unpack_from("=QQQ", buf, 32 + 56 * i)
        found.append((logical, physical, size, struct.unpack_from("=I", buf, 32 + 56 * i + 40)[0]))
    return found
