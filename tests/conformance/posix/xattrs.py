#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Extended attributes and POSIX ACLs; what ACLs do is compared with tmpfs."""

import difflib
import errno
import os
import random
import struct
import subprocess

from fslib import *

SEED = int(os.environ.get("XATTR_SEED", "1"))
MAX = 65536


def get(path, name):
    return os.getxattr(path, name, follow_symlinks=False)


def put(path, name, value, flags=0):
    os.setxattr(path, name, value, flags, follow_symlinks=False)


def names(path):
    return sorted(os.listxattr(path, follow_symlinks=False))


def one_of_each(top):
    touch(f"{top}/file")
    os.mkdir(f"{top}/dir")
    os.symlink("nowhere", f"{top}/link")
    os.mkfifo(f"{top}/fifo")
    os.mknod(f"{top}/dev", 0o020600, os.makedev(1, 3))
    return [f"{top}/{n}" for n in ("file", "dir", "link", "fifo", "dev")]


@case
def each_class_on_each_kind(top):
    for path in one_of_each(top):
        same(names(path), [], path)
        plain = path.endswith(("file", "dir"))
        if not plain:
            fails("EPERM", put, path, "user.a", b"1")
        for name in ("user.a", "trusted.a", "security.a")[0 if plain else 1:]:
            fails("ENODATA", get, path, name)
            put(path, name, b"one")
            same(get(path, name), b"one")
            put(path, name, b"")
            same(get(path, name), b"")
            put(path, name, b"two two")
        drop_caches()
        want = ["security.a", "trusted.a"] + (["user.a"] if plain else [])
        same(names(path), want, path)
        for name in want:
            same(get(path, name), b"two two")
            os.removexattr(path, name, follow_symlinks=False)
            fails("ENODATA", get, path, name)
            fails("ENODATA", os.removexattr, path, name, follow_symlinks=False)
        same(names(path), [], path)


@case
def unknown_classes_are_refused(top):
    touch(f"{top}/f")
    for name in ("nothing.a", "system.a", "plain"):
        fails("ENOTSUP", put, f"{top}/f", name, b"1")
        fails("ENOTSUP", get, f"{top}/f", name)
    for name in ("user.", "trusted."):
        fails("EINVAL", put, f"{top}/f", name, b"1")


@case
def flags_say_what_must_be(top):
    touch(f"{top}/f")
    fails("ENODATA", put, f"{top}/f", "user.a", b"1", os.XATTR_REPLACE)
    put(f"{top}/f", "user.a", b"1", os.XATTR_CREATE)
    fails("EEXIST", put, f"{top}/f", "user.a", b"2", os.XATTR_CREATE)
    same(get(f"{top}/f", "user.a"), b"1")
    put(f"{top}/f", "user.a", b"2", os.XATTR_REPLACE)
    same(get(f"{top}/f", "user.a"), b"2")


@case
def sizes_up_to_the_limit(top):
    path = f"{top}/f"
    touch(path)
    for size in (0, 1, 7, 8, 4095, 4096, 4097, MAX - 1, MAX):
        value = random.Random(SEED + size).randbytes(size)
        put(path, "user.v", value)
        same(get(path, "user.v"), value, f"{size} bytes")
    fails("E2BIG", put, path, "user.v", b"x" * (MAX + 1))
    same(len(get(path, "user.v")), MAX)
    longest = "user." + "n" * (255 - 5)
    put(path, longest, b"long")
    same(get(path, longest), b"long")
    fails("ERANGE", put, path, longest + "n", b"1")
    fails("ERANGE", get, path, longest + "n")
    # lengths alone, and too little room
    buf = ctypes.create_string_buffer(MAX)
    raw = libc.getxattr
    same(raw(os.fsencode(path), b"user.v", None, 0), MAX)
    same(raw(os.fsencode(path), b"user.v", buf, MAX - 1), -1)
    same(ctypes.get_errno(), errno.ERANGE)
    both = len("user.v") + 1 + len(longest) + 1
    same(libc.listxattr(os.fsencode(path), None, 0), both)
    same(libc.listxattr(os.fsencode(path), buf, both - 1), -1)
    same(ctypes.get_errno(), errno.ERANGE)
    same(libc.listxattr(os.fsencode(path), buf, both), both)


@case
def many_names(top):
    path = f"{top}/f"
    touch(path)
    rng = random.Random(SEED)
    want = {}
    for i in range(200):
        name = f"user.{'x' * rng.randrange(1, 40)}.{i}"
        want[name] = rng.randbytes(rng.randrange(0, 300))
        put(path, name, want[name])
    for name in rng.sample(sorted(want), 60):
        os.removexattr(path, name)
        del want[name]
    drop_caches()
    same(names(path), sorted(want))
    for name, value in want.items():
        same(get(path, name), value, name)
    # more than a list can be: the names are there all the same
    for i in range(300):
        put(path, "user." + f"{i:04}".ljust(250, "n"), b"")
    fails("E2BIG", os.listxattr, path)
    same(get(path, "user.0299".ljust(255, "n")), b"")


