#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: QEMU ends with ci/vm, however that ends, and SIGTERM leaves no file.
# TIMEOUT: 120
. "$TOP/tests/vm-runner/lib.sh"

# begin DIR: a machine in the background that has reached its command
begin()
{
	local line
	mkfifo "$1.fifo"
	"$TOP/ci/vm" --out "$PWD/$1" -- sh -c 'echo begun; while :; do :; done' \
		>"$1.fifo" 2>"$1.err" &
	VM=$!
	exec 5<"$1.fifo"
	read -r line <&5
	[ "$line" = begun ] || fail "the machine did not begin"
	QEMU=$(pgrep -f "qemu-system.*path=$PWD/$1,") || fail "no QEMU is there"
	RUN=$(tr '\0' '\n' <"/proc/$QEMU/cmdline" | sed -n 's/.*path=\(.*\)\/control$/\1/p')
	[ -d "$RUN" ] || fail "no folder of the run"
}

# The end of its output is the end of QEMU and of all who held the stream
finished() { cat <&5 >/dev/null; tail --pid="$QEMU" -f /dev/null; }

begin term
kill -TERM $VM
finished
status=0
wait $VM || status=$?
[ $status = 143 ] || fail "status $status, not 143"
[ ! -e "$RUN" ] || fail "$RUN is left"

begin kill
kill -KILL $VM
finished
rm -r "$RUN"
