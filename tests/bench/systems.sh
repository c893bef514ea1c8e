# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The systems that are compared, each put on the same device or node with files of the
# same size. Sourced in the guest by demo-guest.sh and bench-guest.sh.
#
#   system_up NAME CLIENTS FILES   mounts it, lays out its files; sets SYSTEM_FILES,
#                                  SYSTEM_OPTIONS and SYSTEM_DIRECT; status 3: it is not
#                                  measured with such a number of files
#   system_down                    unmounts it
# shellcheck disable=SC2034  # who sources this uses the variables

BENCH_DEV=${BENCH_DEV:-/dev/pmem0}
BENCH_NODE=${BENCH_NODE:-0}
BENCH_MIB=${BENCH_MIB:-128}
BENCH_MNT=/run/bench/mnt
BENCH_BIN=$TOP/build/tests/bench
BENCH_SYSTEMS=${BENCH_SYSTEMS:-nullfs-leased nullfs-call nullfs-call-done nullfs-inline toyfs \
ext4-dax xfs-dax tmpfs fuse-null fuse-null-pinned}

SYSTEM=
SYSTEM_FILES=()
SYSTEM_OPTIONS=
SYSTEM_DIRECT=1
SYSTEM_NOTE=
declare -A FUSE_BEST=()

# Options of the mount as the kernel shows them
mount_options()
{
	awk -v dir="$BENCH_MNT" '$2 == dir { opts = $3 ":" $4 } END { print opts }' /proc/mounts
}

# Every file whole before the first measured write: nobody measures allocation
lay_out()
{
	local count=$1 i
	SYSTEM_FILES=()
	for ((i = 0; i < count; i++)); do
		SYSTEM_FILES+=("$BENCH_MNT/data$i")
		dd if=/dev/zero of="$BENCH_MNT/data$i" bs=1M count="$BENCH_MIB" conv=fsync \
			status=none || return 1
	done
}

# leased-library: zuf's own copy switched off. Several files are for leases only: what a call
# costs does not depend on the file.
up_nullfs()
{
	local mode=${1%-library} files=$2 i
	[ "$files" = 1 ] || [ "$mode" = leased ] || return 3
	"$TOP/build/zus/mkfs.zufs" -t znullfs -f "$BENCH_DEV" >/dev/null &&
		mount -t znullfs -o "mode=$mode,files=$files,size=$((BENCH_MIB << 20))" \
			"$BENCH_DEV" "$BENCH_MNT" || return 1
	SYSTEM_FILES=("$BENCH_MNT/data")
	for ((i = 1; i < files; i++)); do
		SYSTEM_FILES+=("$BENCH_MNT/data$i")
	done
	[ "$1" = "$mode" ] || fast_copy_off
}

# Each write to another place, committed by a word or by MAP_DONE
up_nullfs_cow()
{
	[ "$2" = 1 ] || return 3
	"$TOP/build/zus/mkfs.zufs" -t znullfs -f "$BENCH_DEV" >/dev/null &&
		mount -t znullfs -o "cow=$1,size=$((BENCH_MIB << 20))" "$BENCH_DEV" \
			"$BENCH_MNT" || return 1
	SYSTEM_FILES=("$BENCH_MNT/data")
}

