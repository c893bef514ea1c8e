/* SPDX-License-Identifier: BSD-3-Clause */
/* background.h - what zusd and zusfuse share: from a command to a server in the background. */
#ifndef ZUS_BACKGROUND_H
#define ZUS_BACKGROUND_H

#include <zus.h>

/* ZUS_LOG_* of its name; -1: there is none such. */
int background_log_level(const char *name);

/* Finds and loads the plugin; why it cannot is in the log. 0 or a negative errno. */
int background_load(const char *name, const struct zus_plugin **plugin);

/* All but those of faults. Before any thread is made: all of them inherit the mask. */
void background_block_signals(void);

/*
 * Run serve(arg) in a child of its own session, in /. Here the process goes on when the child
 * has called background_ready(), with 0, or has ended, with its exit status. In the child it
 * returns what serve() does; *parent_fd is what background_ready() wants.
 */
int background_run(const char *program, int *parent_fd, int (*serve)(void *arg), void *arg);

/* Tell the starting process; then *parent_fd is -1. */
void background_ready(int *parent_fd);

/* From the terminal's descriptors to /dev/null, and from stderr to the system's log. */
void background_detach(const char *program, int log_level);

#endif /* ZUS_BACKGROUND_H */
