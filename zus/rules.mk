# SPDX-License-Identifier: BSD-3-Clause
#
# libzus, zusd and the tools. Objects come from the root Makefile's rule. Programs
# find libzus beside themselves, so they run from the build tree.

ZUS_LIB_SRCS := $(wildcard zus/lib/*.c)
ZUS_LIB_OBJS := $(ZUS_LIB_SRCS:%.c=$(BUILD)/obj/%.o)
ZUS_LIB_LIBS := -lpmem -lnuma -pthread -ldl
ZUS_SO := $(BUILD)/zus/libzus.so
ZUS_LINK := -L$(BUILD)/zus -lzus -pthread

# A sanitizer's run-time is linked to the program, so symbols stay open here
ZUS_DEFS := $(if $(findstring -fsanitize,$(CFLAGS)),,-Wl,-z,defs)

USER_PROGS += $(BUILD)/zus/zusd $(BUILD)/zus/zusctl $(BUILD)/zus/mkfs.zufs

$(ZUS_LIB_OBJS): override CFLAGS += -fvisibility=hidden -Wmissing-prototypes \
	-Wstrict-prototypes -Wpointer-arith -Wframe-larger-than=16384

$(ZUS_SO): $(ZUS_LIB_OBJS) zus/lib/libzus.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libzus.so.1 $(ZUS_DEFS) \
		-Wl,--version-script=zus/lib/libzus.map -o $@.1 $(ZUS_LIB_OBJS) \
		$(ZUS_LIB_LIBS)
	@ln -sf $(@F).1 $@

# What zusd and zusfuse share
ZUS_BACKGROUND_OBJ := $(BUILD)/obj/zus/tools/background.o
$(BUILD)/obj/zus/zusd/zusd.o: override CPPFLAGS += -Izus/tools

$(BUILD)/zus/zusd: $(BUILD)/obj/zus/zusd/zusd.o $(ZUS_BACKGROUND_OBJ) $(ZUS_SO)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN' -o $@ $(filter %.o,$^) $(ZUS_LINK)

$(BUILD)/zus/mkfs.zufs: $(BUILD)/obj/zus/tools/mkfs.o $(ZUS_SO)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN' -o $@ $< $(ZUS_LINK) -lblkid -luuid

$(BUILD)/zus/zusctl: $(BUILD)/obj/zus/tools/zusctl.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
