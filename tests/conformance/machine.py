# SPDX-License-Identifier: BSD-3-Clause
"""What a line of results says of the machine that it is of."""

import os
import platform


def describe():
    env = os.environ
    return {"kernel": platform.release(), "topology": env.get("VM_TOPOLOGY", ""),
            "accel": env.get("VM_ACCEL", ""), "boot_options": env.get("VM_BOOT_OPTIONS", ""),
            "filesystem": "toyfs"}
