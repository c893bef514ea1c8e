# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs's own tools, beside those of zufs: they have the plugin's objects in them.

ZLOGFS_TOOLS := mkfs.zlogfs fsck.zlogfs dump.zlogfs
ZLOGFS_CORE_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard zusfs-examples/zlogfs/*.c))
ZLOGFS_TOOLS_OBJ := $(BUILD)/obj/zusfs-examples/zlogfs/tools
# Who checks media has these, too
ZLOGFS_CHECK_OBJS := $(addprefix $(ZLOGFS_TOOLS_OBJ)/,check.o check_media.o check_log.o \
	check_tree.o check_files.o)

$(ZLOGFS_CHECK_OBJS): override CPPFLAGS += -Izusfs-examples/zlogfs

ZLOGFS_TOOLS_PROGS := $(ZLOGFS_TOOLS:%=$(BUILD)/zus/%)
USER_PROGS += $(ZLOGFS_TOOLS_PROGS)

$(addprefix $(ZLOGFS_TOOLS_OBJ)/,media.o mkfs.o fsck.o dump.o): \
	override CPPFLAGS += -Izusfs-examples/zlogfs

$(BUILD)/zus/fsck.zlogfs: $(ZLOGFS_TOOLS_OBJ)/fsck.o $(ZLOGFS_TOOLS_OBJ)/media.o \
		$(ZLOGFS_CHECK_OBJS)
$(BUILD)/zus/dump.zlogfs: $(ZLOGFS_TOOLS_OBJ)/dump.o $(ZLOGFS_TOOLS_OBJ)/media.o
$(BUILD)/zus/mkfs.zlogfs: $(ZLOGFS_TOOLS_OBJ)/mkfs.o
$(BUILD)/zus/mkfs.zlogfs $(BUILD)/zus/dump.zlogfs: ZLOGFS_TOOLS_LIBS := -luuid

$(ZLOGFS_TOOLS_PROGS): $(ZLOGFS_CORE_OBJS) $(ZUS_SO)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN' -o $@ $(filter %.o,$^) $(ZUS_LINK) \
		$(ZLOGFS_TOOLS_LIBS)
