# SPDX-License-Identifier: BSD-3-Clause
#
# The crash kit, docs/crash.md. Its proof is tests/unit/crash-*.c.

CRASH_KIT_OBJS := $(addprefix $(BUILD)/obj/tests/crash/,trace.o model.o images.o)
CRASH_SPEC_OBJS := $(addprefix $(BUILD)/obj/tests/crash/,spec.o view.o workload.o generate.o)

$(BUILD)/tests/unit/crash-kit: $(CRASH_KIT_OBJS) $(BUILD)/obj/tests/crash/store.o
$(BUILD)/tests/unit/crash-spec: $(CRASH_KIT_OBJS) $(CRASH_SPEC_OBJS)

CRASH_OBJS := $(CRASH_KIT_OBJS) $(CRASH_SPEC_OBJS) \
	$(addprefix $(BUILD)/obj/tests/crash/,run.o check.o report.o crash.o)
CRASH := $(BUILD)/tests/crash/crash
UNIT_PROGS += $(CRASH)

$(CRASH): $(CRASH_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ $(CRASH_OBJS) \
		$(ZUS_LINK) -ldl

# A filesystem for the proof; it is not installed
SLOTFS := $(BUILD)/tests/crash/slotfs.so
SLOTFS_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/crash/slotfs/*.c))
UNIT_PROGS += $(SLOTFS)

$(SLOTFS_OBJS): override CFLAGS += -fvisibility=hidden -Wmissing-prototypes

$(SLOTFS): $(SLOTFS_OBJS) $(ZUS_SO)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared $(ZUS_DEFS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ \
		$(SLOTFS_OBJS) $(ZUS_LINK)
