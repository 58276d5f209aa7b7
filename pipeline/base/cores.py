"""How many processors we may use."""

from __future__ import annotations

import os


def core_count() -> int:
    """Cores that we may use, in a container say, not those that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
