# SPDX-License-Identifier: BSD-3-Clause
# Build rules of the measuring programs; included by the top Makefile, which
# gives BUILD, CC and CFLAGS. Programs go to $(BUILD)/tests/bench/.

BUILD ?= build
CFLAGS ?= -O2 -g

BENCH_DIR := tests/bench
BENCH_OUT := $(BUILD)/tests/bench
BENCH_PROGS := $(addprefix $(BENCH_OUT)/,pingpong nullcall nop-round tracecount fuse-null)
BENCH_CFLAGS := -std=gnu11 -Wall -Wextra -Iapi -I$(BENCH_DIR)
FUSE3_FLAGS = $(shell pkg-config --cflags --libs fuse3 2>/dev/null)

.PHONY: bench-progs check-bench
bench-progs: $(BENCH_PROGS)

$(BENCH_OUT):
	mkdir -p $@

$(BENCH_OUT)/nop-round $(BENCH_OUT)/tracecount: api/zus_api.h

$(BENCH_OUT)/%: $(BENCH_DIR)/%.c $(BENCH_DIR)/bench_util.c $(BENCH_DIR)/bench_util.h | $(BENCH_OUT)
	$(CC) $(CFLAGS) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BENCH_OUT)/fuse-null: $(BENCH_DIR)/fuse-null.c $(BENCH_DIR)/bench_util.c $(BENCH_DIR)/bench_util.h | $(BENCH_OUT)
	$(CC) $(CFLAGS) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS) $(FUSE3_FLAGS) -lnuma -pthread

# The tool that forms medians, ratios and verdicts has tests of its own.
check-bench:
	python3 -B $(BENCH_DIR)/test_report.py
