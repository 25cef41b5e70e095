"""The labeling configuration and the instruction: what annotators find, by which keys, and what they read of it."""

from __future__ import annotations

from xml.etree import ElementTree

from damageloop.adapters.label_studio.form import Form, labeling_config
from damageloop.adapters.label_studio.instructions import ClassText, instruction
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE


def parsed(*classes: str, form: Form | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(labeling_config(classes, form=form))  # noqa: S314 - we wrote it


def named(view: ElementTree.Element, name: str) -> ElementTree.Element:
    found = view.find(f".//*[@name='{name}']")
    assert found is not None
    return found


def values(control: ElementTree.Element) -> list[str | None]:
    return [child.get("value") for child in control]


def test_the_photo_comes_last_so_that_nothing_falls_under_the_footer() -> None:
    view = parsed("scratch", "dent")
    assert view[-1].tag == "Image"
    assert [view[-1].get(key) for key in ("brightnessControl", "contrastControl", "zoomControl")] == ["true"] * 3
    assert values(named(view, "verdict")) == [NO_DAMAGE, UNUSABLE]


def test_everything_that_can_be_chosen_has_a_key_of_its_own() -> None:
    view = parsed(*(f"class {n}" for n in range(21)), form=Form(tuple("abcdefgh"), has_severity=True))
    chosen = [each for each in view.iter() if each.tag in {"Choice", "Label"}]
    hotkeys = [each.get("hotkey") for each in chosen]
    assert None not in hotkeys
    assert len(set(hotkeys)) == len(hotkeys) == 21 + 2 + 8 + 3
    assert len({label.get("background") for label in view.iter("Label")}) == 8


def test_the_note_asks_no_task_to_have_one() -> None:
    header = parsed("dent").find("Header")
    assert header is not None
    assert (header.get("value"), header.get("name")) == ("$note", None)


def test_severity_stays_known_unseen_and_without_its_keys_where_nobody_is_asked() -> None:
    off, on = parsed("dent"), parsed("dent", form=Form(has_severity=True))
    assert values(named(off, "severity")) == values(named(on, "severity")) == ["minor", "moderate", "severe"]
    around = [next(part for part in view.iter("View") if named(view, "severity") in list(part)) for view in (off, on)]
    assert ["none" in (part.get("style") or "") for part in around] == [True, False]
    assert not {c.get("hotkey") for c in named(off, "severity")} & {c.get("hotkey") for c in named(on, "severity")}


def test_the_instruction_has_every_class_with_its_key_definition_and_examples_escaped() -> None:
    told = instruction([ClassText("rust & dirt", "<b>brown</b>")], Form(("too dark",)), {"rust & dirt": ["/x?d=1&e=2"]})
    assert "<b>rust &amp; dirt</b> <kbd>1</kbd>" in told
    assert "&lt;b&gt;brown&lt;/b&gt;" in told
    assert 'src="/x?d=1&amp;e=2"' in told
    assert "<kbd>9</kbd>" in told
    assert "<kbd>z</kbd> too dark" in told
