"""What this machine has left: memory within its control group, disk, and open files."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from damageloop.domain.training_needs import Resources

CONTROL_GROUPS = Path("/sys/fs/cgroup")
# Version 2, then version 1: the limit, what is used of it, and which part of that is files that can be dropped.
_MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def present_resources(folder: Path, control_groups: Path = CONTROL_GROUPS) -> Resources:
    """Return what is free now; `folder` lies on the disk that counts."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Resources(
        memory_bytes=min([psutil.virtual_memory().available, *_left_in_group(control_groups)]),
        disk_bytes=shutil.disk_usage(folder).free,
        open_files=float("inf") if soft == resource.RLIM_INFINITY else soft,
    )


def _left_in_group(folder: Path) -> Iterator[int]:
    """Yield what a container may still take; nothing where it has no limit."""
    for limit, used, statistics, droppable in _MEMORY_FILES:
        try:
            lines = (line.split() for line in (folder / statistics).read_text().splitlines())
            dropped = next((int(value) for name, value in lines if name == droppable), 0)
            yield max(int((folder / limit).read_text()) - int((folder / used).read_text()) + dropped, 0)
        except (OSError, ValueError):  # no such version, or "max"
            continue
