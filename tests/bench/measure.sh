# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Runs and their raw records, which report.py collects on the host: NNNN.run says what
# ran, NNNN.json is fio's output, NNNN.rows are rows that a program printed. Sourced in
# the guest.

RAW=${VM_OUT:?this runs in the guest, see ci/vm}
BENCH_SEED=${BENCH_SEED:-20190812}
BENCH_SECONDS=${BENCH_SECONDS:-3}
RUN_NUMBER=0
STEP=0
STEPS=0

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The part of each row that is one for the whole boot
boot_meta()
{
	cat >"$RAW/boot.meta" <<-END
		boot=${VM_BOOT_ID:?}
		kernel=$(uname -r)
		accel=${VM_ACCEL:?}
		topology=${VM_TOPOLOGY:?}
		boot_options=${VM_BOOT_OPTIONS:?}
	END
}

next_run()
{
	RUN_NUMBER=$((RUN_NUMBER + 1))
	RUN=$(printf '%04d' $RUN_NUMBER)
}

# fio_run RW SYNC DIRECT CLIENTS SECONDS RUN FILE...: prints fio's JSON. Client i runs on
# CPU i, on its own file where there are several.
fio_run()
{
	local rw=$1 sync=$2 direct=$3 clients=$4 seconds=$5 run=$6 args=() i
	shift 6
	for ((i = 0; i < clients; i++)); do
		args+=(--name="client$i" --cpus_allowed="$i" --filename="$1")
		[ $# = 1 ] || shift
	done
	fio --output-format=json --name=global --ioengine=psync --thread --group_reporting \
		--rw="$rw" --sync="$sync" --direct="$direct" --bs=4k --size="${BENCH_MIB}m" \
		--time_based --runtime="$seconds" --norandommap \
		--randrepeat=1 --randseed=$((BENCH_SEED + run)) --fallocate=none --invalidate=0 \
		--lat_percentiles=1 --clat_percentiles=0 --percentile_list=50:99 "${args[@]}" ||
		die "$SYSTEM: fio failed"
}

# fio_iops JSON: of the one side that did any
fio_iops()
{
	awk '$1 == "\"iops\"" { v = $3 + 0; if (v > top) top = v } END { printf "%.0f\n", top }' \
		<<<"$1"
}

# measure WORKLOAD CLIENTS RUN: one fio run on the system that is up
measure()
{
	local workload=$1 clients=$2 run=$3 rw sync json
	case $workload in
	randwrite-4k-dsync) rw=randwrite sync=dsync ;;
	randwrite-4k-osync) rw=randwrite sync=sync ;;
	randread-4k) rw=randread sync=none ;;
	*) die "no such workload: $workload" ;;
	esac
	next_run
	STEP=$((STEP + 1))
	json=$(fio_run $rw $sync "$SYSTEM_DIRECT" "$clients" "$BENCH_SECONDS" "$run" \
		"${SYSTEM_FILES[@]}") || exit 1
	printf '%s\n' "$json" >"$RAW/$RUN.json"
	cat >"$RAW/$RUN.run" <<-END
		system=$SYSTEM
		workload=$workload
		threads=$clients
		files=${#SYSTEM_FILES[@]}
		run=$run
		seed=$((BENCH_SEED + run))
		mount_options=$SYSTEM_OPTIONS
		fio=$RUN.json
	END
	printf '[%*d/%d] %-17s %-19s %d thread%s %d file%s %9s IOPS\n' ${#STEPS} $STEP "$STEPS" \
		"$SYSTEM" "$workload" "$clients" "$([ "$clients" = 1 ] && echo ' ' || echo s)" \
		"${#SYSTEM_FILES[@]}" "$([ ${#SYSTEM_FILES[@]} = 1 ] && echo ' ' || echo s)" \
		"$(fio_iops "$json")"
}

# rows RUN OPTIONS COMMAND...: a program that prints rows itself; passes its status on
rows()
{
	local run=$1 options=$2 status=0
	shift 2
	next_run
	"$@" --json >"$RAW/$RUN.rows" || status=$?
	[ $status -le 1 ] || die "$* failed"
	printf 'run=%s\nmount_options=%s\nrows=%s\n' "$run" "$options" "$RUN.rows" >"$RAW/$RUN.run"
	return $status
}
