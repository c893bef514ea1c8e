#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: what the machine says over its control port may come in parts, with time between.
# TIMEOUT: 60
. "$TOP/tests/vm-runner/lib.sh"

# In the emulator's place: it says each part of a line later than the runner looks for it
mkdir bin
cat >bin/qemu-system-x86_64 <<'EOF'
#!/bin/bash
for word; do
	case $word in *path=*/control) run=${word##*path=} run=${run%/control} ;; esac
done
exec 3>"$run/stdout" 4>"$run/stderr" 5>"$run/control"
printf u >&5; sleep 3
printf 'p\nbe' >&5; sleep 2
printf 'at\nexit ' >&5
echo hello >&3
echo '7 0' >&5
EOF
chmod +x bin/qemu-system-x86_64
PATH=$PWD/bin:$PATH

expect 7 --accel tcg --hang 20 -- true
[ "$(cat out)" = hello ] || fail "its output did not pass"
