#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Mounts of a mount: with other ids, read-only, in another namespace; and the calls of the new
mount interface. usage: mounts.py MOUNTPOINT DEVICE TYPE
"""

import signal
import stat
import subprocess

from fslib import *

SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT, SYS_FSPICK = range(428, 434)
SYS_MOUNT_SETATTR = 442
AT_EMPTY_PATH, AT_RECURSIVE = 0x1000, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_IDMAP = 1, 0x100000
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CREATE, FSCONFIG_RECONFIGURE = 0, 1, 6, 7
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REMOUNT, MS_RDONLY, MNT_DETACH = 4096, 32, 1, 2
TOP = DEVICE = TYPE = None


def call(number, *args):
    fixed = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ret = libc.syscall(ctypes.c_long(number), *fixed)
    if ret < 0:
        raise_errno(str(number))
    return ret


def user_namespace(first):
    """Of a child that ends with us: ids 0 to 9 in it are first to first + 9 here."""
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        if libc.unshare(CLONE_NEWUSER):
            os._exit(1)
        os.write(there, b"x")
        signal.pause()
    os.read(here, 1)
    for kind in ("uid", "gid"):
        with open(f"/proc/{pid}/{kind}_map", "w") as file:
            file.write(f"0 {first} 10")
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return fd


def clone_to(path, attr_set=0, userns=0):
    """Another mount of what is at TOP."""
    os.makedirs(path, exist_ok=True)
    fd = call(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(TOP), OPEN_TREE_CLONE)
    if attr_set:
        attr = struct.pack("=4Q", attr_set, 0, 0, userns)
        call(SYS_MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, attr, len(attr))
    call(SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(path), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(fd)


def umount(path, flags=0):
    if libc.umount2(os.fsencode(path), flags):
        raise_errno(path)


def owner(path):
    st = os.lstat(path)
    return st.st_uid, st.st_gid


def mount_line(path):
    return [line.split() for line in open("/proc/self/mounts") if line.split()[1] == path]


@case
def ids_of_a_mount_are_mapped(top):
    here = f"{TOP}/ids"
    os.mkdir(here)
    os.chmod(TOP, 0o755)
    other = os.path.abspath("idmapped")
    clone_to(other, MOUNT_ATTR_IDMAP, user_namespace(1000))
    there = f"{other}/ids"
    same(owner(there), (1000, 1000))
    # who has no id there can make nothing
    fails("EOVERFLOW", touch, f"{there}/root")
    fails("EOVERFLOW", os.mkdir, f"{there}/root")
    fails("EOVERFLOW", os.symlink, "x", f"{there}/root")
    fails("EOVERFLOW", os.open, there, os.O_TMPFILE | os.O_RDWR)

    def as_owner():
        touch(f"{there}/file", b"x")
        os.mkdir(f"{there}/dir")
        os.symlink("x", f"{there}/link")
        os.mkfifo(f"{there}/fifo")
        fd = os.open(f"{there}", os.O_TMPFILE | os.O_RDWR)
        same(os.fstat(fd).st_uid, 1000)
        os.chmod(f"{there}/file", 0o640)
        fails("EPERM", os.chown, f"{there}/file", 1001, -1)

    as_user(as_owner, uid=1000, gid=1000)
    for name in ("file", "dir", "link", "fifo"):
        same((owner(f"{there}/{name}"), owner(f"{here}/{name}")), ((1000, 1000), (0, 0)), name)
    os.chown(f"{there}/file", 1001, 1002)
    same(owner(f"{here}/file"), (1, 2))
    # ids that are not mapped
    fails("EOVERFLOW", os.chown, f"{there}/file", 5000, -1)
    os.chown(f"{here}/file", 5000, 5000)
    same(owner(f"{there}/file"), (65534, 65534))
    fails("EOVERFLOW", os.chmod, f"{there}/file", 0o600)
    # an ACL's ids too: a user entry for 1003 there is one for 3 here
    os.chown(f"{here}/file", 0, 0)
    subprocess.run(["setfacl", "-m", "u:1003:rwx", f"{there}/file"], check=True)
    acl = subprocess.run(["getfacl", "-n", f"{here}/file"], check=True, capture_output=True, text=True)
    holds("user:3:rwx" in acl.stdout, acl.stdout)
    as_user(lambda: os.close(os.open(f"{there}/file", os.O_RDWR)), uid=1003, gid=1003)
    as_user(lambda: fails("EACCES", os.open, f"{there}/file", os.O_RDWR), uid=1004, gid=1004)
    # a directory that hands its group on
    os.chmod(f"{here}/dir", 0o2777)
    os.chown(f"{here}/dir", 0, 7)
    as_user(lambda: touch(f"{there}/dir/f"), uid=1001, gid=1001)
    same(owner(f"{here}/dir/f"), (1, 7))
    umount(other)


@case
def mounts_of_it_may_be_read_only(top):
    other = os.path.abspath("ro")
    clone_to(other, MOUNT_ATTR_RDONLY)
    touch(f"{TOP}/seen", b"text")
    same(open(f"{other}/seen").read(), "text")
    for change in (lambda: touch(f"{other}/new"), lambda: os.unlink(f"{other}/seen"),
                   lambda: os.chmod(f"{other}/seen", 0o600), lambda: os.utime(f"{other}/seen"),
                   lambda: os.open(f"{other}/seen", os.O_RDWR),
                   lambda: os.setxattr(f"{other}/seen", "user.x", b"")):
        fails("EROFS", change)
    os.unlink(f"{TOP}/seen")
    umount(other)
    # of the same filesystem, and yet no names go from one to the other
    clone_to(other)
    touch(f"{TOP}/a")
    fails("EXDEV", os.rename, f"{TOP}/a", f"{other}/b")
    fails("EXDEV", os.link, f"{TOP}/a", f"{other}/b")
    same(os.stat(f"{TOP}/a").st_ino, os.stat(f"{other}/a").st_ino)
    umount(other)


@case
def a_namespace_keeps_it(top):
    """What is unmounted elsewhere is mounted here, and the other way round."""
    touch(f"{TOP}/kept", b"here")
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            if not libc.unshare(CLONE_NEWNS):
                subprocess.run(["mount", "--make-rprivate", "/"], check=True)
                os.write(ready[1], b"x")
                os.read(go[0], 1)
                same(open(f"{TOP}/kept").read(), "here")
                umount(TOP)
                status = 0
        finally:
            os._exit(status)
    os.read(ready[0], 1)
    umount(TOP)
    fails("ENOENT", os.stat, f"{TOP}/kept")
    # it lives on there: the same superblock, with the same file
    subprocess.run(["mount", "-t", TYPE, DEVICE, TOP], check=True)
    same(open(f"{TOP}/kept").read(), "here")
    os.write(go[1], b"x")
    same(os.waitpid(pid, 0)[1], 0)
    same(open(f"{TOP}/kept").read(), "here")


def message(fd):
    try:
        return os.read(fd, 4096).decode()
    except OSError as e:
        return errno.errorcode[e.errno]


@case
def the_new_interface_says_what_is_wrong(top):
    umount(TOP)
    fails("ENODEV", call, SYS_FSOPEN, b"znothing", 0)
    fd = call(SYS_FSOPEN, TYPE.encode(), 0)
    same(message(fd), "ENODATA")
    fails("EINVAL", call, SYS_FSCONFIG, fd, FSCONFIG_SET_STRING, b"deadline_ms", b"soon", 0)
    holds("deadline_ms" in message(fd), "no word of deadline_ms")
    fails("EINVAL", call, SYS_FSCONFIG, fd, FSCONFIG_SET_STRING, b"recover", b"perhaps", 0)
    holds("recover" in message(fd), "no word of recover")
    # without a device
    fails("EINVAL", call, SYS_FSCONFIG, fd, FSCONFIG_CREATE, None, None, 0)
    os.close(fd)
    fd = call(SYS_FSOPEN, TYPE.encode(), 0)
    call(SYS_FSCONFIG, fd, FSCONFIG_SET_STRING, b"source", os.fsencode(DEVICE), 0)
    call(SYS_FSCONFIG, fd, FSCONFIG_SET_STRING, b"deadline_ms", b"4000", 0)
    call(SYS_FSCONFIG, fd, FSCONFIG_CREATE, None, None, 0)
    mount = call(SYS_FSMOUNT, fd, 0, 0)
    call(SYS_MOVE_MOUNT, mount, b"", AT_FDCWD, os.fsencode(TOP), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(mount)
    os.close(fd)
    holds("deadline_ms=4000" in mount_line(TOP)[0][3], mount_line(TOP))
    fd = call(SYS_FSPICK, AT_FDCWD, os.fsencode(TOP), 0)
    call(SYS_FSCONFIG, fd, FSCONFIG_SET_STRING, b"deadline_ms", b"5000", 0)
    call(SYS_FSCONFIG, fd, FSCONFIG_RECONFIGURE, None, None, 0)
    os.close(fd)
    holds("deadline_ms=5000" in mount_line(TOP)[0][3], mount_line(TOP))


@case
def the_old_interface_and_fstab(top):
    umount(TOP)
    source, target, kind = os.fsencode(DEVICE), os.fsencode(TOP), TYPE.encode()
    for options, want in ((b"deadline_ms=soon", "EINVAL"), (b"recover=perhaps", "EINVAL"),
                          (b"deadline_ms=3000", "ok")):
        got = "ok"
        if libc.mount(source, target, kind, 0, options):
            got = errno.errorcode[ctypes.get_errno()]
        same(got, want, options)
    holds("deadline_ms=3000" in mount_line(TOP)[0][3], mount_line(TOP))
    umount(TOP)
    with open("/etc/fstab", "a") as file:
        print(f"{DEVICE} {TOP} {TYPE} noauto,noatime,nosuid,deadline_ms=2000 0 0", file=file)
    subprocess.run(["mount", TOP], check=True)
    line = mount_line(TOP)[0]
    for option in ("noatime", "nosuid", "deadline_ms=2000"):
        holds(option in line[3].split(","), line)
    subprocess.run(["umount", TOP], check=True)
    subprocess.run(["mount", "-t", TYPE, DEVICE, TOP], check=True)


if __name__ == "__main__":
    TOP, DEVICE, TYPE = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.mkdir("cases")
    sys.argv = [sys.argv[0], "cases"]
    main()
