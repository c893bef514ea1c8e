# SPDX-License-Identifier: BSD-3-Clause
#
# awk -f ci/kernel-log.awk ci/kernel-log-allowed LOG
#
# Print the lines of a kernel log that are warnings or reports and that the first file
# does not allow; exit with status 1 when there is one.

BEGIN {
	report = "WARNING:|BUG:|BUG at|KASAN:|UBSAN:|KCSAN:|Oops|cut here|Kernel panic" \
		"|general protection fault|unable to handle (kernel|page fault)" \
		"|INFO: (possible|task|inconsistent|lockdep|rcu|suspicious|trying)" \
		"|rcu: INFO:|rcu_(sched|preempt).*(stall|kthread starved)|self-detected stall" \
		"|possible (circular|recursive|irq)|inconsistent lock state|bad unlock balance" \
		"|suspicious RCU usage|held lock freed|[Ll]ock(s)? still held|Invalid wait context" \
		"|(ENTRIES|CHAINS|KEYS|TRACE|DEPTH)[A-Z_]* too low" \
		"|soft lockup|hard LOCKUP|workqueue lockup|blocked for more than" \
		"|scheduling while atomic|sleeping function called|nobody cared" \
		"|refcount_t:|list_(add|del) corruption|Bad (page|rss)|bad (pte|pmd)" \
		"|page allocation failure|allocation stalls|double free|corrupted|Corrupted" \
		"|unreferenced object|new suspected memory leaks|still has locks" \
		"|ODEBUG|DEBUG_LOCKS_WARN_ON|module .* has not released" \
		"|Slab .* on __kmem_cache_shutdown|Objects remaining"
}

FNR == NR && FILENAME ~ /allowed$/ {
	if ($0 !~ /^(#|[[:space:]]*$)/)
		allowed[++allowed_count] = $0
	next
}

$0 ~ report {
	for (i = 1; i <= allowed_count; i++)
		if ($0 ~ allowed[i])
			next
	sub(/\r$/, "")
	print
	found = 1
}

END { exit found ? 1 : 0 }
