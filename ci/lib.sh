# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the scripts of ci/ share.  Sourced, never run.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$TOP/build
CACHE=$BUILD/cache

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { note "$*"; exit 1; }

# usage_of FILE: the comment block that opens a script is its help text
usage_of()
{
	awk 'NR == 1 || /SPDX-License/ { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1" |
		sed '/./,$!d'
}

# One process at a time in a piece of work that fills build/; released on exit
lock()
{
	mkdir -p "$BUILD"
	exec {LOCK_FD}>"$BUILD/.lock-$1"
	if ! flock -n "$LOCK_FD"; then
		note "waiting for another $1 in $BUILD"
		flock "$LOCK_FD"
	fi
}

# installed_version PACKAGE: prints the version, fails when it is not installed
installed_version()
{
	local status version
	read -r status version < <(dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" \
		2>/dev/null || true)
	[ "${status:-}" = installed ] && echo "$version"
}

# fetch_deb PACKAGE VERSION: prints the path of the package's file in the cache,
# after a download from the machine's own apt sources where it is not there
fetch_deb()
{
	local name=$1 version=$2 glob found
	glob="${name}_${version//:/%3a}_*.deb"
	mkdir -p "$CACHE"
	found=$(find "$CACHE" -maxdepth 1 -name "$glob" | head -n 1)
	if [ -z "$found" ]; then
		note "downloading $name $version"
		(cd "$CACHE" && apt-get -q -o APT::Sandbox::User=root download \
			"$name=$version" >&2) || return 1
		found=$(find "$CACHE" -maxdepth 1 -name "$glob" | head -n 1)
	fi
	[ -n "$found" ] && echo "$found"
}
