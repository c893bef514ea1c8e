# SPDX-License-Identifier: BSD-3-Clause
-include tests/unit/rules.mk
-include tests/crash/rules.mk
-include tests/fuzz/rules.mk
-include tests/lease-tree/rules.mk
