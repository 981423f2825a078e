"""What this process may use of the machine."""

import os

__all__ = ["cores"]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
