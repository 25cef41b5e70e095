"""What a drifted column is called, and what is said of it to people."""

from __future__ import annotations

from collections.abc import Iterable

from damageloop.domain.drift.columns import OUTCOME, ColumnKind, Comparison

# What photos are on the low and on the high side of a quality column, and what its drift is called there.
_SIDES = {
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "richer in contrast"),
    "sharpness": ("less sharp", "sharper"),
    "noise": ("cleaner", "noisier"),
    "megapixels": ("smaller", "larger"),
    "aspect_ratio": ("narrower", "wider"),
}
_KINDS = {
    ("brightness", True): "dark",
    ("brightness", False): "bright",
    ("sharpness", True): "blurred",
    ("noise", False): "noisy",
    ("megapixels", True): "small",
}
# Standard deviations below which nobody would call it a change.
UNCHANGED = 0.05
_DIGITS = {"megapixels": 2, "aspect_ratio": 2, "confidence": 2, "top_score": 2, "noise": 1}


def has_fallen(comparison: Comparison) -> bool:
    """Tell whether a numeric column's mean is lower in the window than in the reference."""
    return comparison.window.get("mean", 0.0) < comparison.reference.get("mean", 0.0)


def kind_of(comparison: Comparison) -> str | None:
    """Return what a drift of this column is called: `dark`, `bright`, `blurred`, `noisy`, `small`, or None."""
    return _KINDS.get((comparison.column, has_fallen(comparison)))


def describe(comparison: Comparison) -> str:
    """Return how the window differs, as a clause.

    "brightness fell from 121 to 63; 38 % of photos are darker than 99 % of the reference".
    """
    if comparison.kind is ColumnKind.EMBEDDING:
        of_100 = round(comparison.effect * 100)
        return f"what the model sees differs: a classifier tells new photos from old ones in {of_100} of 100 pairs"
    if comparison.kind is ColumnKind.CATEGORICAL:
        return _shares(comparison)
    return _numbers(comparison)


def _numbers(comparison: Comparison) -> str:
    fallen, column = has_fallen(comparison), comparison.column
    digits = _DIGITS.get(column, 2 if column.startswith("boxes: ") else 0)
    before, after = (round(part.get("mean", 0.0), digits) for part in (comparison.reference, comparison.window))
    name = f"{column.removeprefix('boxes: ')}s per photo" if column.startswith("boxes: ") else column.replace("_", " ")
    if comparison.effect < UNCHANGED:
        return f"{name} stays around {after:.{digits}f}"
    if before == after:
        text = f"the spread of {name} changed around {after:.{digits}f}"
    else:
        text = f"{name} {'fell' if fallen else 'rose'} from {before:.{digits}f} to {after:.{digits}f}"
    share = comparison.window.get("below_p01" if fallen else "above_p99", 0.0)
    if column in _SIDES and share >= 0.05:
        text += f"; {share:.0%} of photos are {_SIDES[column][not fallen]} than 99 % of the reference"
    return text.replace("%", " %").replace("  %", " %")


def _shares(comparison: Comparison) -> str:
    names = sorted({*comparison.reference, *comparison.window})
    moves = {name: comparison.window.get(name, 0.0) - comparison.reference.get(name, 0.0) for name in names}
    # Of two that moved alike, as two categories always do, the one that rose.
    moved = max(names, key=lambda name: (round(abs(moves[name]), 6), moves[name]), default="")
    before, after = comparison.reference.get(moved, 0.0), comparison.window.get(moved, 0.0)
    shown = '"None"' if comparison.column == OUTCOME and moved == "none" else f'"{moved}"'
    verb = "fell" if after < before else "rose"
    return f"the share of {shown} {verb} from {before * 100:.0f} % to {after * 100:.0f} %"


def sentence(clauses: Iterable[str]) -> str:
    """Return clauses as one sentence that begins with a capital; empty without any."""
    text = ". ".join(clause[:1].upper() + clause[1:] for clause in clauses)
    return f"{text}." if text else ""
