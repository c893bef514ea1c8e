# SPDX-License-Identifier: BSD-3-Clause
#
# `make lease-tree` tests zuf's lease cache in user mode, over the maple tree of the Linux
# source that the debug kernel is built from. Not part of `make tests`, which wants no
# such source.

LEASE_TREE_OUT := $(BUILD)/tests/lease-tree
MAPLE_TREE := build/maple-tree
LEASE_TREE_OBJS := $(patsubst %,$(LEASE_TREE_OUT)/%.o,lease-tree memory maple)
LEASE_TREE_FLAGS := -O2 -g -std=gnu11 $(SAN_FLAGS) -MMD -MP -D_GNU_SOURCE -D_LGPL_SOURCE \
	-Itests/lease-tree -I$(LEASE_TREE_OUT) -I$(LEASE_TREE_OUT)/generated \
	-I$(MAPLE_TREE)/tools/testing/radix-tree -I$(MAPLE_TREE)/tools/include -Iapi

.PHONY: lease-tree

lease-tree: $(LEASE_TREE_OUT)/lease-tree
	$<

$(LEASE_TREE_OUT)/lease-tree: $(LEASE_TREE_OBJS)
	$(CC) $(SAN_FLAGS) -o $@ $^ -lurcu -pthread

$(LEASE_TREE_OBJS): $(LEASE_TREE_OUT)/%.o: tests/lease-tree/%.c $(MAPLE_TREE)/done \
		$(LEASE_TREE_OUT)/generated/done
	$(CC) $(LEASE_TREE_FLAGS) $(LEASE_TREE_WARN) -c -o $@ $<

$(LEASE_TREE_OUT)/%.o: LEASE_TREE_WARN := -Wall -Werror
# the kernel's own, with the warnings that it has there
$(LEASE_TREE_OUT)/maple.o: LEASE_TREE_WARN := -w -I$(MAPLE_TREE)

# What that source's makefile would generate
$(LEASE_TREE_OUT)/generated/done:
	@mkdir -p $(@D)
	@echo '#define XA_CHUNK_SHIFT 6' >$(@D)/map-shift.h
	@echo '#define CONFIG_64BIT 1' >$(@D)/bit-length.h
	@touch $@

$(MAPLE_TREE)/done:
	@ci/kernel --maple-tree

-include $(wildcard $(LEASE_TREE_OUT)/*.d)
