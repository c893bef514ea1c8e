#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Names: create, look up, link, unlink, rename, as POSIX and Linux have them."""

import os
import socket
import stat

from fslib import *

KINDS = ("none", "file", "fifo", "link", "dir", "full")


@case
def create_gives_an_empty_file(top):
    before = os.stat(top)
    os.umask(0o027)
    tick()
    path = f"{top}/file"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    st = os.fstat(fd)
    os.close(fd)
    os.umask(0o022)
    same((oct(st.st_mode), st.st_nlink, st.st_size, st.st_uid, st.st_gid),
         (oct(stat.S_IFREG | 0o640), 1, 0, 0, 0))
    holds(st.st_ino and st.st_ino != before.st_ino, "an inode number of its own")
    after = os.stat(top)
    holds(after.st_mtime_ns > before.st_mtime_ns, "the directory's mtime")
    same(after.st_mtime_ns, after.st_ctime_ns, "the directory's times")
    fails("EEXIST", os.open, path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR))


@case
def create_and_open_are_one_call(top):
    create = os.O_CREAT | os.O_RDWR
    calls = ("lookup", "create", "open", "create_open")
    before = [asked(op) for op in calls]
    fd = os.open(f"{top}/f", create, 0o640)
    same([asked(op) - old for op, old in zip(calls, before)], [0, 0, 0, 1])
    os.write(fd, b"text")
    os.close(fd)
    # what is there, but not in the kernel's memory
    for path, flags, want in (("f", create, "ok"), ("f", create | os.O_EXCL, "EEXIST"),
                              ("f", create | os.O_NOFOLLOW, "ok")):
        drop_caches()
        same(error_of(lambda: os.close(os.open(f"{top}/{path}", flags))), want, path)
        same(open(f"{top}/f").read(), "text")
    os.symlink("f", f"{top}/link")
    os.symlink("nowhere", f"{top}/dangling")
    os.mkdir(f"{top}/dir")
    os.mkfifo(f"{top}/fifo")
    for path, flags, want in (
            ("link", create, "ok"), ("link", create | os.O_EXCL, "EEXIST"),
            ("link", create | os.O_NOFOLLOW, "ELOOP"), ("dir", create, "EISDIR"),
            ("dir", os.O_CREAT, "EISDIR"), ("fifo", create, "ok"),
            ("dangling", create | os.O_EXCL, "EEXIST"), ("dangling", create, "ok"),
            ("f/below", create, "ENOTDIR"), ("none/below", create, "ENOENT"),
            ("x" * 256, create, "ENAMETOOLONG")):
        drop_caches()
        same(error_of(lambda: os.close(os.open(f"{top}/{path}", flags))), want, path)
    holds(os.path.exists(f"{top}/nowhere"), "the link's target was made")
    # a name that is known not to be there
    fails("ENOENT", os.stat, f"{top}/new")
    os.close(os.open(f"{top}/new", create | os.O_EXCL))
    drop_caches()
    os.close(os.open(f"{top}/f", create | os.O_TRUNC))
    same(os.stat(f"{top}/f").st_size, 0)
    # who may make nothing may open what is there
    os.chmod(top, 0o755)
    os.chmod(f"{top}/f", 0o666)
    drop_caches()
    as_user(lambda: os.close(os.open(f"{top}/f", create)))
    drop_caches()
    as_user(lambda: fails("EACCES", os.open, f"{top}/other", create))
    as_user(lambda: fails("EACCES", os.open, f"{top}/other", create))
    os.chmod(f"{top}/f", 0o600)
    drop_caches()
    as_user(lambda: fails("EACCES", os.open, f"{top}/f", create))


@case
def one_of_many_creates_it(top):
    for i in range(50):
        pids = []
        for _ in range(4):
            pid = os.fork()
            if not pid:
                want = error_of(os.open, f"{top}/{i}", os.O_CREAT | os.O_EXCL | os.O_RDWR)
                os._exit({"ok": 0, "EEXIST": 1}.get(want, 2))
            pids.append(pid)
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)
        same(codes, [0, 1, 1, 1])


@case
def mkdir_counts_links(top):
    os.mkdir(f"{top}/a", 0o755)
    same(os.stat(top).st_nlink, 3)
    same(os.stat(f"{top}/a").st_nlink, 2)
    os.mkdir(f"{top}/a/b")
    os.mkdir(f"{top}/a/c")
    same(os.stat(f"{top}/a").st_nlink, 4)
    same(os.stat(f"{top}/a/b/..").st_ino, os.stat(f"{top}/a").st_ino)
    fails("EEXIST", os.mkdir, f"{top}/a")
    fails("ENOENT", os.mkdir, f"{top}/x/y")
    os.rmdir(f"{top}/a/b")
    same(os.stat(f"{top}/a").st_nlink, 3)


