# SPDX-License-Identifier: BSD-3-Clause
#
# C tests of the virtual machine: $(BUILD)/tests/vm/NAME, which tests/run starts, and
# helpers of the shell tests, $(BUILD)/tests/vm/helpers/NAME.

VM_RELAY_NAMES := relay-hostile relay-silent relay-kill relay-death relay-overflow \
	relay-slots relay-abi relay-server inval-calls create-open lock-calls
VM_RELAY_PROGS := $(VM_RELAY_NAMES:%=$(BUILD)/tests/vm/%)
VM_RAW_OBJS := $(patsubst %,$(BUILD)/obj/tests/vm/%.o,rawfs rawops rawserver vmtest)
VM_PROGS += $(VM_RELAY_PROGS)

$(VM_RELAY_PROGS): $(BUILD)/tests/vm/%: $(BUILD)/obj/tests/vm/%.o $(VM_RAW_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) $(LDLIBS_FUSE) -pthread

# libfuse beside
$(BUILD)/tests/vm/inval-calls: LDLIBS_FUSE := -lfuse3

# Data: with a server of their own, or started by an NN-*.sh in a mounted filesystem
VM_DATA_RAW_PROGS := $(patsubst %,$(BUILD)/tests/vm/%,data-hostile data-view data-epoch)
VM_DATA_PROGS := $(patsubst %,$(BUILD)/tests/vm/helpers/%,data-edges data-mmap data-random \
	data-kill devtable-edit name-kill lease-model lease-torn epoch-writers \
	relocate-reuse lease-kill truncate-races)
VM_DATA_OBJS := $(patsubst %,$(BUILD)/obj/tests/vm/%.o,vmtest killpoint)
VM_PROGS += $(VM_DATA_RAW_PROGS) $(VM_DATA_PROGS)

$(VM_DATA_RAW_PROGS): $(BUILD)/tests/vm/%: $(BUILD)/obj/tests/vm/%.o $(VM_RAW_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) -pthread

$(VM_DATA_PROGS): $(BUILD)/tests/vm/helpers/%: $(BUILD)/obj/tests/vm/%.o \
		$(VM_DATA_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) -pthread

# Leases: as data, with the recalls of rawlease.h
VM_LEASE_RAW_PROGS := $(patsubst %,$(BUILD)/tests/vm/%,lease-pinned lease-hostile lease-buffers \
	lease-many lease-holes lease-edges lease-huge cow-words cow-reads clone-reads flush-mirror)
VM_LEASE_RAW_OBJS := $(VM_RAW_OBJS) $(BUILD)/obj/tests/vm/rawlease.o
VM_PROGS += $(VM_LEASE_RAW_PROGS)

$(VM_LEASE_RAW_PROGS): $(BUILD)/tests/vm/%: $(BUILD)/obj/tests/vm/%.o $(VM_LEASE_RAW_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $$(pkg-config --libs check) $(LDLIBS_FUSE) -pthread

# with a FUSE filesystem beside
$(BUILD)/tests/vm/lease-buffers: $(BUILD)/obj/tests/vm/slowfuse.o
$(BUILD)/tests/vm/lease-buffers: LDLIBS_FUSE := -lfuse3
