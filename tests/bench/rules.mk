# SPDX-License-Identifier: BSD-3-Clause
#
# Measuring programs, $(BUILD)/tests/bench/NAME. Objects come from the root Makefile's
# rule. tests/run finds test_report.py by itself.

BENCH_OUT := $(BUILD)/tests/bench
BENCH_NAMES := pingpong nullcall nop-round name-ops tracecount fuse-null epoch-stall lease-lookup
BENCH_PROGS := $(BENCH_NAMES:%=$(BENCH_OUT)/%) $(BENCH_OUT)/build-options

$(BENCH_OUT)/fuse-null: BENCH_LIBS := -lfuse3 -lnuma -pthread
$(BENCH_OUT)/epoch-stall: BENCH_LIBS := -pthread

$(BENCH_NAMES:%=$(BENCH_OUT)/%): $(BENCH_OUT)/%: $(BUILD)/obj/tests/bench/%.o \
		$(BUILD)/obj/tests/bench/bench_util.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(BENCH_LIBS)

# zlogfs alone: its objects, and a stand-in for libzus
BENCH_PROGS += $(BENCH_OUT)/zlogfs-native
$(BUILD)/obj/tests/bench/native.o: override CPPFLAGS += -Izusfs-examples/zlogfs

$(BENCH_OUT)/zlogfs-native: $(patsubst %,$(BUILD)/obj/tests/bench/%.o,zlogfs-native native \
		native_shim) $(zlogfs_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lpmem -pthread

# The build_options of results.json; replaced only when they change
$(BENCH_OUT)/build-options: FORCE
	@mkdir -p $(@D)
	@echo "cc=$$($(CC) --version | head -n 1), CFLAGS=$(CFLAGS), zuf $(ZUF_FLAGS)" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
