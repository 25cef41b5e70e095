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
        ("gate", "guard_confidence_level", 0.4),
        ("annotation", "resolve", "majority"),
        ("annotation", "consensus_iou", 0.0),
        ("serving", "recall_target", 1.5),
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


def test_parameters_from_before_there_were_duplicates_get_cautious_ones() -> None:
    old = content()
    old["ingest"] = {k: v for k, v in old["ingest"].items() if not k.startswith("duplicate_")}
    ingest = parse_params(old).ingest
    assert (ingest.duplicate_hash_bits, ingest.duplicate_cosine) == (4, 0.9)


def test_nothing_is_frozen_that_was_never_trained() -> None:
    assert make_params(model={"base": "none"}).model.base == "none"
    with pytest.raises(InvalidInputError, match="freeze_layers"):
        make_params(model={"base": "none"}, training={"freeze_layers": 10})


def test_parameters_from_before_sweeps_and_unlabeled_training_are_accepted_and_keep_their_hash() -> None:
    old = content()
    del old["sweep"], old["training"]["semi_supervised"]
    params = parse_params(old)
    assert not params.training.semi_supervised.enabled
    assert params.hash() == parse_params(content()).hash()


def test_semi_supervised_values_count_for_the_hash_only_where_it_is_enabled() -> None:
    def hash_with(**values: object) -> str:
        return make_params(training={"semi_supervised": values}).hash()

    assert hash_with(weight=0.1) == hash_with(weight=0.9)
    assert hash_with(enabled=True, weight=0.1) != hash_with(enabled=True, weight=0.9)
    assert hash_with(enabled=True) != hash_with()


@pytest.mark.parametrize(
    ("semi_supervised", "said"),
    [
        ({"confidence": 0.5, "ambiguous_from": 0.6}, "ambiguous_from"),
        ({"ambiguous_from": 0.3, "class_confidence": {"dent": 0.2}}, "ambiguous_from"),
        ({"ambiguous_from": 0.0}, "ambiguous_from"),
        ({"class_confidence": {"rust": 0.7}}, "rust, no class of labels"),
    ],
)
def test_thresholds_that_contradict_each_other_are_refused(semi_supervised: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        make_params(training={"semi_supervised": semi_supervised})


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"training.colour": [1]},
        {"training.seed": [1, 2]},
        {"gate.seed": [1]},
        {"training.mosaic": []},
        {"training.mosaic": {"low": 1.0, "high": 0.5}},
        {"training.freeze_layers": {"low": 0, "high": 10, "log": True}},
    ],
)
def test_a_sweep_searches_single_values_of_model_and_training_only(space: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"sweep\.space"):
        make_params(sweep={"space": space})


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ([{"figure": "specificity", "slice": "small_boxes", "difference_above": 0, "min_count": 9}], "have no boxes"),
        ([{"figure": "accuracy", "difference_above": 0, "min_count": 9}], "recall"),
        ([{"figure": "recall", "slice": "dark", "difference_above": 0, "min_count": 9}] * 2, "two of recall on dark"),
    ],
)
def test_a_guard_that_can_mean_nothing_is_refused_in_words(guards: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make_params(gate={"guards": guards})


def test_gate_parameters_of_before_there_were_guards_get_those_of_today() -> None:
    old = content()
    for key in ("guard_confidence_level", "small_box_area_share", "guards", "first_model", "new_class_waits"):
        del old["gate"][key]
    assert parse_params(old).gate.rules() == parse_params(content()).gate.rules()


def test_recall_is_asked_for_of_known_classes_only() -> None:
    assert make_params(serving={"class_recall": {"dent": 0.9}}).serving.class_recall == {"dent": 0.9}
    with pytest.raises(InvalidInputError, match=r"serving\.class_recall names rust, no class of labels"):
        make_params(serving={"class_recall": {"rust": 0.9}})


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"renamed": {"ding": "rust"}}, "leads to rust, no class of labels"),
        ({"renamed": {"dent": "scratch"}}, "dent can't be a class and a former one"),
        ({"removed": ["dent"]}, "dent can't be a class and a former one"),
        ({"renamed": {"ding": "dent"}, "removed": ["ding"]}, "ding can't be renamed and removed"),
    ],
)
def test_what_a_class_was_called_before_means_one_thing(labels: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make_params(labels=labels)


def test_a_name_of_before_changes_no_training() -> None:
    assert make_params(labels={"renamed": {"ding": "dent"}, "removed": ["rust"]}).hash() == make_params().hash()


def test_a_rule_of_reviewers_names_some() -> None:
    with pytest.raises(InvalidInputError, match=r"annotation\.resolve reviewer needs annotation\.reviewers"):
        make_params(annotation={"resolve": "reviewer"})
    assert make_params(annotation={"resolve": "reviewer", "reviewers": ["user-3"]}).annotation.reviewers == ("user-3",)


def test_the_recall_asked_for_is_what_a_training_depends_on_where_it_is_set() -> None:
    plain = make_params().hash()
    assert make_params(serving={"dark_brightness": 40.0}).hash() == plain
    asked = make_params(serving={"recall_target": 0.8}).hash()
    assert len({plain, asked, make_params(serving={"class_recall": {"dent": 0.8}}).hash()}) == 3
