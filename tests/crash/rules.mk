# SPDX-License-Identifier: BSD-3-Clause
#
# The crash kit, docs/crash.md: $(BUILD)/tests/crash/crash. Its proof is tests/unit/crash-*.

CRASH_OBJ := $(BUILD)/obj/tests/crash
CRASH_KIT_OBJS := $(addprefix $(CRASH_OBJ)/,trace.o model.o images.o set.o coro.o locks.o)
CRASH_SPEC_OBJS := $(addprefix $(CRASH_OBJ)/,spec.o view.o workload.o generate.o)
CRASH_OBJS := $(CRASH_KIT_OBJS) $(CRASH_SPEC_OBJS) \
	$(addprefix $(CRASH_OBJ)/,run.o beside.o check.o report.o crash.o)

CRASH := $(BUILD)/tests/crash/crash

# A filesystem for the proof; it is not installed
SLOTFS := $(BUILD)/tests/crash/slotfs.so
SLOTFS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/crash/slotfs/*.c))

# Operations that are too large for its lists
CRASH_LARGE := $(BUILD)/tests/crash/crash-large
CRASH_LARGE_OBJS := $(CRASH_KIT_OBJS) $(CRASH_OBJ)/large.o

UNIT_PROGS += $(CRASH) $(CRASH_LARGE) $(SLOTFS)

$(BUILD)/tests/unit/crash-kit: $(CRASH_KIT_OBJS) $(CRASH_OBJ)/store.o
$(BUILD)/tests/unit/crash-coro: $(CRASH_KIT_OBJS)
$(BUILD)/tests/unit/crash-spec: $(CRASH_KIT_OBJS) $(CRASH_SPEC_OBJS)
$(BUILD)/tests/unit/crash-run: $(CRASH) $(SLOTFS)

$(CRASH): $(CRASH_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ $(CRASH_OBJS) \
		$(ZUS_LINK) -ldl

$(CRASH_LARGE): $(CRASH_LARGE_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ $(CRASH_LARGE_OBJS) \
		$(ZUS_LINK) -ldl

$(SLOTFS_OBJS): override CFLAGS += -fvisibility=hidden -Wmissing-prototypes

$(SLOTFS): $(SLOTFS_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared $(ZUS_DEFS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ \
		$(SLOTFS_OBJS) $(ZUS_LINK)

# crash-NAME: of a plugin of zusfs-examples, or slotfs
.PHONY: crash-slotfs
crash-slotfs: $(CRASH) $(SLOTFS)
	$(CRASH) --plugin $(SLOTFS) $(CRASH_FLAGS)

crash-%: $(BUILD)/zusfs-examples/%.so $(CRASH)
	$(CRASH) --plugin $< $(CRASH_FLAGS)

# What the program must know of zlogfs: its mkfs is zlogfs's own
CRASH_ZLOGFS := $(BUILD)/tests/crash/zlogfs-target.so
UNIT_PROGS += $(CRASH_ZLOGFS)

CRASH_ZLOGFS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/crash/zlogfs/*.c))
$(CRASH_ZLOGFS_OBJS): override CPPFLAGS += -Izusfs-examples/zlogfs -Izusfs-examples/zlogfs/tools
$(CRASH_ZLOGFS_OBJS): override CFLAGS += -fvisibility=hidden

$(CRASH_ZLOGFS): $(CRASH_ZLOGFS_OBJS) $(zlogfs_OBJS) $(ZLOGFS_CHECK_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared $(ZUS_DEFS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ \
		$(filter %.o,$^) $(ZUS_LINK)

# zlogfs with the mistakes of its bug.h, to see that they are found
ZLOGFS_BUGS := $(BUILD)/tests/crash/zlogfs-bugs.so
ZLOGFS_BUGS_OBJS := $(patsubst zusfs-examples/%.c,$(BUILD)/obj/bugs/%.o, \
	$(wildcard zusfs-examples/zlogfs/*.c))
UNIT_PROGS += $(ZLOGFS_BUGS)

$(BUILD)/obj/bugs/%.o: zusfs-examples/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -DZLOGFS_BUGS -fvisibility=hidden -fPIC -c -o $@ $<

$(ZLOGFS_BUGS): $(ZLOGFS_BUGS_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared $(ZUS_DEFS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ \
		$(ZLOGFS_BUGS_OBJS) $(ZUS_LINK)

$(BUILD)/tests/unit/zlogfs-crash: $(CRASH) $(CRASH_LARGE) $(CRASH_ZLOGFS) $(ZLOGFS_BUGS)

.PHONY: crash-zlogfs
crash-zlogfs: $(CRASH) $(CRASH_ZLOGFS) $(BUILD)/zusfs-examples/zlogfs.so
	$(CRASH) --plugin $(BUILD)/zusfs-examples/zlogfs.so --target $(CRASH_ZLOGFS) $(CRASH_FLAGS)

# Of all workloads on zlogfs as many as the time allows, in an order that each commit changes,
# and each round of it
CRASH_SECONDS ?= 120
CRASH_ROUND ?= 0
CRASH_SEED ?= $(shell echo $$((0x$$(git rev-parse --short=12 HEAD 2>/dev/null || echo 1) + \
	$(CRASH_ROUND))))

.PHONY: crash crash-bugs crash-full
crash: $(CRASH) $(CRASH_ZLOGFS) $(BUILD)/zusfs-examples/zlogfs.so
	tests/crash/zlogfs-slice.sh $(BUILD) $(CRASH_SECONDS) $(CRASH_SEED) $(CRASH_FLAGS)

# All of them, with each policy: SHARD=1/8
crash-full: $(CRASH) $(CRASH_LARGE) $(CRASH_ZLOGFS) $(ZLOGFS_BUGS) $(BUILD)/zusfs-examples/zlogfs.so
	tests/crash/zlogfs-full.sh $(BUILD) $(SHARD)

crash-bugs: $(CRASH) $(CRASH_ZLOGFS) $(ZLOGFS_BUGS)
	tests/crash/zlogfs-bugs.sh $(BUILD)
