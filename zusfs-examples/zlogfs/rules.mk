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
