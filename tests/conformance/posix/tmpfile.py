#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files without a name: O_TMPFILE, linkat(2) of what it made, and files that lost theirs."""

import mmap
import signal
import stat

from fslib import *

RW = os.O_TMPFILE | os.O_RDWR
ACL_DEFAULT = "system.posix_acl_default"


def used(top):
    """(blocks, inodes) of the filesystem; what was forgotten has been told before."""
    st = os.statvfs(top)
    return st.f_blocks - st.f_bfree, st.f_files - st.f_ffree


@case
def is_a_file_without_a_name(top):
    before = used(top)
    os.umask(0o027)
    fd = os.open(top, RW, 0o666)
    os.umask(0o022)
    st = os.fstat(fd)
    same((oct(st.st_mode), st.st_nlink, st.st_size), (oct(stat.S_IFREG | 0o640), 0, 0))
    same((os.listdir(top), os.stat(top).st_nlink), ([], 2))
    data = bytes(range(256)) * 64
    same(os.write(fd, data), len(data))
    view = mmap.mmap(fd, len(data))
    view[5000] = 1
    same(os.pread(fd, 2, 5000), b"\x01\x89")
    view.close()
    drop_caches()
    same(os.pread(fd, 5, 4), data[4:9])
    os.ftruncate(fd, 100)
    os.fchmod(fd, 0o600)
    same((os.fstat(fd).st_size, oct(os.fstat(fd).st_mode & 0o777)), (100, oct(0o600)))
    holds(used(top) > before, "a block and an inode are in use")
    os.close(fd)
    await_equal(lambda: used(top), before)


@case
def gets_a_name(top):
    os.mkdir(f"{top}/dir")
    for index, empty in enumerate((False, True)):
        name = f"{top}/dir/{index}"
        fd = os.open(top, RW, 0o644)
        os.write(fd, b"named later")
        touch(name)
        fails("EEXIST", linkat, fd, name, empty)
        same(os.fstat(fd).st_nlink, 0)
        os.unlink(name)
        tick()
        linkat(fd, name, empty)
        same(os.fstat(fd).st_nlink, 1)
        same((os.stat(name).st_ino, cat(name)), (os.fstat(fd).st_ino, b"named later"))
        linkat(fd, name + "+", empty)
        same(os.fstat(fd).st_nlink, 2)
        os.close(fd)
        drop_caches()
        same((cat(name), cat(name + "+"), os.stat(name).st_nlink), (b"named later",) * 2 + (2,))
    check_consistent(top)


@case
def one_that_lost_its_name_gets_none(top):
    first = os.open(top, RW, 0o644)
    linkat(first, f"{top}/name")
    plain = os.open(f"{top}/plain", os.O_CREAT | os.O_RDWR)
    for fd, name in ((first, "name"), (plain, "plain")):
        os.write(fd, b"still here")
        os.unlink(f"{top}/{name}")
        fails("ENOENT", linkat, fd, f"{top}/again")
        fails("ENOENT", linkat, fd, f"{top}/again", True)
        drop_caches()
        same((os.pread(fd, 20, 0), os.fstat(fd).st_nlink), (b"still here", 0))
        os.close(fd)
    exclusive = os.open(top, RW | os.O_EXCL, 0o644)
    fails("ENOENT", linkat, exclusive, f"{top}/again")
    os.close(exclusive)
    same(os.listdir(top), [])


@case
def comes_from_its_directory(top):
    os.chmod(top, 0o2777)
    os.chown(top, -1, 4321)
    # user, group and mask of a default ACL
    acl = struct.pack("<I" + "HHI" * 5, 2, 1, 7, 0xffffffff, 2, 6, 1234, 4, 5, 0xffffffff,
                      0x10, 7, 0xffffffff, 0x20, 0, 0xffffffff)
    os.setxattr(top, ACL_DEFAULT, acl)
    fd = os.open(top, RW, 0o660)
    st = os.fstat(fd)
    same((st.st_gid, oct(st.st_mode & 0o7777)), (4321, oct(0o660)))
    linkat(fd, f"{top}/f")
    os.close(fd)
    drop_caches()
    access = os.getxattr(f"{top}/f", "system.posix_acl_access")
    same(struct.unpack_from("<HHI", access, 12), (2, 6, 1234))


@case
def who_may(top):
    fails("EINVAL", os.open, top, os.O_TMPFILE | os.O_RDONLY)
    touch(f"{top}/f")
    fails("ENOTDIR", os.open, f"{top}/f", RW)
    fails("ENOENT", os.open, f"{top}/none", RW)
    os.mkdir(f"{top}/mine", 0o755)
    as_user(lambda: fails("EACCES", os.open, f"{top}/mine", RW))
    os.chmod(f"{top}/mine", 0o777)

    def as_nobody():
        fd = os.open(f"{top}/mine", RW, 0o600)
        same(os.fstat(fd).st_uid, os.getuid())
        linkat(fd, f"{top}/mine/f")

    as_user(as_nobody)
    same(os.listdir(f"{top}/mine"), ["f"])


@case
def many_end_with_who_had_them(top):
    before = used(top)

    def hold():
        for _ in range(200):
            os.write(os.open(top, RW), b"x" * 5000)
        os.write(ready, b"!")
        signal.pause()

    end, ready = os.pipe()
    pid = in_child(hold)
    os.read(end, 1)
    holds(used(top)[1] - before[1] >= 200, "inodes")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    await_equal(lambda: used(top), before)


main()
