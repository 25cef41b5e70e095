"""Twenty faults of one seed on a copy of the small demo; `make test-chaos` runs other seeds and more faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.platform_under_test import ROOT

SEED = 46
N_FAULTS = 20


def test_nothing_is_lost_when_twenty_faults_strike(saved_home: Path, tmp_path: Path) -> None:
    results = tmp_path / "chaos.json"
    options = ("--seed", str(SEED), "--faults", str(N_FAULTS), "--home", str(saved_home), "--json", str(results))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *options],
        cwd=ROOT,
        env=dict(os.environ),
        text=True,
        capture_output=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]
    found = json.loads(results.read_text())
    assert found["ok"]
    assert [fault["number"] for fault in found["faults"]] == list(range(1, N_FAULTS + 1))
    # Something was at stake: people worked, and the loop turned while it was struck.
    assert found["counts"]["people"]["submit"] >= 5
    assert found["counts"]["snapshots"] >= 2
    assert found["counts"]["models"] >= 3
