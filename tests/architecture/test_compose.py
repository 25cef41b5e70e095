"""docker-compose.yml: what faces the internet reaches no more than it needs. Nothing here starts a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from damageloop.settings import Settings

SERVICES: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parents[2] / "docker-compose.yml").read_text())[
    "services"
]


def networks(name: str) -> set[str]:
    service = SERVICES[name]
    shared = service.get("network_mode", "").removeprefix("service:")
    return networks(shared) if shared else set(service.get("networks", ()))


def test_the_pricing_surface_shares_no_network_with_label_studio_or_mlflow() -> None:
    reached = {name for name in SERVICES if name != "api" and networks(name) & networks("api")}
    assert {"postgres", "redis"} <= reached
    assert not reached & {"label-studio", "ml-backend", "operations", "mlflow"}


def test_what_is_published_is_published_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize(("name", "surface"), [("api", "pricing"), ("operations", "operations")])
def test_each_surface_has_its_process_and_settings_that_are_known(
    name: str, surface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, str] = SERVICES[name]["environment"]
    for key, value in environment.items():
        monkeypatch.setenv(key, "INFO" if value.startswith("${") else value)
    settings = Settings()
    assert settings.api_surface == surface
    # Label Studio takes `localhost`, which it shares with the operations surface.
    assert settings.operations_url == "http://localhost:8000"
