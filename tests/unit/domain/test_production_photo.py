"""Which requests are drawn."""

from __future__ import annotations

import pytest

from damageloop.domain.production_photo import is_drawn


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_many_requests_is_drawn(share: float) -> None:
    drawn = sum(is_drawn(f"request-{number}", share) for number in range(4000))
    assert abs(drawn / 4000 - share) < 0.03
    if share in (0.0, 1.0):
        assert drawn == 4000 * share


def test_a_request_is_drawn_again_by_a_larger_share() -> None:
    drawn = {n for n in range(1000) if is_drawn(str(n), 0.2)}
    assert drawn
    assert drawn <= {n for n in range(1000) if is_drawn(str(n), 0.4)}
