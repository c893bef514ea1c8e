#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
File locks that the server decides on (toyfs with the mount option locks): fcntl's of
processes and of open files, flock's. What a kernel's own filesystem does is the measure.
Without the option all of it stays here.
"""

import fcntl
import random
import select
import signal
import stat

from fslib import *

REMOTE = 1 << 30 | 264 << 16 | 0xE7 << 8 | 4
REMOTE_LOCK, REMOTE_FLOCK = 6, 0x100
RD, WR, UN = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
GET, SET, SETW = 5, 6, 7
OFD = 31                                # more than the same of POSIX
RETRY = "/sys/module/zuf/parameters/lock_retry_ms"
NEVER = 3600 * 1000


def lock(fd, cmd, kind, start=0, length=0):
    """What fcntl(2) leaves in its struct: (type, start, length, pid)."""
    args = struct.pack("=hh4xqqi4x", kind, os.SEEK_SET, start, length, 0)
    kind, _, start, length, pid = struct.unpack("=hh4xqqi4x", fcntl.fcntl(fd, cmd, args))
    return kind, start, length, pid


def who(fd, kind=WR, start=0, length=0, cmd=GET):
    found = lock(fd, cmd, kind, start, length)
    return None if found[0] == UN else found


def remote(top, name, mode):
    """As if another machine did it, which meets a lock until its end was told."""
    told(top)
    fd = os.open(top, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, REMOTE, struct.pack("=II128s128s", REMOTE_LOCK, mode, os.fsencode(name), b""))
    finally:
        os.close(fd)


def listed(path):
    """What /proc/locks has of a file: {(sort, type, pid, start, end)}."""
    st = os.stat(path)
    name = f"{os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x}:{st.st_ino}"
    with open("/proc/locks") as file:
        lines = [line.split() for line in file]
    return {(f[1], f[3], f[4], f[6], f[7]) for f in lines if f[5] == name}


def same_listed(path, want):
    """/proc/locks has of the file what it should."""
    if not lacks("proc-locks"):
        same(listed(path), want)


def same_of_file(found, want):
    """A lock of an open file, which says so in place of a pid."""
    if lacks("lock-kinds"):
        found, want = found[:3], want[:3]
    same(found, want)


def retry_after(ms):
    if lacks("lock-retry"):
        return
    with open(RETRY, "w") as file:
        file.write(str(ms))


class Child:
    """A process that calls a function, says how that ended, and stays until it may go."""

    def __init__(self, function):
        self.answer, answer = os.pipe()
        go, self.go = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(answer)
            os.close(go)
            return
        try:
            os.close(self.go)
            os.close(self.answer)
            os.write(answer, error_of(function).encode())
            os.read(go, 1)
        finally:
            os._exit(0)

    def ready(self):
        return bool(select.select([self.answer], [], [], 0)[0])

    def result(self):
        return os.read(self.answer, 64).decode()

    def end(self, sig=None):
        if sig:
            os.kill(self.pid, sig)
        else:
            os.write(self.go, b"x")     # later children have the pipe, too
        os.close(self.go)
        os.waitpid(self.pid, 0)
        os.close(self.answer)


def waiting(function):
    """A child that the server has sent away once, so that it waits, or soon does."""
    before = asked("lock")
    child = Child(function)
    while asked("lock") == before:
        holds(not child.ready(), "did not wait")
        select.select([], [], [], 0.001)
    return child


def opened(path, flags=os.O_RDWR | os.O_CREAT):
    return os.open(path, flags, 0o644)


# What there is to wait by, each on a file that it opens itself, so that no other owner is it.
def take_posix(path):
    lock(opened(path), SETW, WR)


def take_ofd(path):
    take_ofd.kept = opened(path)
    lock(take_ofd.kept, SETW + OFD, WR)


def take_flock(path):
    take_flock.kept = opened(path)
    fcntl.flock(take_flock.kept, fcntl.LOCK_EX)


def let_go(take, path):
    os.close(opened(path) if take is take_posix else take.kept)


TAKES = (take_posix, take_ofd, take_flock)


@case
def ranges(top):
    """Locks of one process, as another sees them."""
    path = f"{top}/f"
    fd, me = opened(path), os.getpid()

    def seen(*want):
        def look():
            other, found, start = opened(path), [], 0
            while True:
                one = who(other, WR, start)
                if not one:
                    break
                found.append((one[0], one[1], one[2]))
                same(one[3], me, "pid")
                if not one[2]:
                    break
                start = one[1] + one[2]
            same(found, list(want))
        child = Child(look)
        same(child.result(), "ok")
        child.end()

    lock(fd, SET, WR, 10, 10)
    seen((WR, 10, 10))
    lock(fd, SET, UN, 14, 2)
    seen((WR, 10, 4), (WR, 16, 4))
    lock(fd, SET, RD, 14, 2)
    seen((WR, 10, 4), (RD, 14, 2), (WR, 16, 4))
    lock(fd, SET, WR, 14, 2)
    seen((WR, 10, 10))
    lock(fd, SET, RD, 0, 12)
    seen((RD, 0, 12), (WR, 12, 8))
    lock(fd, SET, RD)
    seen((RD, 0, 0))
    lock(fd, SET, UN, 5, 0)
    seen((RD, 0, 5))
    same_listed(path, {("POSIX", "READ", str(me), "0", "4")})
    lock(fd, SET, UN)
    seen()
    # its own are in nobody's way but others'
    lock(fd, SET, WR)
    same(who(fd), None)
    same(who(opened(path)), None)
    if not lacks("lock-kinds"):
        same(who(fd, cmd=GET + OFD)[3], me)
    fails("EBADF", lock, os.open(path, os.O_RDONLY), SET, WR)
    fails("EINVAL", lock, fd, SET, WR, -1)


@case
def owners(top):
    path = f"{top}/f"
    fd, other = opened(path), opened(path)
    lock(fd, SET + OFD, WR, 0, 10)
    same(who(fd, cmd=GET + OFD), None)
    same_of_file(who(other, RD, 5, 1, GET + OFD), (WR, 0, 10, -1))
    same_of_file(who(other), (WR, 0, 10, -1))
    fails("EAGAIN", lock, other, SET + OFD, RD, 9, 1)
    fails("EAGAIN", lock, other, SET, RD, 9, 1)
    lock(other, SET + OFD, WR, 10, 1)
    # flock's are others
    fcntl.flock(fd, fcntl.LOCK_EX)
    fails("EAGAIN", fcntl.flock, other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    lock(fd, SET + OFD, UN)
    fails("EAGAIN", fcntl.flock, other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.flock(fd, fcntl.LOCK_SH)
    fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    if not lacks("proc-locks"):
        same({line[0:2] for line in listed(path)}, {("FLOCK", "READ"), ("OFDLCK", "WRITE")})
    # of a directory, too
    top_fd, again = os.open(top, os.O_RDONLY), os.open(top, os.O_RDONLY)
    before = asked("lock")
    fcntl.flock(top_fd, fcntl.LOCK_EX)
    fails("EAGAIN", fcntl.flock, again, fcntl.LOCK_SH | fcntl.LOCK_NB)
    holds(lacks("directory-locks") or asked("lock") > before, "the server has decided")
    os.close(top_fd)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case
def ends_that_unlock(top):
    """Whoever closes, exits or is killed has nothing any more, and the next has it at once."""
    path = f"{top}/f"
    for index, take in enumerate(TAKES):
        for sig in (None, signal.SIGKILL):
            child = Child(lambda: take(path))
            same(child.result(), "ok")
            blocked = Child(lambda: lock(opened(path), SET, RD) if index < 2 else
                            fcntl.flock(opened(path), fcntl.LOCK_SH | fcntl.LOCK_NB))
            same(blocked.result(), "EAGAIN")
            blocked.end()
            child.end(sig)
            take(path)
            let_go(take, path)
            same_listed(path, set())
        child = Child(lambda: take(path))
        same(child.result(), "ok")
        child.end()
    # a process' end with any close of the file, an open file's with the last one
    fd, other = opened(path), opened(path)
    lock(fd, SET, WR)
    os.close(other)
    same_listed(path, set())
    lock(fd, SET + OFD, WR)
    twin = os.dup(fd)
    os.close(fd)
    holds(lacks("proc-locks") or listed(path), "its twin has it")
    child = Child(lambda: os.close(twin))
    same(child.result(), "ok")
    child.end()
    other = opened(path)
    same_of_file(who(other), (WR, 0, 0, -1))
    os.close(twin)
    same(who(other), None)


@case
def waits_end(top):
    """By an unlock, a close, a death; only by the server's word, as nobody asks again."""
    path = f"{top}/f"
    retry_after(NEVER)
    for take in TAKES:
        for how in ("unlock", "close", "death"):
            fd = opened(path)
            holder = None
            if how == "death":
                holder = Child(lambda: take(path))
                same(holder.result(), "ok")
            elif take is take_flock:
                fcntl.flock(fd, fcntl.LOCK_SH)
            else:
                lock(fd, SET + (OFD if take is take_ofd else 0), RD, 5, 1)
            # a file that they share with this process would not be closed here
            waiters = [waiting(lambda: (os.close(fd), take(path))) for _ in range(2)]
            holds(not any(w.ready() for w in waiters), f"{take.__name__} {how}: did not wait")
            if how == "death":
                holder.end(signal.SIGKILL)
            elif how == "close":
                os.close(fd)
            elif take is take_flock:
                fcntl.flock(fd, fcntl.LOCK_UN)
            else:
                lock(fd, SET + (OFD if take is take_ofd else 0), UN)
            while waiters:
                ready = select.select([w.answer for w in waiters], [], [])[0]
                same(len(ready), 1, "who has it")
                first = [w for w in waiters if w.answer == ready[0]][0]
                same(first.result(), "ok", f"{take.__name__} {how}")
                first.end()
                waiters.remove(first)
            if how != "close":
                os.close(fd)
    retry_after(1000)


