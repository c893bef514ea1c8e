# SPDX-License-Identifier: BSD-3-Clause
# Of result lines of the crash program one: "N workloads, ... M failures".
/^[0-9]+ workloads, / {
	for (i = 1; i < NF; i++)
		if ($(i + 1) ~ /^(workloads|schedules|orders|images|states|failures),?$/ &&
		    !($(i + 1) == "images" && $(i + 2) == "in")) {
			name = $(i + 1)
			sub(/,$/, "", name)
			sum[name] += $i
		}
	# "(N a second": of what it is of
	match($0, /\([0-9]+ a second/)
	rate = substr($0, RSTART + 1) + 0
	match($0, /[0-9]+ images in recovery/)
	deep = substr($0, RSTART) + 0
	match($0, /[0-9]+ images \(/)
	all += substr($0, RSTART) + deep
	if (rate)
		seconds += (substr($0, RSTART) + deep) / rate
}
END {
	printf "%d workloads, %d schedules, %d orders, %d images", sum["workloads"],
		sum["schedules"], sum["orders"], sum["images"]
	printf " (%d a second), %d states; %d failures\n", seconds ? all / seconds : 0,
		sum["states"], sum["failures"]
}