@case
def mknod_makes_special_files(top):
    for name, mode, rdev in (("fifo", stat.S_IFIFO, 0), ("chr", stat.S_IFCHR, os.makedev(1, 3)),
                             ("blk", stat.S_IFBLK, os.makedev(4095, 1048575)),
                             ("sock", stat.S_IFSOCK, 0), ("reg", stat.S_IFREG, 0)):
        os.mknod(f"{top}/{name}", mode | 0o600, rdev)
    drop_caches()
    st = os.stat(f"{top}/blk")
    same((stat.S_IFMT(st.st_mode), st.st_rdev), (stat.S_IFBLK, os.makedev(4095, 1048575)))
    with open(f"{top}/chr", "wb") as null:
        null.write(b"gone")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        os.chdir(top)
        server.bind("bound")
        server.listen()
        client.connect("bound")
        os.chdir("/")
    as_user(lambda: fails("EACCES", os.mknod, f"{top}/x", stat.S_IFIFO))
    os.chmod(top, 0o777)
    as_user(lambda: fails("EPERM", os.mknod, f"{top}/x", stat.S_IFCHR, os.makedev(1, 3)))
    as_user(os.mknod, f"{top}/x", stat.S_IFIFO)


@case
def symlinks_keep_their_target(top):
    targets = ["x", "../other", "/", "a" * 255, "d/" * 2000, "t" * 4095]
    for index, target in enumerate(targets):
        os.symlink(target, f"{top}/{index}")
        same(os.readlink(f"{top}/{index}"), target)
    drop_caches()
    for index, target in enumerate(targets):
        same(os.readlink(f"{top}/{index}"), target)
        same(os.lstat(f"{top}/{index}").st_size, len(target))
    fails("ENAMETOOLONG", os.symlink, "t" * 4096, f"{top}/long")
    fails("ENOENT", os.symlink, "", f"{top}/empty")
    fails("EEXIST", os.symlink, "x", f"{top}/0")
    fails("ENOENT", os.stat, f"{top}/0")
    os.symlink("loop", f"{top}/loop")
    fails("ELOOP", os.stat, f"{top}/loop")
    touch(f"{top}/file", b"data")
    os.symlink("file", f"{top}/good")
    same(cat(f"{top}/good"), b"data")
    drop_caches()
    same(cat(f"{top}/good"), b"data")
    fails("EINVAL", os.readlink, f"{top}/file")


@case
def links_share_an_inode(top):
    touch(f"{top}/a", b"one")
    before = os.stat(f"{top}/a")
    os.mkdir(f"{top}/d")
    tick()
    os.link(f"{top}/a", f"{top}/d/b")
    after = os.stat(f"{top}/d/b")
    same((after.st_ino, after.st_nlink), (before.st_ino, 2))
    holds(after.st_ctime_ns > before.st_ctime_ns, "link changes ctime")
    same(after.st_mtime_ns, before.st_mtime_ns, "link leaves mtime")
    fails("EEXIST", os.link, f"{top}/a", f"{top}/d/b")
    fails("EPERM", os.link, f"{top}/d", f"{top}/e")
    fails("ENOENT", os.link, f"{top}/none", f"{top}/e")
    os.unlink(f"{top}/a")
    drop_caches()
    same((cat(f"{top}/d/b"), os.stat(f"{top}/d/b").st_nlink), (b"one", 1))


@case
def an_unlinked_file_stays_while_open(top):
    touch(f"{top}/a", b"before")
    fd = os.open(f"{top}/a", os.O_RDWR)
    before = os.fstat(fd)
    tick()
    os.unlink(f"{top}/a")
    fails("ENOENT", os.stat, f"{top}/a")
    drop_caches()
    st = os.fstat(fd)
    same((st.st_nlink, st.st_ino), (0, before.st_ino))
    holds(st.st_ctime_ns > before.st_ctime_ns, "unlink changes ctime")
    same(os.pread(fd, 100, 0), b"before")
    os.pwrite(fd, b"AFTER", 0)
    same(os.pread(fd, 100, 0), b"AFTERe")
    touch(f"{top}/a", b"another")
    holds(os.stat(f"{top}/a").st_ino != before.st_ino, "the name's new inode is another")
    os.close(fd)
    same(cat(f"{top}/a"), b"another")


