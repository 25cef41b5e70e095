"""The report's pictures, as PNG bytes; each shows what the table beside it says."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from damageloop.domain.report_rows import ReportRows

_SPLITS = ("train", "val", "test")
# Of Okabe and Ito: told apart by color-blind people too.
_COLORS = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73"}
_STYLE: Any = {"font.family": "DejaVu Sans", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
_DARK = 50.0


def class_balance(rows: ReportRows) -> bytes:
    """Boxes of each class, by split."""
    frame = pd.DataFrame(rows.boxes, columns=["split", "damage_class"])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        part = {"hue": "split", "hue_order": _SPLITS, "palette": _COLORS}
        sns.countplot(frame, y="damage_class", order=list(rows.classes), ax=axes, **part)
        axes.set(xlabel="boxes", ylabel="")

    return _png(draw)


def box_sizes(rows: ReportRows) -> bytes:
    """Share of the photo that a box covers, by class."""
    frame = pd.DataFrame(rows.boxes, columns=["damage_class", "area_share"])
    frame["area_share"] *= 100

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        sns.boxplot(frame, x="area_share", y="damage_class", order=list(rows.classes), ax=axes, color="#56B4E9")
        axes.set(xlabel="share of the photo in percent", ylabel="", xscale="log" if len(frame) else "linear")
        axes.xaxis.set_major_formatter("{x:g}")

    return _png(draw)


def brightness(rows: ReportRows) -> bytes:
    """Mean brightness of the photos, by split."""
    frame = pd.DataFrame(rows.images, columns=["split", "brightness"])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        part = {"hue": "split", "hue_order": _SPLITS, "palette": _COLORS}
        sns.histplot(frame, x="brightness", bins=32, binrange=(0, 256), multiple="stack", ax=axes, **part)
        axes.axvline(_DARK, color="black", linestyle="--")
        axes.set(xlabel="mean brightness, 0 black to 255 white; dashed: dark below it", ylabel="photos")

    return _png(draw)


def duplicates(rows: ReportRows) -> bytes:
    """How many groups have how many photos."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.bar([str(size) for size in rows.group_sizes], list(rows.group_sizes.values()), color="#CC79A7")
        axes.set(xlabel="photos in one group", ylabel="groups")

    return _png(draw)


def _png(draw: Callable[[Figure], None]) -> bytes:
    buffer = io.BytesIO()
    # Without pyplot: no window system and no figure that stays in memory.
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 3.6), layout="constrained")
        draw(figure)
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
