# SPDX-License-Identifier: BSD-3-Clause
#
# The fuzzer of zlogfs, docs/testing.md: $(BUILD)/fuzz/zlogfs-fuzz, all in one program, by
# clang. $(BUILD)/fuzz/cov/zlogfs-fuzz counts lines instead of looking for mistakes.

FUZZ_CC ?= clang-14
FUZZ := $(BUILD)/fuzz/zlogfs-fuzz
FUZZ_COV := $(BUILD)/fuzz/cov/zlogfs-fuzz
FUZZ_SRCS := $(wildcard tests/fuzz/*.c)
FUZZ_ZLOGFS_SRCS := $(wildcard zusfs-examples/zlogfs/*.c) \
	$(addprefix zusfs-examples/zlogfs/tools/,check.c check_media.c check_log.c check_tree.c \
	check_files.c media.c dump.c)
FUZZ_PARTS := $(FUZZ_SRCS) $(FUZZ_ZLOGFS_SRCS) $(ZUS_LIB_SRCS)
FUZZ_LINK := -Wl,--wrap=clock_gettime,--wrap=sched_getcpu $(ZUS_LIB_LIBS) -luuid

FUZZ_CPPFLAGS := -Izusfs-examples/zlogfs -Izusfs-examples/zlogfs/tools
FUZZ_CFLAGS := -O2 -g -std=gnu11 -Wall -Wextra -Werror -MMD -MP -fno-omit-frame-pointer
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CPPFLAGS) $(FUZZ_CFLAGS) $(FUZZ_SAN) $(FUZZ_GUIDE) -c -o $@ $<

$(BUILD)/fuzz/cov/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CPPFLAGS) $(FUZZ_CFLAGS) $(FUZZ_GUIDE) -c -o $@ $<

# New lines of zlogfs guide the fuzzer, those of libzus and of itself do not
FUZZ_ZLOGFS_OBJS := $(FUZZ_ZLOGFS_SRCS:%.c=$(BUILD)/fuzz/obj/%.o)
FUZZ_COV_OBJS := $(FUZZ_ZLOGFS_SRCS:%.c=$(BUILD)/fuzz/cov/obj/%.o)
FUZZ_GUIDED := -fsanitize-coverage=inline-8bit-counters,pc-table
$(FUZZ_ZLOGFS_OBJS): FUZZ_GUIDE := $(FUZZ_GUIDED)
$(FUZZ_COV_OBJS): FUZZ_GUIDE := $(FUZZ_GUIDED) -fprofile-instr-generate \
	-fcoverage-mapping
$(BUILD)/fuzz/obj/zusfs-examples/zlogfs/tools/dump.o \
	$(BUILD)/fuzz/cov/obj/zusfs-examples/zlogfs/tools/dump.o: \
	FUZZ_CPPFLAGS += -Dmain=fuzz_dump_main

$(FUZZ): $(FUZZ_PARTS:%.c=$(BUILD)/fuzz/obj/%.o)
	$(FUZZ_CC) -fsanitize=fuzzer $(FUZZ_SAN) -o $@ $^ $(FUZZ_LINK)

$(FUZZ_COV): $(FUZZ_PARTS:%.c=$(BUILD)/fuzz/cov/obj/%.o)
	$(FUZZ_CC) -fsanitize=fuzzer -fprofile-instr-generate -o $@ $^ $(FUZZ_LINK)

-include $(FUZZ_PARTS:%.c=$(BUILD)/fuzz/obj/%.d) $(FUZZ_PARTS:%.c=$(BUILD)/fuzz/cov/obj/%.d)

# As many images, with other changes at each commit; an input that fails is in $(BUILD)/fuzz
FUZZ_IMAGES ?= 100000
FUZZ_SEED ?= $(shell printf '%d' 0x$$(git rev-parse --short=7 HEAD 2>/dev/null || echo 1))

.PHONY: fuzz fuzz-coverage
fuzz: $(FUZZ)
	tests/fuzz/fuzz.sh $(FUZZ) $(FUZZ_IMAGES) $(FUZZ_SEED)

fuzz-coverage: $(FUZZ_COV)
	tests/fuzz/coverage.sh $(FUZZ_COV) $(FUZZ_IMAGES) $(FUZZ_SEED)
