# SPDX-License-Identifier: BSD-3-Clause
#
# Everything is built below $(BUILD).  Each folder of user mode brings its own rules.mk,
# which appends to the lists below; zuf/ is Kbuild's.  `make help` lists the targets.

BUILD ?= build
STOCK_KERNELS := 6.1 6.12
CC ?= cc
CFLAGS ?= -O2 -g

# SAN=address,undefined is the variant that BUILD=build/asan holds
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -MMD -MP $(SAN_FLAGS)
override CPPFLAGS += -D_GNU_SOURCE -Iapi -Izus/include
override LDFLAGS += $(SAN_FLAGS)

# What rules.mk files fill: programs, libraries and plugins of `make all`; programs that
# tests/run finds in $(BUILD)/tests/unit and $(BUILD)/tests/vm
USER_PROGS :=
UNIT_PROGS :=
VM_PROGS :=

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

-include zus/rules.mk
-include zus/fuse/rules.mk
-include zusfs-examples/rules.mk
-include tests/rules.mk
-include tests/bench/rules.mk
include install.mk
-include tests/vm/rules.mk

# Objects have a tree of their own, so that build/zus/zusd can be a program
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -c -o $@ $<

-include $(wildcard $(foreach d,* */* */*/* */*/*/*,$(BUILD)/obj/$(d).d $(BUILD)/tests/$(d).d))

.PHONY: all user zuf tests asan tsan setup demo bench report check conformance check-debug vm fresh help
.PHONY: lint lint-kernel checkpatch lint-user lint-scripts compile_commands.json
.PHONY: debug-kernel abi abi-debug clean distclean FORCE

all: user zuf pmshadow

user: $(USER_PROGS) $(BENCH_PROGS)

zuf: $(STOCK_KERNELS:%=zuf-%)

# zuf-6.1, zuf-6.12, zuf-debug
zuf-%: FORCE
	+@ci/module $* zuf $(BUILD)/zuf/$* $(ZUF_FLAGS)

# For tests: what of the persistent memory has been written back
pmshadow: $(STOCK_KERNELS:%=pmshadow-%)

pmshadow-%: FORCE
	+@ci/module $* tests/pmshadow $(BUILD)/pmshadow/$* KCFLAGS=-Werror

# A yardstick of the benchmarks
null-dax: $(STOCK_KERNELS:%=null-dax-%)

null-dax-%: FORCE
	+@ci/module $* tests/null-dax $(BUILD)/null-dax/$* KCFLAGS=-Werror

# Of older versions of the ABI, for tests: built once
abi:
	+@ci/abi $(STOCK_KERNELS)

abi-debug:
	+@ci/abi debug

tests: user $(UNIT_PROGS) $(VM_PROGS) $(if $(SAN),,abi)

asan:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN=address,undefined tests

tsan:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SAN=thread \
		$(BUILD)/tsan/tests/unit/toyfs-threads $(BUILD)/tsan/tests/unit/zlogfs-threads

setup:
	@ci/setup

debug-kernel: setup
	@ci/kernel

demo: setup
	+@$(MAKE) --no-print-directory all
	@ci/demo

bench: setup
	+@$(MAKE) --no-print-directory all null-dax
	@ci/bench

# Of the long suites that ci/shards runs
report:
	@ci/shards --report

# The stages and their time limits stand in ci/budget
check:
	@ci/stages check

conformance: setup
	+@$(MAKE) --no-print-directory -s all tests
	@tests/run $(VM_FLAGS) conformance

check-debug:
	@ci/stages check-debug

vm: setup
	@ci/vm --interactive $(VM_FLAGS)

fresh:
	@ci/fresh

lint: lint-kernel checkpatch lint-user lint-scripts

# A tree of its own, for sparse runs only on what Kbuild compiles anew
lint-kernel: $(STOCK_KERNELS:%=lint-kernel-%)

lint-kernel-%: FORCE
	+@ci/module $* zuf $(BUILD)/lint/zuf-$* C=1 W=1 CHECK=sparse \
		CF="-Wsparse-error" KCFLAGS=-Werror
	+@ci/module $* tests/null-dax $(BUILD)/lint/null-dax-$* C=1 W=1 CHECK=sparse \
		CF="-Wsparse-error" KCFLAGS=-Werror
	+@ci/module $* tests/pmshadow $(BUILD)/lint/pmshadow-$* C=1 W=1 CHECK=sparse \
		CF="-Wsparse-error" KCFLAGS=-Werror

checkpatch:
	@ci/kernel --checkpatch
	@ci/lint checkpatch

lint-user: compile_commands.json
	@ci/lint user

lint-scripts:
	@ci/lint scripts

compile_commands.json:
	@python3 ci/compile-commands.py >$@.new && mv $@.new $@

help:
	@echo 'all            server, tools, plugins, and zuf.ko for $(STOCK_KERNELS)'
	@echo 'demo           show it: mount, use and measure in a virtual machine (10 minutes)'
	@echo 'check          unit tests, sanitizers and VM tests on 6.1 (20 minutes)'
	@echo 'conformance    what programs expect of a filesystem, on toyfs; VM_FLAGS="--kernel 6.12"'
	@echo 'check-debug    VM tests on the debug kernel; builds it first'
	@echo 'bench          the full matrix of measurements'
	@echo 'lease-tree     the lease cache against a model, in user mode (downloads Linux source)'
	@echo 'report         what the long suites have shown, and whether that is enough'
	@echo 'crash          zlogfs after crashes at any point, for two minutes (CRASH_SECONDS)'
	@echo 'crash-full     all of that, hours; SHARD=1/8. crash-bugs: are its known mistakes found?'
	@echo 'fuzz           zlogfs on damaged media: FUZZ_IMAGES, FUZZ_SEED; fuzz-coverage: lines of parsers'
	@echo 'vm             a shell in the virtual machine; VM_FLAGS="--kernel 6.12"'
	@echo 'fresh          check and demo in a fresh minimal Debian 12 (as root)'
	@echo 'lint           sparse, checkpatch, clang-tidy, cppcheck, shellcheck'
	@echo 'install        server, tools, plugins; the module for the running kernel (DESTDIR, PREFIX)'
	@echo 'setup          install packages, unpack kernels; check and demo do it first'
	@echo 'abi            servers and modules of older ABI versions, for tests'
	@echo 'user zuf-6.1 zuf-6.12 zuf-debug tests asan tsan compile_commands.json'
	@echo 'clean          remove what was built; distclean also kernels and downloads'

clean:
	rm -rf $(addprefix $(BUILD)/,obj zus zusfs-examples tests asan tsan zuf null-dax pmshadow abi lint ci vm planted fuzz)
	rm -f compile_commands.json

distclean: clean
	rm -rf $(BUILD)