@case
def they_belong_to_the_inode(top):
    touch(f"{top}/a")
    put(f"{top}/a", "user.x", b"1")
    os.link(f"{top}/a", f"{top}/b")
    put(f"{top}/b", "user.x", b"2")
    os.rename(f"{top}/a", f"{top}/c")
    same(get(f"{top}/c", "user.x"), b"2")
    fd = os.open(f"{top}/c", os.O_RDWR)
    os.unlink(f"{top}/b")
    os.unlink(f"{top}/c")
    same(os.getxattr(fd, "user.x"), b"2")
    os.setxattr(fd, "user.x", b"3")
    same((os.getxattr(fd, "user.x"), os.listxattr(fd)), (b"3", ["user.x"]))
    os.close(fd)
    touch(f"{top}/a")
    same(names(f"{top}/a"), [], "a new file of that name")


@case
def setting_changes_ctime_alone(top):
    path = f"{top}/f"
    touch(path, b"data")
    for change in (lambda: put(path, "user.x", b"1"), lambda: put(path, "user.x", b"2"),
                   lambda: os.removexattr(path, "user.x")):
        before = os.stat(path)
        tick()
        change()
        after = os.stat(path)
        same((after.st_atime_ns, after.st_mtime_ns), (before.st_atime_ns, before.st_mtime_ns))
        holds(after.st_ctime_ns > before.st_ctime_ns, "ctime")
    drop_caches()
    same(os.stat(path).st_ctime_ns, after.st_ctime_ns)


@case
def who_may_do_what(top):
    os.chmod(top, 0o755)
    path = f"{top}/f"
    touch(path)
    put(path, "user.x", b"1")
    put(path, "trusted.x", b"1")
    put(path, "security.x", b"1")

    def others():
        same(get(path, "user.x"), b"1")
        fails("EACCES", put, path, "user.x", b"2")
        fails("EACCES", os.removexattr, path, "user.x")
        fails("ENODATA", get, path, "trusted.x")
        fails("EPERM", put, path, "trusted.x", b"2")
        same(names(path), ["security.x", "user.x"])

    as_user(others)
    os.chmod(path, 0o600)
    as_user(lambda: fails("EACCES", get, path, "user.x"))
    os.mkdir(f"{top}/sticky")
    os.chmod(f"{top}/sticky", 0o1777)
    as_user(lambda: fails("EPERM", put, f"{top}/sticky", "user.x", b"1"))


