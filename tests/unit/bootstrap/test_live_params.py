"""Parameters of a process that lives long: read anew after a change, kept while the file is broken."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from damageloop.bootstrap.live_params import LiveParams
from tests.fakes.photos import PARAMS_FILE


def write(path: Path, text: str, at_ns: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at_ns, at_ns))


def test_a_change_is_seen_and_a_broken_file_leaves_what_was_read_last(tmp_path: Path) -> None:
    path = Path(shutil.copy(PARAMS_FILE, tmp_path / "params.yaml"))
    text = path.read_text()
    write(path, text, 1_000)
    live = LiveParams(path)
    assert live().labels.classes == ("scratch", "dent")
    renamed = text.replace("[scratch, dent]", "[scratch, ding]").replace("renamed: {}", "renamed: {dent: ding}")
    write(path, renamed, 2_000)
    assert live.former_names().current("dent") == "ding"
    write(path, "labels: [", 3_000)
    assert live().labels.classes == ("scratch", "ding")
    write(path, text, 4_000)
    assert live().labels.classes == ("scratch", "dent")
    path.unlink()
    assert live().labels.classes == ("scratch", "dent")
