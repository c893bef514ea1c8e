#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each public header compiles alone, as strict C11 and as C++17, also for 32 bits
# where the compiler can do that.
set -euo pipefail

TOP=${TOP:-$(cd "$(dirname "$0")/../../.." && pwd -P)}
# C++17 as GNU has it: the kernel's own headers use its keywords
C="${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c"
CXX="${CXX:-c++} -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++"

status=0
check()
{
	if ! "$@"; then
		echo "failed: $*"
		status=1
	fi
}

for header in "$TOP"/api/*.h "$TOP"/zus/include/*.h "$TOP"/zus/fuse/zus_fuse.h; do
	# shellcheck disable=SC2086
	{
		check $C -I"$TOP/api" -I"$TOP/zus/include" "$header"
		check $CXX -I"$TOP/api" -I"$TOP/zus/include" "$header"
	}
	case $header in
	*/api/*)
		if echo '#include <stdint.h>' | ${CC:-cc} -m32 -fsyntax-only -x c - 2>/dev/null; then
			# shellcheck disable=SC2086
			check $C -m32 "$header"
		fi ;;
	esac
	echo "ok ${header#"$TOP"/}"
done
exit $status
