"""How labeled images are laid out for other programs, in the words of those who ask for it."""

from __future__ import annotations

from enum import StrEnum


class DatasetFormat(StrEnum):
    """COCO: one JSON file for each split. YOLO: one text file for each image, and `data.yaml`."""

    COCO = "coco"
    YOLO = "yolo"


class Placement(StrEnum):
    """`link`: hard links where possible. `copy`: files of their own. `none`: only names, no image."""

    LINK = "link"
    COPY = "copy"
    NONE = "none"
