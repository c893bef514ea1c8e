# SPDX-License-Identifier: BSD-3-Clause
#
# libzusfuse and zusfuse: what is linked to libfuse3, and nothing else is.

ZUSFUSE_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard zus/fuse/*.c))
ZUSFUSE_SO := $(BUILD)/zus/libzusfuse.so
ZUSFUSE_TOOL_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard zus/zusfuse/*.c))

USER_PROGS += $(BUILD)/zus/zusfuse

$(ZUSFUSE_OBJS): override CFLAGS += -fvisibility=hidden -Wmissing-prototypes \
	-Wstrict-prototypes -Wpointer-arith -Wframe-larger-than=16384
$(ZUSFUSE_OBJS) $(ZUSFUSE_TOOL_OBJS): override CPPFLAGS += -Izus/fuse -Izus/tools

$(ZUSFUSE_SO): $(ZUSFUSE_OBJS) $(ZUS_SO) zus/fuse/libzusfuse.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libzusfuse.so.1 $(ZUS_DEFS) \
		-Wl,-rpath,'$$ORIGIN' -Wl,--version-script=zus/fuse/libzusfuse.map -o $@.1 \
		$(ZUSFUSE_OBJS) $(ZUS_LINK) -lfuse3
	@ln -sf $(@F).1 $@

$(BUILD)/zus/zusfuse: $(ZUSFUSE_TOOL_OBJS) $(ZUS_BACKGROUND_OBJ) $(ZUSFUSE_SO)
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-rpath,'$$ORIGIN' -o $@ $(filter %.o,$^) \
		-L$(BUILD)/zus -lzusfuse $(ZUS_LINK)
