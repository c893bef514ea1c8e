# SPDX-License-Identifier: BSD-3-Clause
#
# C tests of the virtual machine: $(BUILD)/tests/vm/NAME, which tests/run starts, and
# helpers of the shell tests, $(BUILD)/tests/vm/helpers/NAME.

VM_RELAY_NAMES := relay-hostile
VM_RELAY_PROGS := $(VM_RELAY_NAMES:%=$(BUILD)/tests/vm/%)
VM_RAW_OBJS := $(patsubst %,$(BUILD)/obj/tests/vm/%.o,rawfs rawserver vmtest)
VM_PROGS += $(VM_RELAY_PROGS)

$(VM_RELAY_PROGS): $(BUILD)/tests/vm/%: $(BUILD)/obj/tests/vm/%.o $(VM_RAW_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) -pthread