@case
def a_write_ends_capabilities(top):
    path = f"{top}/f"
    touch(path, b"data")
    # VFS_CAP_REVISION_2, effective, CAP_NET_RAW
    put(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    drop_caches()
    same(names(path), ["security.capability"])
    with open(path, "r+b") as file:
        file.write(b"more")
    fails("ENODATA", get, path, "security.capability")
    same(names(path), [])


@case
def none_are_asked_for_where_none_are(top):
    for i in range(50):
        touch(f"{top}/{i}")
    drop_caches()
    for i in range(50):
        os.lstat(f"{top}/{i}")
    before = asked("getxattr"), asked("listxattr")
    for i in range(50):
        for name in ("security.selinux", "system.posix_acl_access", "user.a"):
            fails("ENODATA", get, f"{top}/{i}", name)
        same(names(f"{top}/{i}"), [])
    same((asked("getxattr"), asked("listxattr")), before, "calls")
    put(f"{top}/7", "user.a", b"1")
    same(get(f"{top}/7", "user.a"), b"1")
    same(asked("getxattr"), before[0] + 1)
    os.removexattr(f"{top}/7", "user.a")
    fails("ENODATA", get, f"{top}/7", "user.a")
    same(asked("getxattr"), before[0] + 1)


# ----------------------------------------------------------------------- ACLs

def shell(script, where):
    """What a script prints and ends with in a folder, without the folder's name."""
    run = subprocess.run(["sh", "-c", "umask 022; exec 2>&1; " + script], cwd=where,
                         stdout=subprocess.PIPE, text=True, check=False)
    return run.returncode, run.stdout


def as_on_tmpfs(top, script):
    """The script does and says the same here and on tmpfs."""
    for kind in ("here", "tmpfs"):
        os.mkdir(f"{top}/{kind}", 0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", f"{top}/tmpfs"], check=True)
    try:
        want = shell(script, f"{top}/tmpfs")
        got = shell(script, f"{top}/here")
        holds(want[1], "nothing was shown")
        if got != want:
            raise AssertionError("\n".join(difflib.unified_diff(
                str(want[1]).splitlines(), str(got[1]).splitlines(), "tmpfs", "here", "", "", 3, "")))
    finally:
        subprocess.run(["umount", f"{top}/tmpfs"], check=True)


SHOW = ("find . ! -type l | sort | xargs getfacl -n;"
        "find . -mindepth 1 | sort | xargs stat -c '%n %a %F';")
NOBODY_DOES = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups sh -c"


@case
def acl_set_and_mask(top):
    as_on_tmpfs(top, f"""
        echo data > f; mkdir d; ln -s f l
        setfacl -m u:{NOBODY}:rw,g:7:r f; {SHOW}
        chmod 640 f; {SHOW} chmod 777 f; {SHOW}
        setfacl -m m::r f; {SHOW}
        setfacl -x u:{NOBODY} f; {SHOW}
        setfacl -b f; {SHOW}
        setfacl -m u::rwx,g::r-x,o::- f; {SHOW}
        setfacl -d -m u:5:rwx f; echo $?
        setfacl -m u:5:rwx d; setfacl -k d; {SHOW}""")


@case
def acl_decides(top):
    as_on_tmpfs(top, f"""
        echo secret > f; chmod 600 f; mkdir d; echo in > d/f; chmod 700 d
        {NOBODY_DOES} 'cat f; cat d/f; echo x >> f'
        setfacl -m u:{NOBODY}:r f; setfacl -m u:{NOBODY}:x d
        {NOBODY_DOES} 'cat f; cat d/f; ls d; echo x >> f'
        setfacl -m u:{NOBODY}:rw f; {NOBODY_DOES} 'echo x >> f; cat f'
        setfacl -m m::- f; {NOBODY_DOES} 'cat f'
        setfacl -m u:{NOBODY}:-,o::r,m::rwx f; {NOBODY_DOES} 'cat f'
        setfacl -b f; {NOBODY_DOES} 'cat f; setfacl -m u:5:r f'""")


@case
def acl_is_inherited(top):
    as_on_tmpfs(top, f"""
        mkdir d; setfacl -d -m u::rwx,u:{NOBODY}:rwx,g::r-x,o::- d
        umask 077; echo 1 > d/f; mkdir d/sub; ln -s f d/l; mkfifo d/p; mknod d/n c 1 3
        umask 022; echo 2 > d/sub/f; mkdir -m 700 d/sub/sub; {SHOW}
        setfacl -k d; umask 027; echo 3 > d/g; mkdir d/h; {SHOW}
        cp -a d e; {SHOW} mv e/f e/sub/sub/moved; {SHOW}""")


@case
def acl_without_one_the_umask_counts(top):
    as_on_tmpfs(top, f"""
        for m in 000 022 027 077 777; do umask $m; : > f$m; mkdir d$m; mkfifo p$m; done
        umask 022; {SHOW}""")


@case
def acl_is_kept(top):
    path = f"{top}/f"
    touch(path)
    rng = random.Random(SEED)
    for count in (1, 30, 500) if lacks("long-acls") else (1, 30, 500, 3000):
        users = ",".join(f"u:{100 + i}:{rng.choice(['r', 'rw', 'rwx', 'x'])}" for i in range(count))
        code, said = shell(f"setfacl --set-file=- f <<END\n{users.replace(',', chr(10))}\nu::rw\ng::r\no::r\nm::rwx\nEND", top)
        same((code, said), (0, ""), f"{count} entries")
        before = shell("getfacl -n f", top)
        holds(before[1].count("user:") == count + 1, f"{count} entries")
        drop_caches()
        same(shell("getfacl -n f", top), before, f"{count} entries")
    holds("system.posix_acl_access" in names(path), "is listed")
    same(get(path, "system.posix_acl_access")[:4], b"\2\0\0\0", "version")


@case
def acl_that_is_none_is_refused(top):
    path = f"{top}/f"
    touch(path)
    head = struct.pack("<I", 2)

    def entries(*list_of):
        return head + b"".join(struct.pack("<HHI", *e) for e in list_of)

    undefined = 0xffffffff
    for value in (b"x", head[:3], entries((1, 7, undefined)), struct.pack("<I", 3),
                  entries((1, 6, undefined), (2, 6, 5), (4, 4, undefined), (32, 4, undefined)),
                  entries((32, 4, undefined), (1, 6, undefined), (4, 4, undefined)),
                  entries((1, 9, undefined), (4, 4, undefined), (32, 4, undefined))):
        got = error_of(put, path, "system.posix_acl_access", value)
        holds(got in ("EINVAL", "ENOTSUP"), f"{value}: {got}")
    same(names(path), [])
    put(path, "system.posix_acl_access",
        entries((1, 6, undefined), (4, 4, undefined), (32, 0, undefined)))
    same((names(path), oct(os.stat(path).st_mode & 0o7777)), ([], "0o640"), "as a mode alone")


main()
