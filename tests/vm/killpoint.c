// SPDX-License-Identifier: BSD-3-Clause
/* killpoint.c - see killpoint.h */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "killpoint.h"
#include "vmtest.h"

#define POINTS		"/sys/kernel/debug/zuf/points"
#define CHILDREN_MAX	4000	/* a point: it may be passed rarely */

unsigned int kp_kills(const char *name)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 0) : 50;
}

/* Kills that are still to be made at the point, and how many were made. */
static unsigned int kills_left(const char *point, unsigned int *made)
{
	unsigned int passed, kills, left = 0;
	char line[128], name[32];
	FILE *file = fopen(POINTS, "r");

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		/* the kernel's own text.  NOLINTNEXTLINE(cert-err34-c) */
		if (sscanf(line, "%31s passed %u kills %u left %u", name, &passed, &kills,
			   &left) == 4 && !strcmp(name, point)) {
			*made = kills;
			break;
		}
	fclose(file);
	return left;
}

/* true: it was killed */
static bool one_child(const struct kp_test *test, const char *point)
{
	uint64_t seed = vt_random();
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		prctl(PR_SET_NAME, "zkill");
		vt_random_seed(seed);
		test->child();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
		return true;
	}
	ck_assert_msg(!WEXITSTATUS(status), "%s: a child failed in %s: status %d", point,
		      test->doing(), WEXITSTATUS(status));
	return false;
}

static void kill_at(const struct kp_test *test, const struct kp_point *point, unsigned int count)
{
	unsigned int round, made = 0, killed = 0;
	char command[80];

	snprintf(command, sizeof(command), "%s kill %u every %u", point->name, count,
		 point->every);
	vt_write(POINTS, command);
	for (round = 0; round < CHILDREN_MAX && kills_left(point->name, &made); round++) {
		killed += one_child(test, point->name);
		test->check(point->name, round);
	}
	kills_left(point->name, &made);
	vt_write(POINTS, "off");
	printf("%s: %u kills, %u children died of %u\n", point->name, made, killed, round);
	ck_assert_msg(made == count, "%s: only %u of %u kills", point->name, made, count);
	ck_assert_msg(killed, "%s: no child died", point->name);
}

void kp_run(const struct kp_test *test, unsigned int kills)
{
	size_t i;

	for (i = 0; i < test->num_points; i++)
		kill_at(test, &test->points[i], kills);
}
