# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For tests of ci/vm and of what it reports.  Each boots a machine of its own on the host.

set -eu
: "${TOP:?run this through tests/run}"

fail() { echo "FAIL: $*" >&2; exit 1; }

# expect STATUS WORDS...: ci/vm WORDS ends with STATUS; its output is in out and err
expect()
{
	local want=$1 got=0
	shift
	"$TOP/ci/vm" "$@" >out 2>err || got=$?
	echo "--- ci/vm $*: status $got"
	cat out err
	[ "$got" = "$want" ] || fail "status $got, not $want"
}

expect_line() { grep -qE -- "$2" "$1" || fail "$1 has no line like: $2"; }

# What a failed run keeps is its log, in the folder that it names
kept_log() { sed -n 's/.*the whole log is //p' err; }

drop_kept() { rm -r "$(dirname "$(kept_log)")"; }
