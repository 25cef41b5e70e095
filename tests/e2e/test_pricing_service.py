"""The guide's pricing service, unchanged, against a real platform: offers, batches, and keys that end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from damageloop_client import DamageloopClient, NotAllowedError
from tests.e2e.platform_under_test import ROOT, PlatformUnderTest
from tests.ports import free_ports

EXAMPLE = ROOT / "clients" / "python" / "examples"


@pytest.fixture(scope="module")
def key_file(live: PlatformUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new key for predictions, made as the guide says."""
    file = tmp_path_factory.mktemp("key") / "predict-key"
    file.write_text(live.command("keys", "create", "--scope", "predict", "--name", "pricing"))
    return file


@pytest.fixture(scope="module")
def offers(live: PlatformUnderTest, key_file: Path) -> Iterator[str]:
    """The example service, in a process of its own; yields its address."""
    (port,) = free_ports(1)
    environment = {"DAMAGELOOP_URL": live.settings.api_url, "DAMAGELOOP_API_KEY_FILE": str(key_file)}
    argv = [sys.executable, "-m", "uvicorn", "pricing_service:app", "--port", str(port), "--log-level", "warning"]
    service = subprocess.Popen(argv, cwd=EXAMPLE, env=os.environ | environment)
    url = f"http://127.0.0.1:{port}"
    try:
        live.wait("the example service", lambda: _answers(f"{url}/openapi.json"), timeout_s=60.0)
        yield url
    finally:
        service.terminate()
        service.wait(30)


@pytest.fixture(scope="module")
def photos(live: PlatformUnderTest) -> list[tuple[str, bytes]]:
    """Two photos of one car of the demo."""
    several = "SELECT group_key FROM images GROUP BY group_key HAVING count(*) > 1 ORDER BY group_key LIMIT 1"
    ((group,),) = live.rows(several)
    rows = live.rows("SELECT sha256, extension FROM images WHERE group_key = ? ORDER BY id LIMIT 2", group)
    folder = live.home / "images" / "sha256"
    return [(f"view-{n}.{end}", (folder / sha[:2] / f"{sha}.{end}").read_bytes()) for n, (sha, end) in enumerate(rows)]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_the_example_makes_an_offer_that_can_be_asked_for_again(offers: str, photos: list[tuple[str, bytes]]) -> None:
    files = [("images", photo) for photo in photos]
    first, second = (
        httpx.post(f"{offers}/offers", files=files, data={"asking_price": "18500.00"}, timeout=60.0, trust_env=False)
        for _ in range(2)
    )
    assert first.status_code == 200, first.text
    offer = first.json()
    low, high = (Decimal(amount) for amount in offer["range"])
    assert Decimal(0) <= low <= Decimal(offer["offer"]) <= high <= Decimal("18500.00")
    assert offer["damages"] == "None" or isinstance(offer["damages"], list)
    assert second.json() == offer


def test_the_example_tells_the_seller_which_file_is_no_photo(offers: str) -> None:
    files = [("images", ("letter.pdf", b"%PDF-1.4"))]
    price = {"asking_price": "18500.00"}
    answer = httpx.post(f"{offers}/offers", files=files, data=price, timeout=60.0, trust_env=False)
    assert answer.status_code == 422
    assert [file["file"] for file in answer.json()["files"]] == ["letter.pdf"]


def test_a_batch_is_answered_by_the_worker_as_the_api_answers(
    live: PlatformUnderTest, key_file: Path, photos: list[tuple[str, bytes]]
) -> None:
    with DamageloopClient(live.settings.api_url, key_file.read_text().strip()) as client:
        batch = client.new_batch([*photos, ("broken.jpg", b"no photo")])
        done = client.wait_for_batch(batch.batch_id, poll_s=0.5, timeout_s=120.0)
        assert (done.state, done.n_answered) == ("done", 3)
        lines = list(client.results(batch.batch_id))
        assert [line.filename for line in lines] == [*(name for name, _ in photos), "broken.jpg"]
        assert lines[2].error is not None
        for photo, line in zip(photos, lines, strict=False):
            alone = client.predict([photo])
            assert line.prediction is not None
            assert line.prediction.raw["images"] == alone.raw["images"]
            assert client.prediction(line.prediction.request_id).raw == line.prediction.raw


def test_a_revoked_key_opens_nothing_any_more(live: PlatformUnderTest, tmp_path: Path) -> None:
    made = live.command("keys", "create", "--scope", "predict", "--name", "short-lived", "--json")
    with DamageloopClient(live.settings.api_url, made["key"]) as client:
        client.champion()
        live.command("keys", "revoke", str(made["id"]), "--json")
        # Another process than the API's: it may believe what it checked for a second more.
        live.wait("the revoked key to be refused", lambda: _is_refused(client), timeout_s=10.0)


def _is_refused(client: DamageloopClient) -> bool:
    try:
        client.champion()
    except NotAllowedError:
        return True
    return False
