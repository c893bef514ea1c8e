# SPDX-License-Identifier: BSD-3-Clause
#
# Unit tests: $(BUILD)/tests/unit/NAME from NAME.c and unit.c, with libcheck, and
# NAME from NAME.sh. They use libzus and the plugins of the same build.

# A sanitizer has a malloc(3) of its own
UNIT_NAMES := $(filter-out unit zlogfs_load zlogfs_mount $(if $(SAN),alloc-failures), \
	$(notdir $(basename $(wildcard tests/unit/*.c))))
UNIT_SCRIPTS := $(notdir $(basename $(wildcard tests/unit/*.sh)))
UNIT_C_PROGS := $(UNIT_NAMES:%=$(BUILD)/tests/unit/%)
UNIT_PROGS += $(UNIT_C_PROGS) $(UNIT_SCRIPTS:%=$(BUILD)/tests/unit/%)

$(UNIT_C_PROGS): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o \
		$(BUILD)/obj/tests/unit/unit.o $(ZUS_SO) $(PLUGINS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../../zus' -o $@ $(filter %.o,$^) \
		$(ZUS_LINK) $$(pkg-config --libs check)

# What is of zlogfs has its objects, as the plugin has them
UNIT_ZLOGFS := $(filter zlogfs-%,$(UNIT_NAMES))
$(UNIT_ZLOGFS:%=$(BUILD)/tests/unit/%): $(zlogfs_OBJS) $(ZLOGFS_CHECK_OBJS)
$(UNIT_ZLOGFS:%=$(BUILD)/obj/tests/unit/%.o): override CPPFLAGS += -Izusfs-examples/zlogfs \
	-Izusfs-examples/zlogfs/tools
$(BUILD)/obj/tests/unit/zlogfs_load.o $(BUILD)/obj/tests/unit/zlogfs_mount.o: \
	override CPPFLAGS += -Izusfs-examples/zlogfs
$(addprefix $(BUILD)/tests/unit/zlogfs-,log space): $(BUILD)/obj/tests/unit/zlogfs_load.o
$(addprefix $(BUILD)/tests/unit/zlogfs-,fsck seen whole words): \
	$(BUILD)/obj/tests/unit/zlogfs_mount.o

# It says how much memory there is
$(BUILD)/tests/unit/zlogfs-pending: private override LDFLAGS += -Wl,--wrap=malloc

$(UNIT_SCRIPTS:%=$(BUILD)/tests/unit/%): $(BUILD)/tests/unit/%: tests/unit/%.sh
	@mkdir -p $(@D)
	@install -m 755 $< $@
