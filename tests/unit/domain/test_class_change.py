"""Classes that are added, renamed and removed: what params.yaml says afterwards, and how older names are read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.annotation import LabeledBox, current_boxes
from damageloop.domain.class_change import ChangeKind, ClassChange, ClassList, changed
from damageloop.domain.geometry import Box
from damageloop.domain.labels import FormerNames
from damageloop.errors import ConflictError, DamageloopError, InvalidInputError, NotFoundError

LABELS = ClassList(("scratch", "dent"))
BOX = Box(1, 1, 9, 9)


def add(name: str) -> ClassChange:
    return ClassChange(ChangeKind.ADD, name)


def rename(name: str, to: str) -> ClassChange:
    return ClassChange(ChangeKind.RENAME, name, to)


def remove(name: str) -> ClassChange:
    return ClassChange(ChangeKind.REMOVE, name)


def after(*changes: ClassChange) -> ClassList:
    labels = LABELS
    for change in changes:
        labels = changed(labels, change)
    return labels


def test_a_new_class_comes_last_so_that_the_columns_of_the_others_stay() -> None:
    assert after(add("crack")).classes == ("scratch", "dent", "crack")


@pytest.mark.parametrize("change", [add("dent"), rename("dent", "ding"), remove("dent")])
def test_a_change_that_was_made_already_changes_nothing(change: ClassChange) -> None:
    once = after(change)
    assert changed(once, change) == once


def test_a_class_that_is_renamed_twice_is_read_under_its_last_name_and_written_under_its_first() -> None:
    labels = after(rename("dent", "ding"), rename("ding", "bump"))
    assert labels.classes == ("scratch", "bump")
    assert [labels.former.current(name) for name in ("dent", "ding", "bump")] == ["bump"] * 3
    assert labels.former.written("bump") == "dent"


def test_a_class_that_gets_its_old_name_back_is_one_class_under_both() -> None:
    labels = after(rename("dent", "ding"), rename("ding", "dent"))
    assert labels.classes == ("scratch", "dent")
    assert [labels.former.current(name) for name in ("dent", "ding")] == ["dent", "dent"]


def test_what_a_removed_class_was_called_before_is_removed_with_it() -> None:
    labels = after(rename("dent", "ding"), remove("ding"))
    assert [labels.former.current(name) for name in ("dent", "ding", "scratch")] == [None, None, "scratch"]


def test_a_removed_class_can_come_back() -> None:
    assert after(remove("dent"), add("dent")) == LABELS


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ((rename("dent", "scratch"),), ConflictError),
        ((rename("rust", "crack"),), NotFoundError),
        ((rename("dent", "dent"),), InvalidInputError),
        ((remove("rust"),), NotFoundError),
        ((remove("dent"), remove("scratch")), ConflictError),
        ((rename("dent", "ding"), add("dent")), ConflictError),
        ((remove("dent"), rename("scratch", "dent")), ConflictError),
        ((rename("dent", "ding"), rename("scratch", "dent")), ConflictError),
    ],
)
def test_two_classes_never_become_one_and_one_always_stays(
    changes: tuple[ClassChange, ...], error: type[DamageloopError]
) -> None:
    with pytest.raises(error):
        after(*changes)


NAMES = st.sampled_from(["scratch", "dent", "a", "b"])
CHANGES = st.one_of(NAMES.map(add), NAMES.map(remove), st.builds(rename, NAMES, NAMES))


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, max_size=8))
def test_whatever_is_done_each_name_means_one_class_of_now_or_none(changes: list[ClassChange]) -> None:
    labels = LABELS
    for change in changes:
        try:
            labels = changed(labels, change)
        except DamageloopError:
            continue
    assert len(set(labels.classes)) == len(labels.classes) > 0
    for name in ("scratch", "dent", "a", "b"):
        assert labels.former.current(name) in {None, name, *labels.classes}
    for name in labels.classes:
        assert labels.former.current(name) == labels.former.current(labels.former.written(name)) == name


def test_boxes_are_read_under_the_names_of_now() -> None:
    former = FormerNames({"dent": "ding"}, ("rust",))
    drawn = [LabeledBox(name, BOX) for name in ("dent", "rust", "scratch")]
    assert current_boxes(drawn, former) == (LabeledBox("ding", BOX), LabeledBox("scratch", BOX))