fast_copy_off()
{
	local switch
	switch=$(echo /sys/fs/zuf/mounts/*/fast_copy)
	SYSTEM_NOTE=" (fast_copy=0)"
	echo 0 >"$switch"
}

up_toyfs()
{
	"$TOP/build/zus/mkfs.zufs" -t ztoyfs -f "$BENCH_DEV" >/dev/null &&
		mount -t ztoyfs "$BENCH_DEV" "$BENCH_MNT" && lay_out "$1"
}

# null-dax or null-dax-library: what the kernel itself could do at best
up_null_dax()
{
	local copy=own files=$2 i
	[ "$1" = null-dax ] || copy=library
	grep -qw znulldax /proc/filesystems ||
		insmod "$TOP/build/null-dax/$VM_KERNEL/null-dax.ko" || return 1
	mount -t znulldax -o "copy=$copy,files=$files,size=$((BENCH_MIB << 20))" "$BENCH_DEV" \
		"$BENCH_MNT" || return 1
	SYSTEM_FILES=()
	for ((i = 0; i < files; i++)); do
		SYSTEM_FILES+=("$BENCH_MNT/data$i")
	done
}

# The initialisation that ext4 would do in the background is done at once
up_ext4()
{
	mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$BENCH_DEV" &&
		mount -t ext4 -o dax=always "$BENCH_DEV" "$BENCH_MNT" && lay_out "$1"
}

up_xfs()
{
	mkfs.xfs -q -f "$BENCH_DEV" && mount -t xfs -o dax=always "$BENCH_DEV" "$BENCH_MNT" &&
		lay_out "$1"
}

# tmpfs takes O_DIRECT from Linux 6.6 on
up_tmpfs()
{
	mount -t tmpfs -o "size=$((BENCH_MIB * $1 + 16))m,mpol=bind:$BENCH_NODE" tmpfs \
		"$BENCH_MNT" && lay_out "$1" || return 1
	dd if="$BENCH_MNT/data0" of=/dev/null iflag=direct bs=4k count=1 status=none 2>/dev/null ||
		SYSTEM_DIRECT=0
}

# fuse_mount SETTING PLACE FILES: SETTING is THREADS or THREADS-splice; PLACE is free or
# pinned. A server thread that is pinned sits on the CPU of the client of the same number.
fuse_mount()
{
	local threads=${1%-splice} args=() files=$3
	[ "$1" = "$threads" ] || args+=(--splice)
	if [ "$2" = pinned ]; then
		args+=(--pin "$(seq -s, 0 $((threads - 1)))")
	fi
	FUSE_LINE=$("$BENCH_BIN/fuse-null" --size $((BENCH_MIB << 20)) --files "$files" \
		--threads "$threads" --node "$BENCH_NODE" "${args[@]}" "$BENCH_MNT") || return 1
	FUSE_PID=${FUSE_LINE##*pid=}
	FUSE_LINE=${FUSE_LINE% pid=*}
}

# The fastest of four settings, by a short trial of each with as many clients as there
# will be: one server thread or one a client, splice off or on.
fuse_tune()
{
	local place=$1 clients=$2 setting iops top=0 best=1
	local settings=(1 1-splice)
	[ -z "${FUSE_BEST[$place$clients]:-}" ] || return 0
	settings+=($((clients > 1 ? clients : 2)) $((clients > 1 ? clients : 2))-splice)
	for setting in "${settings[@]}"; do
		# A second thread on the one client's CPU helps nobody
		[ "$place$clients" = pinned1 ] && [ "${setting%-splice}" != 1 ] && continue
		fuse_mount "$setting" "$place" 1 || return 1
		iops=$(fio_iops "$(fio_run randwrite dsync 1 "$clients" 1 1 "$BENCH_MNT/data0")")
		umount "$BENCH_MNT"
		if [ "${iops%.*}" -gt "$top" ]; then
			top=${iops%.*} best=$setting
		fi
	done
	FUSE_BEST[$place$clients]=$best
	say "  fuse-null $place, $clients client(s): best of the trials is $best thread(s)"
}

up_fuse()
{
	local place=$1 clients=$2 files=$3 i
	fuse_tune "$place" "$clients" &&
		fuse_mount "${FUSE_BEST[$place$clients]}" "$place" "$files" || return 1
	SYSTEM_FILES=()
	for ((i = 0; i < files; i++)); do
		SYSTEM_FILES+=("$BENCH_MNT/data$i")
	done
}

system_up()
{
	local name=$1 clients=$2 files=$3 status=0
	mkdir -p "$BENCH_MNT"
	SYSTEM=$name SYSTEM_DIRECT=1 SYSTEM_NOTE='' FUSE_LINE=
	case $name in
	nullfs-cow-*) up_nullfs_cow "${name#nullfs-cow-}" "$files" || status=$? ;;
	nullfs-*) up_nullfs "${name#nullfs-}" "$files" || status=$? ;;
	toyfs) up_toyfs "$files" || status=$? ;;
	null-dax*) up_null_dax "$name" "$files" || status=$? ;;
	ext4-dax) up_ext4 "$files" || status=$? ;;
	xfs-dax) up_xfs "$files" || status=$? ;;
	tmpfs) up_tmpfs "$files" || status=$? ;;
	fuse-null) up_fuse free "$clients" "$files" || status=$? ;;
	fuse-null-pinned) up_fuse pinned "$clients" "$files" || status=$? ;;
	*) die "no such system: $name (known: $BENCH_SYSTEMS)" ;;
	esac
	if [ $status = 0 ]; then
		SYSTEM_OPTIONS=$(mount_options)${FUSE_LINE:+,$FUSE_LINE}$SYSTEM_NOTE
		[ "$SYSTEM_DIRECT" = 1 ] || SYSTEM_OPTIONS+=" (opened without O_DIRECT)"
	fi
	return $status
}

system_down()
{
	umount "$BENCH_MNT" || die "$SYSTEM: cannot unmount $BENCH_MNT"
	SYSTEM=
}

# measure_system NAME FILES RUN "CLIENTS..." "WORKLOADS...": FILES may be "each", one a
# client. FUSE is set up anew for another number of clients, the rest stays mounted. A
# system without so many files is passed over.
measure_system()
{
	local name=$1 files=$2 run=$3 clients workload count status up=
	for clients in $4; do
		count=$([ "$files" = each ] && echo "$clients" || echo "$files")
		if [ -n "$up" ] && { [ "$files" = each ] || [[ $name = fuse-* ]]; }; then
			system_down
			up=
		fi
		if [ -z "$up" ]; then
			status=0
			system_up "$name" "$clients" "$count" || status=$?
			[ $status != 3 ] || return 0
			[ $status = 0 ] || die "$name does not come up"
			up=yes
		fi
		for workload in $5; do
			measure "$workload" "$clients" "$run"
		done
	done
	system_down
}

# Round trips, side by side: pipe, system call, and the framework's own
yardsticks()
{
	local run=$1
	rows "$run" "" "$BENCH_BIN/nullcall"
	rows "$run" "" "$BENCH_BIN/pingpong"
	rows "$run" "" "$BENCH_BIN/pingpong" --threads
	system_up nullfs-call 1 1 || die "nullfs does not come up"
	rows "$run" "$SYSTEM_OPTIONS" "$BENCH_BIN/nop-round" --file "${SYSTEM_FILES[0]}"
	system_down
	say "[run $run] null system call, pipe ping-pong, NOP round: done"
}
