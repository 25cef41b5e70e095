"""What names a map."""

from __future__ import annotations

import pytest

from damageloop.services.images.embedding_map import map_hash

PARAMETERS = {"seed": 0, "perplexity": 30.0}


def test_the_order_of_images_and_parameters_changes_nothing() -> None:
    reversed_parameters = dict(reversed(PARAMETERS.items()))
    assert map_hash("7", [1, 2], PARAMETERS) == map_hash("7", [2, 1], reversed_parameters)


@pytest.mark.parametrize(
    ("source", "ids", "parameters"),
    [("8", [1, 2], PARAMETERS), ("7", [1, 2, 3], PARAMETERS), ("7", [1, 2], {**PARAMETERS, "seed": 1})],
)
def test_another_source_image_or_parameter_is_another_map(
    source: str, ids: list[int], parameters: dict[str, float]
) -> None:
    assert map_hash(source, ids, parameters) != map_hash("7", [1, 2], PARAMETERS)
