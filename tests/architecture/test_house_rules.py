"""Rules of the house that import-linter can't see: what a process really loads, and how the tree is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "ultralytics", "mlflow", "dvc", "evidently", "label_studio_sdk", "celery", "openvino", "onnxruntime")


def loaded_by(module: str) -> set[str]:
    """Return the top-level modules that importing `module` in a fresh process loads."""
    code = f"import sys, json, {module}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def tracked(pattern: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.splitlines()]


@pytest.mark.parametrize("module", ["api.main", "damageloop.cli.app"])
def test_a_process_loads_nothing_heavy_before_it_needs_it(module: str) -> None:
    assert loaded_by(module) & set(HEAVY) == set()


def test_the_api_loads_nothing_that_its_start_and_memory_need_not_pay_for() -> None:
    needless = {"scipy", "pandas", "pyarrow", "sklearn", "alembic", "typer", "rich", "matplotlib", "onnx", "nncf"}
    assert loaded_by("api.main") & needless == set()


@pytest.mark.parametrize("module", ["damageloop.bootstrap.detectors", "damageloop.adapters.engines.torchscript"])
def test_who_may_choose_an_engine_loads_none(module: str) -> None:
    assert loaded_by(module) & set(HEAVY) == set()


def test_workers_load_no_network_before_they_train() -> None:
    assert loaded_by("workers.app") & {"torch", "ultralytics", "mlflow", "evidently", "openvino"} == set()


def test_data_holds_no_code() -> None:
    assert not [path for path in tracked("data/*") if path.suffix == ".py"]


def test_every_folder_of_tests_is_a_package() -> None:
    # Without it `tests/unit/api` would hide the real `api` package.
    folders = {path.parent for path in tracked("tests/*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = {p.name: n for p in tracked("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}
