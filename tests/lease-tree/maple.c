// SPDX-License-Identifier: BSD-3-Clause
/* The kernel's maple tree, as its own tests build it. */
#define module_init(x)
#define module_exit(x)
#define dump_stack()		abort()
#define fallthrough		__attribute__((__fallthrough__))
#include <stdlib.h>
#include <urcu.h>
#undef synchronize_rcu
#include <linux/kernel.h>

#include "lib/maple_tree.c"
