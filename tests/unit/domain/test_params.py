"""Parameters: what is refused, and that the sentence names the key."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from damageloop.errors import InvalidInputError
from damageloop.params import parse_params
from tests.fakes.photos import PARAMS_FILE, make_params


def content() -> dict[str, Any]:
    return dict(yaml.safe_load(PARAMS_FILE.read_text()))


def test_the_repositorys_own_parameters_are_accepted() -> None:
    params = parse_params(content())
    assert params.labels.classes == ("scratch", "dent")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("round", "query_sise", 12),
        ("round", "query_size", 0),
        ("round", "audited_share", 1.5),
        ("model", "image_size", 250),
        ("training", "learning_rate", 0.0),
        ("gate", "confidence_level", 1.0),
        ("labels", "classes", []),
        ("labels", "classes", ["dent", "dent"]),
        ("ingest", "vehicle_pattern", "(?P<car>.*)"),
        ("ingest", "vehicle_pattern", "(?P<vehicle>"),
    ],
)
def test_an_unknown_key_or_a_bad_value_is_refused_and_named(section: str, key: str, value: object) -> None:
    changed = content()
    changed[section][key] = value
    with pytest.raises(InvalidInputError, match=rf"^params\.yaml: {section}\.{key}: .+\.$"):
        parse_params(changed)


def test_a_missing_key_and_a_missing_section_are_named() -> None:
    without_key, without_section = content(), content()
    del without_key["gate"]["seed"]
    del without_section["gate"]
    with pytest.raises(InvalidInputError, match=r"gate\.seed: Field required"):
        parse_params(without_key)
    with pytest.raises(InvalidInputError, match=r"gate: Field required"):
        parse_params(without_section)


@pytest.mark.parametrize("nothing", [None, [], "text"])
def test_a_file_that_is_no_mapping_is_refused(nothing: object) -> None:
    with pytest.raises(InvalidInputError, match="the file"):
        parse_params(nothing)


@pytest.mark.parametrize("shares", [{"train": 0.6, "val": 0.4}, {"train": 0.6, "val": 0.2, "test": 0.25}])
def test_split_shares_name_all_splits_and_sum_to_one(shares: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=r"split.*sums to 1"):
        make_params(split={"shares": shares})


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        make_params().round.query_size = 3  # type: ignore[misc]


def test_the_hash_moves_with_what_a_training_depends_on_and_with_nothing_else() -> None:
    plain = make_params().hash()
    assert make_params(round={"query_size": 7}, gate={"seed": 1}).hash() == plain
    changed = [
        make_params(training={"epochs": 99}),
        make_params(labels={"classes": ["dent"]}),
        make_params(model={"image_size": 320}),
    ]
    assert len({plain, *(params.hash() for params in changed)}) == 4
