#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: inodes have the label that a security module gives them from the call on that makes
#	them, whiteouts among them, and in the next mount, too; a mount can have one for all.
#	None is stored where the module keeps none: without a policy, or with one for all.
#	A policy that is loaded stays for the rest of the boot.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

[ -d /sys/fs/selinux ] || skip "this kernel has no SELinux"
types() { python3 -c '
import os, sys
for name in sys.argv[1:]:
    print(name, os.getxattr(name, "security.selinux").decode().split(":")[2])' "$@"; }
stored() { python3 -c 'import os, sys; print(*sorted(os.listxattr(sys.argv[1])))' "$1"; }
none_stored() { [ -z "$(stored "$1")" ] || fail "$1 has $(stored "$1")"; }

mountpoint -q /sys/fs/selinux || mount -t selinuxfs selinuxfs /sys/fs/selinux
secilc -c 33 -o policy -f /dev/null "$TOP/tests/labels/labels.cil"

zufs_up toyfs keep
touch mnt/no-policy
mkdir mnt/no-policy-dir
none_stored mnt/no-policy
none_stored mnt/no-policy-dir
dd if=policy of=/sys/fs/selinux/load bs=1M status=none
PYTHONPATH=$TOP/tests/conformance/posix python3 "$TOP/tests/labels/labels.py" mnt
mkdir mnt/dir
python3 -c 'import os; os.setxattr("mnt/dir", "security.selinux", b"user_u:object_r:made_here_t:s0\0")'
touch mnt/file mnt/dir/file
types mnt/file mnt/dir mnt/dir/file >before
umount mnt
mount -t ztoyfs -o keep /dev/pmem0 mnt
types mnt/file mnt/dir mnt/dir/file >after
diff before after
grep -q "mnt/dir/file file_here_t" after || fail "the policy's label is not there"
umount mnt

# mount(8) leaves this option out on a machine that is not set up for SELinux
busybox mount -t ztoyfs -o keep,context=user_u:object_r:other_t:s0 /dev/pmem0 mnt
[ "$(types mnt/dir mnt/dir/file | cut -d' ' -f2 | sort -u)" = other_t ] || fail "not one for all"
touch mnt/dir/one-for-all
none_stored mnt/dir/one-for-all
[ "$(stored mnt/dir/file)" = security.selinux ] || fail "the stored one is gone"
grep -q "mnt ztoyfs .*context=user_u:object_r:other_t:s0" /proc/mounts
no_rule_broken
zufs_down toyfs
