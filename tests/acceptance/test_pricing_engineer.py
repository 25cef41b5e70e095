"""The pricing engineer's story: "I get a key, send photos of a car, and build a price on what I am told." """

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from damageloop_client import NONE, DamageloopClient, InvalidRequestError, NotAllowedError
from tests.e2e.platform_under_test import PlatformUnderTest

PRICE = Decimal("18500.00")


def test_i_value_cars_by_their_photos_and_none_costs_nothing(live: PlatformUnderTest, tmp_path: Path) -> None:
    key = live.command("keys", "create", "--scope", "predict", "--name", "offers").strip()
    with DamageloopClient(live.settings.api_url, key) as client:
        for number, photo in enumerate(_photos(live, 6)):
            seen = client.predict([(f"car-{number}.jpg", photo)])
            # "None" is an answer, and then no damage is named beside it.
            assert not (seen.outcome == NONE and seen.damages)
            worth = client.value([seen.request_id], PRICE, "EUR", idempotency_key=f"offer-{number}")
            price = worth.adjusted_price
            assert Decimal(0) <= price.low <= price.expected <= price.high <= PRICE
            assert worth.explanation
            again = client.value([seen.request_id], PRICE, "EUR", idempotency_key=f"offer-{number}")
            assert again.valuation_id == worth.valuation_id
            assert client.prediction(seen.request_id).raw == seen.raw

        with pytest.raises(InvalidRequestError, match=r"letter\.pdf|photo|image"):
            client.predict([("letter.pdf", b"%PDF-1.4")])
    with (
        DamageloopClient(live.settings.api_url, "dl_a_key_that_was_mistyped") as stranger,
        pytest.raises(NotAllowedError),
    ):
        stranger.champion()


def _photos(live: PlatformUnderTest, count: int) -> list[bytes]:
    rows = live.rows("SELECT sha256, extension FROM images GROUP BY group_key ORDER BY group_key LIMIT ?", count)
    folder = live.home / "images" / "sha256"
    return [(folder / sha[:2] / f"{sha}.{extension}").read_bytes() for sha, extension in rows]