@case
def waits_end_by_asking_again(top):
    """The server has nobody to tell that it is its turn, but the clock."""
    path = f"{top}/f"
    fd = opened(path)
    lock(fd, SET, WR)
    retry_after(5)
    child = waiting(lambda: take_posix(path))
    before = asked("lock")
    while asked("lock") < before + 5:
        select.select([], [], [], 0.001)
    lock(fd, SET, UN)
    same(child.result(), "ok")
    child.end()
    retry_after(1000)


@case
def other_machines(top):
    path = f"{top}/f"
    fd = opened(path)
    retry_after(NEVER)
    remote(top, "f", RD)
    same(who(fd), (RD, 0, 0, 0))
    same(who(fd, RD), None)
    lock(fd, SET, RD, 3, 3)
    fails("EBUSY", remote, top, "f", WR)
    fails("EAGAIN", lock, fd, SET, WR, 3, 3)
    fails("EAGAIN", lock, fd, SET + OFD, WR)
    if not lacks("proc-locks"):
        same(len(listed(path)), 1)
    lock(fd, SET, UN)
    remote(top, "f", WR)
    remote(top, "f", WR | REMOTE_FLOCK)
    fails("EAGAIN", fcntl.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    waiters = [waiting(lambda take=take: take(path)) for take in TAKES]
    for child in waiters:
        holds(not child.ready(), "did not wait")
    remote(top, "f", UN)
    while len(select.select([w.answer for w in waiters[:2]], [], [])[0]) != 1:
        raise AssertionError("two have it")
    holds(not waiters[2].ready(), "flock's are others")
    remote(top, "f", UN | REMOTE_FLOCK)
    for child in waiters[2:] + sorted(waiters[:2], key=lambda w: not w.ready()):
        same(child.result(), "ok")
        child.end()
    retry_after(1000)


@case
def signals(top):
    path = f"{top}/f"
    retry_after(NEVER)
    fd = opened(path)
    remote(top, "f", WR)
    remote(top, "f", WR | REMOTE_FLOCK)

    def stopped(*_):
        raise InterruptedError(errno.EINTR, "signal")

    def catch(take, restart):
        seen = []
        signal.signal(signal.SIGUSR1, (lambda *_: seen.append(1)) if restart else stopped)
        signal.siginterrupt(signal.SIGUSR1, not restart)
        take(path)
        holds(seen, "the signal has come")

    for take in TAKES:
        child = waiting(lambda: catch(take, False))
        os.kill(child.pid, signal.SIGUSR1)
        same(child.result(), "EINTR", take.__name__)
        child.end()
        # nobody knows how it ends
        child = waiting(lambda: take(path))
        child.end(signal.SIGKILL)
        same_listed(path, set())
    # what restarts goes on waiting
    for take in TAKES:
        child = waiting(lambda: catch(take, True))
        before = asked("lock")
        os.kill(child.pid, signal.SIGUSR1)
        while asked("lock") == before:
            holds(not child.ready(), "it has not got it")
            select.select([], [], [], 0.001)
        mode = REMOTE_FLOCK if take is take_flock else 0
        remote(top, "f", UN | mode)
        same(child.result(), "ok")
        child.end()
        remote(top, "f", WR | mode)
    remote(top, "f", UN)
    remote(top, "f", UN | REMOTE_FLOCK)
    same(who(fd), None)
    retry_after(1000)


@case
def who_has_none_makes_no_call(top):
    path = f"{top}/f"
    keeper = opened(path)
    os.stat(path)
    lock(keeper, SET, WR)
    lock(keeper, SET, UN)
    # each file closed here has nothing, also while another has
    holder = Child(lambda: take_ofd(path))
    same(holder.result(), "ok")
    before = asked("lock"), asked("batch")
    for _ in range(10):
        fd = opened(path)
        lock(fd, SET, UN)
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)
    same((asked("lock"), asked("batch")), before)
    holder.end()


