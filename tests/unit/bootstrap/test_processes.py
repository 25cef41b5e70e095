"""Which programs the embedded platform has, and what each is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from damageloop.adapters.secrets import Secrets
from damageloop.adapters.supervisor_config import ProgramSpec
from damageloop.bootstrap.processes import LABEL_STUDIO_PASSWORD, programs
from damageloop.settings import Settings

ALWAYS = ["ml-backend", "api", "worker-default", "worker-inference", "worker-training", "beat", "console"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    secrets = Secrets(tmp_path / "secrets")
    secrets.write(LABEL_STUDIO_PASSWORD, "a-password-of-the-test")
    secrets.write("label-studio-token", "a-token-of-the-test")
    return tmp_path


def by_name(settings: Settings) -> dict[str, ProgramSpec]:
    return {spec.name: spec for spec in programs(settings)}


def test_the_embedded_platform_has_all_programs(home: Path) -> None:
    assert list(by_name(Settings(home=home))) == ["mlflow", "label-studio", *ALWAYS]


def test_a_service_with_an_address_of_its_own_is_not_started(home: Path) -> None:
    settings = Settings(home=home, mlflow_uri="http://mlflow.example", label_studio_url="http://ls.example")
    assert list(by_name(settings)) == ALWAYS


def test_before_init_there_is_no_label_studio(tmp_path: Path) -> None:
    assert list(by_name(Settings(home=tmp_path))) == ["mlflow", *ALWAYS]


def test_no_secret_is_an_argument_and_every_command_is_absolute(home: Path) -> None:
    for spec in programs(Settings(home=home)):
        assert not any("of-the-test" in part for part in spec.argv)
        assert Path(spec.argv[0]).is_absolute()


def test_ports_follow_the_settings_and_name_them(home: Path) -> None:
    settings = Settings(home=home, api_port=8123, mlflow_port=5123, label_studio_port=8124, ml_backend_port=9123)
    found = {spec.name: (spec.port, spec.port_setting) for spec in programs(settings) if spec.port}
    assert found == {
        "mlflow": (5123, "DAMAGELOOP_MLFLOW_PORT"),
        "label-studio": (8124, "DAMAGELOOP_LABEL_STUDIO_PORT"),
        "ml-backend": (9123, "DAMAGELOOP_ML_BACKEND_PORT"),
        "api": (8123, "DAMAGELOOP_API_PORT"),
        "console": (8501, "DAMAGELOOP_CONSOLE_PORT"),
    }


def test_every_queue_has_a_worker(home: Path) -> None:
    served = [spec.argv[spec.argv.index("-Q") + 1] for spec in programs(Settings(home=home)) if "-Q" in spec.argv]
    assert sorted(",".join(served).split(",")) == ["default", "inference", "monitoring", "training"]


def test_programs_see_the_settings_with_absolute_paths_and_do_not_call_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    settings = Settings(home=Path("platform"), weights_dir=Path("weights"), mlflow_uri="http://mlflow.example")
    environment = by_name(settings)["worker-training"].environment
    assert environment["DAMAGELOOP_HOME"] == str(home / "platform")
    assert environment["DAMAGELOOP_WEIGHTS_DIR"] == str(home / "weights")
    assert environment["DAMAGELOOP_MLFLOW_URI"] == "http://mlflow.example"
    assert environment["DAMAGELOOP_BROKER_URL"] == ""
    assert environment["YOLO_OFFLINE"] == "true"
    assert environment["PYTHONUNBUFFERED"] == "1"


def test_label_studio_sees_nothing_of_the_platforms_environment(home: Path) -> None:
    spec = by_name(Settings(home=home))["label-studio"]
    assert spec.is_environment_complete
    assert not [name for name in spec.environment if name.startswith(("DAMAGELOOP_", "PYTHONPATH"))]
    assert spec.environment["COLLECT_ANALYTICS"] == "false"


def test_only_training_gives_way(home: Path) -> None:
    assert [spec.name for spec in programs(Settings(home=home)) if spec.nice] == ["worker-training"]


def test_addresses_are_handed_on_under_the_names_that_they_are_read_by(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMAGELOOP_API_URL", "http://api.example")
    environment = by_name(Settings(home=home))["worker-default"].environment
    assert environment["DAMAGELOOP_API_URL"] == "http://api.example"
    # Empty, it hides what the process manager may have inherited.
    assert environment["DAMAGELOOP_OPERATIONS_URL"] == ""


def test_the_console_is_told_where_the_api_is_and_nothing_of_the_database(home: Path) -> None:
    settings = Settings(home=home, database_url="postgresql://platform:secret@db/platform")
    environment = by_name(settings)["console"].environment
    assert environment["DAMAGELOOP_OPERATIONS_URL"] == "http://localhost:8000"
    assert environment["DAMAGELOOP_DATABASE_URL"] == ""
    assert environment["STREAMLIT_BROWSER_GATHER_USAGE_STATS"] == "false"
