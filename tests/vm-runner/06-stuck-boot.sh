#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a machine that comes to a stand while it boots is booted again, once, and says so.
# TIMEOUT: 180
. "$TOP/tests/vm-runner/lib.sh"

# As many machines as the file has lines have firmware that goes round in a circle: all but
# the processor's first instruction, 16 bytes in front of the end, is without meaning
real=$(command -v qemu-system-x86_64)
head -c 65520 /dev/zero >circle
printf '\xeb\xfe%14s' '' >>circle
mkdir bin
cat >bin/qemu-system-x86_64 <<EOF
#!/bin/sh
if [ -s "$PWD/stuck" ]; then
	sed -i 1d "$PWD/stuck"
	set -- "\$@" -bios "$PWD/circle"
fi
exec "$real" "\$@"
EOF
chmod +x bin/qemu-system-x86_64
PATH=$PWD/bin:$PATH

echo >stuck
expect 7 --hang 10 -- sh -c 'echo alive; echo alive >&2; exit 7'
[ "$(cat out)" = alive ] || fail "not what the second machine said"
expect_line err '^alive$'
[ "$(grep -c 'is booted again' err)" = 1 ] || fail "it does not say so"
log=$(sed -n 's/.*its log is //p' err)
[ -e "$log" ] || fail "the log is not kept"
rm "$log"

printf '\n\n\n' >stuck
expect 121 --hang 5 -- true
[ "$(grep -c 'is booted again' err)" = 1 ] || fail "more than one more try"
expect_line err 'no sign of life'
[ "$(wc -l <stuck)" = 1 ] || fail "more than two machines"
rm "$(sed -n 's/.*its log is //p' err)"
drop_kept
