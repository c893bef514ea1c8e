# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What ci/demo and ci/bench share on the host. Sourced after ci/lib.sh.
# shellcheck disable=SC2034  # who sources this uses the variables

BENCH=$BUILD/bench

need_programs()
{
	local program
	for program in tests/bench/fuse-null tests/bench/pingpong tests/bench/nullcall \
		tests/bench/nop-round tests/bench/tracecount zus/zusd zus/mkfs.zufs; do
		[ -x "$BUILD/$program" ] || die "build/$program is missing: run make first"
	done
}

cc_version() { gcc --version | head -n 1; }

# The Linux source's tarball, which comes inside a package that ci/kernel caches too
source_tarball()
{
	local version dir deb
	version=$(cat "$BUILD/kernels/source-version" 2>/dev/null ||
		apt-cache policy linux-source-6.1 | awk '$1 == "Candidate:" { print $2 }')
	case $version in
	"" | "(none)")
		die "apt knows no linux-source-6.1: run apt-get update with Debian 12's main and" \
			"security sources" ;;
	esac
	dir=$CACHE/source-$version
	if [ ! -e "$dir/done" ]; then
		deb=$(fetch_deb linux-source-6.1 "$version") ||
			die "cannot download linux-source-6.1 $version: run apt-get update, then again"
		rm -rf "$dir"
		mkdir -p "$dir"
		dpkg-deb -x "$deb" "$dir"
		rm -f "$deb"
		touch "$dir/done"
	fi
	echo "$dir/usr/src/linux-source-6.1.tar.xz"
}

commit() { git -C "$TOP" rev-parse HEAD 2>/dev/null || echo unknown; }

# 1: what ran is not what the commit says
dirty()
{
	local changes
	changes=$(git -C "$TOP" status --porcelain 2>/dev/null || echo unknown)
	if [ -n "$changes" ]; then echo 1; else echo 0; fi
}

report() { python3 -B "$TOP/tests/bench/report.py" "$@"; }

# An emulated guest needs its host's cores for itself
warn_if_busy()
{
	local load
	load=$(cut -d' ' -f1 /proc/loadavg)
	[ "${load%.*}" -lt 1 ] || note "this machine is busy (load $load on $(nproc) cores):" \
		"times will be too long and uneven, ratios unreliable; counters are not affected"
}

# collect OUT RAWDIR...
collect()
{
	local out=$1
	shift
	report collect --out "$out" --commit "$(commit)" --dirty "$(dirty)" \
		--build-options "$(cat "$BUILD/tests/bench/build-options")" "$@"
}
