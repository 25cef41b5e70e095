"""What is free on this machine: within the limit of a control group of either version, less what can be dropped."""

from __future__ import annotations

from pathlib import Path

import psutil

from damageloop.adapters.machine import present_resources

MIB = 1024**2


def group(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path) -> None:
    unlimited = {"memory.max": "max\n", "memory.current": "5\n", "memory.stat": "anon 1\n"}
    found = present_resources(tmp_path, group(tmp_path, unlimited))
    assert MIB < found.memory_bytes <= psutil.virtual_memory().total
    assert found.disk_bytes > 0
    assert found.open_files >= 64


def test_a_containers_limit_counts_less_what_it_uses_and_files_can_be_dropped(tmp_path: Path) -> None:
    second = {"memory.max": str(30 * MIB), "memory.current": str(25 * MIB), "memory.stat": f"inactive_file {4 * MIB}\n"}
    assert present_resources(tmp_path, group(tmp_path / "2", second)).memory_bytes == 9 * MIB
    first = {
        "memory/memory.limit_in_bytes": str(30 * MIB),
        "memory/memory.usage_in_bytes": str(31 * MIB),
        "memory/memory.stat": "cache 7\n",
    }
    assert present_resources(tmp_path, group(tmp_path / "1", first)).memory_bytes == 0
