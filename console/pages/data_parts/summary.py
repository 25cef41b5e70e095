"""Part Overview: classes, sizes of boxes and light, each as a chart and as a table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console import session
from console.components import words
from console.components.charts import bars, histogram
from console.components.gallery import VERDICTS


def show() -> None:
    """Draw the part."""
    with st.spinner("Counting"):
        found = session.client().get("/v1/data/summary")
    if not found["images"]["n_images"]:
        st.info("There are no images yet: `damageloop import FOLDER` brings some in, and this page then shows them.")
        return
    _figures(found)
    _findings(found)
    left, right = st.columns(2)
    with left:
        _classes(found["labels"])
        histogram("Brightness", found["images"]["brightness"], "data-brightness", "mean brightness, 0 to 255")
    with right:
        _box_sizes(found["boxes"])
        histogram("Contrast", found["images"]["contrast"], "data-contrast", "standard deviation of brightness")
    st.markdown(f"Brightness and contrast: {found['images']['basis']['words']}.")


def _figures(found: dict[str, Any]) -> None:
    images, boxes = found["images"], found["boxes"]
    about = "" if images["basis"]["is_exact"] else "about "
    shown = [("Images", f"{about}{words.count(images['n_images'])}")]
    shown += [(VERDICTS[name], words.count(n)) for name, n in boxes["verdicts"].items() if n or name == "damaged"]
    shown.append(("Refused files", words.count(sum(found["quarantined"].values()))))
    for column, (name, value) in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(name, value)
    sizes = ", ".join(f"{item['size']} ({words.count(item['n_images'])})" for item in images["sizes"])
    st.markdown(f"What people said: {boxes['basis']['words']}. Sizes in pixels: {sizes}.")


def _findings(found: dict[str, Any]) -> None:
    for finding in found["findings"]:
        show_it = st.error if finding["level"] == "error" else st.warning
        show_it(f"Snapshot {found['snapshot_id']}: {finding['message']} ({finding['count']})")


def _classes(labels: dict[str, Any]) -> None:
    parts = labels["by_split"]
    names = sorted({name for part in parts.values() for name in part["boxes"]})
    if not names:
        st.info("Nobody has drawn a box yet: annotate a round, and the classes are counted here.")
    else:
        series = {split: [part["boxes"].get(name, 0) for name in names] for split, part in parts.items()}
        bars("Boxes by class and split", names, series, "data-classes", x_title="class", y_title="boxes")
    rows = {
        split: {"images": part["images"], "without damage (None)": part["clean"], "cars": part["groups"]}
        for split, part in parts.items()
    }
    st.table(pd.DataFrame.from_dict(rows, orient="index").rename_axis("split"))
    st.markdown(f"Labels: {labels['basis']['words']}.")


def _box_sizes(boxes: dict[str, Any]) -> None:
    if not boxes["n_boxes"]:
        st.info("Nobody has drawn a box yet: their sizes are counted here.")
        return
    names = ["all classes", *boxes["by_class"]]
    chosen = st.selectbox("Boxes of", names, key="data-box-class")
    part = boxes if chosen == "all classes" else boxes["by_class"][chosen]
    histogram(
        "Size of boxes", part["area_share"], "data-boxes", "share of the photo's area", is_share=True, y_title="boxes"
    )
    medians = ", ".join(f"{n} {words.share(item['median_area_share'], 1)}" for n, item in boxes["by_class"].items())
    st.markdown(f"Boxes: {boxes['basis']['words']}. Half of the boxes are smaller than: {medians}.")
