"""Describes the machine on which something is measured."""

import os
import platform
import re
from pathlib import Path


def machine():
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    kernel = ".".join(platform.release().split(".")[:2])
    cores, model = len(os.sched_getaffinity(0)), cpu[1] if cpu else platform.machine()
    return f"{cores} cores of {model}, {memory:.0f} GB of memory, Linux {kernel}"
