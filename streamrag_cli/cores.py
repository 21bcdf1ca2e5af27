"""The number of processor cores."""

import os


def usable_cores() -> int:
    """The number of cores that this process may use. If the system does not report them, all cores of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