@case
def two_that_share_get_on(top):
    """flock(2): a lock is let go before it is made another, so nobody waits for ever."""
    path = f"{top}/f"
    retry_after(NEVER)
    mine = opened(path)
    fcntl.flock(mine, fcntl.LOCK_SH)

    def upgrade(go):
        upgrade.fd = opened(path)
        fcntl.flock(upgrade.fd, fcntl.LOCK_SH)
        os.read(go, 1)
        fcntl.flock(upgrade.fd, fcntl.LOCK_EX)
        fcntl.flock(upgrade.fd, fcntl.LOCK_UN)

    def until(calls, lines):
        """They have come so far: /proc/locks says it, or by how often the server was asked."""
        while (asked("lock") < before + calls if lacks("proc-locks") else
               listed(path) != lines and len(listed(path)) != lines):
            select.select([], [], [], 0.001)

    go, tell = os.pipe()
    before = asked("lock")
    children = [Child(lambda: upgrade(go)) for _ in range(2)]
    until(2, 3)
    os.write(tell, b"gg")
    until(6, {("FLOCK", "READ", str(os.getpid()), "0", "EOF")})
    holds(not any(c.ready() for c in children), "one of three")
    fcntl.flock(mine, fcntl.LOCK_EX)
    fcntl.flock(mine, fcntl.LOCK_UN)
    for child in children:
        same(child.result(), "ok")
        child.end()
    retry_after(1000)


