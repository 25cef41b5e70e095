"""A newer release's parameters come into the file that people edit, and nothing of theirs is touched."""

from __future__ import annotations

from damageloop.adapters.params_upgrade import merged

PRODUCT = """\
# The product's own head.

labels:
  classes: [scratch, dent]

# How rounds are made.
round:
  size: 200
  # Minutes at most.
  minutes: null
  seed: 0
  nested:
    first: 1
    second: 2

sweep:
  # Free names.
  space:
    model.base: [a, b]
"""


def is_section(name: str) -> bool:
    return name in {"labels", "round", "round.nested", "sweep"}


def merge(mine: str) -> tuple[str, tuple[str, ...]]:
    return merged(mine, PRODUCT, is_section)


def test_a_file_that_lacks_nothing_stays_as_it_is() -> None:
    assert merge(PRODUCT) == (PRODUCT, ())


def test_a_missing_value_comes_with_its_comment_behind_what_stands_before_it() -> None:
    mine = PRODUCT.replace("  # Minutes at most.\n  minutes: null\n", "").replace("size: 200", "size: 77 # ours")
    text, added = merge(mine)
    assert added == ("round.minutes",)
    assert text == PRODUCT.replace("size: 200", "size: 77 # ours")


def test_a_missing_section_comes_whole_and_apart_from_its_neighbours() -> None:
    text, added = merge("labels:\n  classes: [rust]\nsweep:\n  space: {}\n")
    assert added == ("round",)
    assert text.startswith("labels:\n  classes: [rust]\n\n# How rounds are made.\nround:\n  size: 200\n")
    assert text.endswith("    second: 2\n\nsweep:\n  space: {}\n")


def test_names_that_people_make_up_are_left_to_them() -> None:
    mine = PRODUCT.replace("model.base: [a, b]", "model.size: [1]")
    assert merge(mine) == (mine, ())


def test_a_section_on_one_line_and_a_comment_of_theirs_stay() -> None:
    mine = PRODUCT.replace("  nested:\n    first: 1\n    second: 2\n", "  nested: {first: 9}  # on one line\n")
    assert merge(mine) == (mine, ())


def test_what_comes_is_indented_as_the_file_is() -> None:
    text, added = merge("labels:\n    classes: [dent]\nround:\n    size: 1\nsweep: {}\n")
    assert added == ("round.minutes", "round.seed", "round.nested")
    assert "    # Minutes at most.\n    minutes: null\n    seed: 0\n    nested:\n      first: 1\n" in text


def test_merging_twice_adds_nothing_more() -> None:
    text, _ = merge("labels:\n  classes: [dent]\n")
    assert merge(text) == (text, ())