@case
def unlink_and_rmdir_refuse_the_other(top):
    os.mkdir(f"{top}/d")
    touch(f"{top}/d/f")
    fails("EISDIR", os.unlink, f"{top}/d")
    fails("ENOTDIR", os.rmdir, f"{top}/d/f")
    fails("ENOTEMPTY", os.rmdir, f"{top}/d")
    fails("ENOENT", os.unlink, f"{top}/x")
    fails("ENOENT", os.rmdir, f"{top}/x")
    fails("EINVAL", os.rmdir, f"{top}/d/.")
    os.unlink(f"{top}/d/f")
    os.rmdir(f"{top}/d")
    same(os.listdir(top), [])


@case
def a_removed_directory_holds_nothing(top):
    os.mkdir(f"{top}/d")
    fd = os.open(f"{top}/d", os.O_RDONLY)
    os.rmdir(f"{top}/d")
    same(os.fstat(fd).st_nlink, 0)
    fails("ENOENT", os.open, "x", os.O_CREAT | os.O_RDWR, dir_fd=fd)
    fails("ENOENT", os.mkdir, "x", dir_fd=fd)
    fails("ENOENT", getdents, fd, 4096)
    os.close(fd)


@case
def names_are_bytes(top):
    names = [b"a" * 255, b"...", b". .", b" ", b"-rf", b"\n", "\u00fc\u4e2d".encode(),
             bytes(c for c in range(1, 128) if c != 47), bytes(range(128, 256))]
    folder = os.fsencode(top)
    for name in names:
        touch(folder + b"/" + name, name)
    drop_caches()
    same(sorted(names_of(top)), sorted(names))
    for name in names:
        same(cat(folder + b"/" + name), name)
    fails("ENAMETOOLONG", os.stat, f"{top}/{'a' * 256}")
    fails("ENAMETOOLONG", touch, f"{top}/{'a' * 256}")
    fails("ENAMETOOLONG", os.mkdir, f"{top}/{'a' * 256}")
    fails("ENAMETOOLONG", rename, f"{top}/...", f"{top}/{'a' * 256}")
    fails("ENAMETOOLONG", os.link, f"{top}/...", f"{top}/{'a' * 256}")
    for name in names:
        os.unlink(folder + b"/" + name)


@case
def lookups_find_what_is_there_now(top):
    for name in ("a", "b"):
        fails("ENOENT", os.stat, f"{top}/{name}")
    touch(f"{top}/a")
    os.mkdir(f"{top}/b")
    os.stat(f"{top}/a")
    fails("ENOTDIR", os.stat, f"{top}/a/x")
    fails("ENOTDIR", os.stat, f"{top}/a/")
    rename(f"{top}/a", f"{top}/b/a")
    fails("ENOENT", os.stat, f"{top}/a")
    os.unlink(f"{top}/b/a")
    fails("ENOENT", os.stat, f"{top}/b/a")
    os.mkdir(f"{top}/b/a")
    holds(stat.S_ISDIR(os.stat(f"{top}/b/a").st_mode), "now a directory")


@case
def paths_may_be_deep(top):
    os.chdir(top)
    for level in range(200):
        os.mkdir(f"level-{level}")
        os.chdir(f"level-{level}")
    touch("leaf", b"deep")
    os.chdir("/")
    drop_caches()
    path = top + "".join(f"/level-{level}" for level in range(200))
    same(cat(f"{path}/leaf"), b"deep")
    fd = os.open(path, os.O_RDONLY)
    up = os.stat("../" * 200, dir_fd=fd)
    os.close(fd)
    same(up.st_ino, os.stat(top).st_ino)


# ------------------------------------------------------------------- rename


def make(path, kind):
    if kind == "file":
        touch(path, b"data of " + os.path.basename(path).encode())
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        os.symlink("nowhere", path)
    elif kind in ("dir", "full"):
        os.mkdir(path)
        if kind == "full":
            touch(f"{path}/inside")
            os.mkdir(f"{path}/below")


def rename_once(top, source, target, apart, flags):
    """The error, and what is there afterwards."""
    os.mkdir(top)
    os.mkdir(f"{top}/one")
    os.mkdir(f"{top}/two")
    old, new = f"{top}/one/old", f"{top}/{'two' if apart else 'one'}/new"
    make(old, source)
    make(new, target)
    result = error_of(rename, old, new, flags)
    return result, tree(top)


@case
def rename_does_as_tmpfs(top):
    """Each kind onto each kind, in one directory and across, with each flag."""
    reference = f"/dev/shm/zufs-{os.getpid()}"
    os.mkdir(reference)
    count, tops = 0, []
    for source in KINDS:
        for target in KINDS:
            for apart in (False, True):
                for flags in (0, RENAME_NOREPLACE, RENAME_EXCHANGE,
                              RENAME_NOREPLACE | RENAME_EXCHANGE):
                    what = f"{source} to {target}, apart {apart}, flags {flags}"
                    want = rename_once(f"{reference}/{count}", source, target, apart, flags)
                    got = rename_once(f"{top}/{count}", source, target, apart, flags)
                    same(got, want, what)
                    tops.append((what, f"{top}/{count}", want[1]))
                    count += 1
    drop_caches()
    for what, folder, want in tops:
        same(tree(folder), want, f"{what}, asked again")
    check_consistent(top)
    os.system(f"rm -rf {reference}")


