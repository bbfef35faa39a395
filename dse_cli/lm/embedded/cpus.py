"""How many CPUs this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus(quota_file: Path = _CGROUP_QUOTA) -> int:
    """Return the number of CPUs, at least 1, by affinity and by the quota of the container.

    Threads beyond a container's quota are put to sleep in the middle of their work while the others
    wait for them, which makes a model many times slower.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    return max(1, min(count, _quota(quota_file) or count))


def _quota(path: Path) -> int | None:
    """Read cgroup v2's ``cpu.max``: ``<microseconds> <period>`` or ``max <period>``."""
    try:
        allowed, period = path.read_text(encoding="ascii").split()
        return round(int(allowed) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
