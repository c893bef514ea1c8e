# SPDX-License-Identifier: BSD-3-Clause
#
# Plugins: $(BUILD)/zusfs-examples/NAME.so from all of zusfs-examples/NAME/*.c.
# zusd finds NAME.so by "NAME" and by the type name "zNAME". A plugin that needs
# libraries, or has programs beside it, says so in a rules.mk of its own: NAME_LIBS.

PLUGIN_NAMES := $(notdir $(patsubst %/,%,$(sort $(wildcard zusfs-examples/*/))))
PLUGINS := $(PLUGIN_NAMES:%=$(BUILD)/zusfs-examples/%.so)
USER_PROGS += $(PLUGINS)

-include $(PLUGIN_NAMES:%=zusfs-examples/%/rules.mk)

define PLUGIN_template
$(1)_OBJS := $$(patsubst %.c,$$(BUILD)/obj/%.o,$$(wildcard zusfs-examples/$(1)/*.c))
$$($(1)_OBJS): override CFLAGS += -fvisibility=hidden -Wmissing-prototypes
$$(BUILD)/zusfs-examples/$(1).so: $$($(1)_OBJS) $$(ZUS_SO)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -shared $$(ZUS_DEFS) -Wl,-rpath,'$$$$ORIGIN/../zus' \
		-o $$@ $$($(1)_OBJS) $$(ZUS_LINK) $$($(1)_LIBS)
endef
$(foreach p,$(PLUGIN_NAMES),$(eval $(call PLUGIN_template,$(p))))