@case
def rename_refuses_loops_and_whiteouts(top):
    os.makedirs(f"{top}/a/b/c")
    touch(f"{top}/f")
    fails("EINVAL", rename, f"{top}/a", f"{top}/a/x")
    fails("EINVAL", rename, f"{top}/a", f"{top}/a/b/c")
    fails("ENOTEMPTY", rename, f"{top}/a/b/c", f"{top}/a")
    fails("EINVAL", rename, f"{top}/a", f"{top}/a/b", RENAME_EXCHANGE)
    fails("EINVAL", rename, f"{top}/a/b", f"{top}/a", RENAME_EXCHANGE)
    fails("EBUSY", rename, f"{top}/a/.", f"{top}/x")
    fails("EINVAL", rename, f"{top}/f", f"{top}/g", RENAME_WHITEOUT | RENAME_EXCHANGE)
    same(sorted(os.listdir(top)), ["a", "f"])


@case
def rename_of_two_names_of_one_inode_does_nothing(top):
    touch(f"{top}/a")
    os.link(f"{top}/a", f"{top}/b")
    rename(f"{top}/a", f"{top}/b")
    same(sorted(os.listdir(top)), ["a", "b"])
    same(os.stat(f"{top}/a").st_nlink, 2)


@case
def rename_moves_the_very_inode(top):
    os.makedirs(f"{top}/x")
    os.makedirs(f"{top}/d/sub")
    touch(f"{top}/d/f", b"data")
    fd = os.open(f"{top}/d", os.O_RDONLY)
    before, parent = os.stat(f"{top}/d"), os.stat(f"{top}/x")
    tick()
    rename(f"{top}/d", f"{top}/x/e")
    after = os.stat(f"{top}/x/e")
    same(after.st_ino, before.st_ino)
    holds(after.st_ctime_ns > before.st_ctime_ns, "rename changes ctime")
    same(after.st_mtime_ns, before.st_mtime_ns, "rename leaves mtime")
    now = os.stat(f"{top}/x")
    holds(now.st_mtime_ns > parent.st_mtime_ns, "rename changes the directory's mtime")
    same((now.st_nlink, os.stat(top).st_nlink), (3, 3))
    same(os.stat("..", dir_fd=fd).st_ino, now.st_ino, "parent")
    touch(f"{top}/x/e/g")
    same(sorted(os.listdir(fd)), ["f", "g", "sub"])
    os.close(fd)


@case
def rename_onto_an_open_file_keeps_it(top):
    touch(f"{top}/a", b"new")
    touch(f"{top}/b", b"old")
    fd = os.open(f"{top}/b", os.O_RDONLY)
    rename(f"{top}/a", f"{top}/b")
    same((os.fstat(fd).st_nlink, os.read(fd, 10), cat(f"{top}/b")), (0, b"old", b"new"))
    os.close(fd)


@case
def sticky_directories_guard_names(top):
    os.chmod(top, 0o1777)
    touch(f"{top}/root")
    as_user(touch, f"{top}/theirs")
    as_user(lambda: fails("EPERM", os.unlink, f"{top}/root"))
    as_user(lambda: fails("EPERM", rename, f"{top}/root", f"{top}/x"))
    as_user(lambda: fails("EPERM", rename, f"{top}/theirs", f"{top}/root"))
    as_user(os.unlink, f"{top}/theirs")


@case
def permissions_of_directories_hold(top):
    os.mkdir(f"{top}/d", 0o711)
    touch(f"{top}/d/f", b"data")
    as_user(lambda: same(cat(f"{top}/d/f"), b"data"))
    as_user(lambda: fails("EACCES", os.listdir, f"{top}/d"))
    for action in (lambda: touch(f"{top}/d/x"), lambda: os.unlink(f"{top}/d/f"),
                   lambda: os.mkdir(f"{top}/d/x"), lambda: rename(f"{top}/d/f", f"{top}/d/g")):
        as_user(lambda do=action: same(error_of(do), "EACCES"))
    os.chmod(f"{top}/d", 0o700)
    as_user(lambda: fails("EACCES", os.stat, f"{top}/d/f"))
    os.chmod(f"{top}/d", 0o755)
    as_user(os.stat, f"{top}/d/f")


if __name__ == "__main__":
    main()