class Worker:
    """Does the same with two files, and says what each answered."""

    def __init__(self, paths):
        self.read, write = os.pipe()
        read, self.write = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(write)
            os.close(read)
            return
        status = 1
        try:
            os.close(self.read)
            os.close(self.write)
            self.serve(paths, os.fdopen(read), os.fdopen(write, "w"))
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        finally:
            os._exit(status)

    @staticmethod
    def serve(paths, read, write):
        fds = [[opened(path) for path in paths] for _ in range(3)]
        for line in read:
            what, index, *args = eval(line)
            if what == "end":
                return
            if what == "reopen":
                for which, path in enumerate(paths):
                    os.close(fds[index][which])
                    fds[index][which] = opened(path)
                print(["ok", "ok"], file=write, flush=True)
                continue
            call = fcntl.flock if what == "flock" else lock
            print([error_of(call, fd, *args) if what != "get" else
                   bool(who(fd, *args)) for fd in fds[index]], file=write, flush=True)

    def do(self, *command):
        os.write(self.write, (repr(command) + "\n").encode())
        line = b""
        while not line.endswith(b"\n"):
            more = os.read(self.read, 4096)
            holds(more, "a worker is gone")
            line += more
        return eval(line)

    def end(self, sig=None):
        if sig:
            os.kill(self.pid, sig)
        else:
            os.write(self.write, b'"end", 0\n')
        os.close(self.write)
        os.close(self.read)
        os.waitpid(self.pid, 0)


@case
def as_a_local_filesystem(top):
    """The same by three processes on tmpfs: answers, /proc/locks, what each byte is."""
    seed = 72
    print(f"seed {seed}")
    draw = random.Random(seed)
    paths = f"{top}/f", "/run/locks-model"
    workers = [Worker(paths) for _ in range(3)]
    for step in range(500):
        which, fd = draw.randrange(3), draw.randrange(3)
        start, length = draw.randrange(20), draw.choice((0, 1, 1, 2, 3, 5, 8))
        what = draw.choice(("posix", "posix", "ofd", "ofd", "flock", "get", "reopen", "die"))
        kind = draw.choice((RD, RD, WR, UN))
        if what == "posix":
            command = "lock", fd, SET, kind, start, length
        elif what == "ofd":
            command = "lock", fd, SET + OFD, kind, start, length
        elif what == "flock":
            command = "flock", fd, fcntl.LOCK_NB | {RD: fcntl.LOCK_SH, WR: fcntl.LOCK_EX,
                                                    UN: fcntl.LOCK_UN}[kind]
        elif what == "get":
            command = "get", fd, draw.choice((RD, WR)), start, length, draw.choice((GET, GET + OFD))
        elif what == "die" and step % 10 == 0:
            workers[which].end(draw.choice((None, signal.SIGKILL)))
            workers[which] = Worker(paths)
            continue
        else:
            command = "reopen", fd
        here, there = workers[which].do(*command)
        same(here, there, f"step {step}: {which} {command}")
        if not lacks("proc-locks"):
            same(listed(paths[0]), listed(paths[1]), f"step {step}: {which} {command}")
        if step % 50 == 49:
            fds = [opened(path) for path in paths]
            for byte in range(30):
                for kind in (RD, WR):
                    here, there = [bool(who(fd, kind, byte, 1)) for fd in fds]
                    same(here, there, f"step {step}: byte {byte}")
            for fd in fds:
                os.close(fd)
    for worker in workers:
        worker.end()
    fd = opened(paths[0])
    same(who(fd), None, "something is left")


@case
def one_at_a_time(top):
    """A number that each reads and writes anew; some are killed while they have it."""
    path, times = f"{top}/f", 40
    fd = opened(path)
    os.pwrite(fd, (0).to_bytes(8, "little"), 0)

    def count(how):
        for _ in range(times):
            fd = opened(path)
            if how == 0:
                lock(fd, SETW, WR, 0, 8)
            elif how == 1:
                lock(fd, SETW + OFD, WR)
            number = int.from_bytes(os.pread(fd, 8, 0), "little")
            os.pwrite(fd, (number + 1).to_bytes(8, "little"), 0)
            if how == 1:
                lock(fd, SET + OFD, UN)
            os.close(fd)

    def be_killed():
        take_ofd(path)
        os.kill(os.getpid(), signal.SIGKILL)

    children = [Child(lambda how=how: count(how)) for how in (0, 0, 1)]
    for _ in range(20):
        pid = os.fork()
        if not pid:
            be_killed()
        os.waitpid(pid, 0)
    for child in children:
        same(child.result(), "ok")
        child.end()
    same(int.from_bytes(os.pread(fd, 8, 0), "little"), 3 * times)
    same_listed(path, set())


def locks_of_this_kernel(top):
    """Without the mount option the server is asked nothing, and all of it works."""
    path = f"{top}/f"
    fd = opened(path)
    for take in TAKES:
        child = Child(lambda: take(path))
        same(child.result(), "ok")
        if take is take_flock:
            fails("EAGAIN", fcntl.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        else:
            fails("EAGAIN", lock, fd, SET, RD)
        child.end()
    same(asked("lock"), 0)
    fails("ENOTSUP", remote, top, "f", WR)


def has_option(mount):
    """What was mounted with the option locks; FUSE's mounts do not tell their plugin's options."""
    if "ZUFS_OPTIONS" in os.environ:
        return "locks" in os.environ["ZUFS_OPTIONS"].split(",")
    with open("/proc/self/mountinfo") as mounts:
        return any(f" {mount} " in m and "locks" in m.split()[-1] for m in mounts)


if not has_option(os.path.abspath(sys.argv[1])):
    CASES[:] = [locks_of_this_kernel]
main()
