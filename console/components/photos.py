"""Photos with boxes: drawn on thumbnails here, so that the browser gets one small picture for each tile."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from PIL import Image, ImageDraw, ImageFont, ImageOps

from console import session
from damageloop_client import DamageloopClient

TILE_PX = 320
LARGE_PX = 512
_CACHED = 2_000
_UNKNOWN_COLOR = "#CC79A7"


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on a photo.

    Attributes:
        box_xyxy_px: Absolute pixels of the stored photo, origin top left.
        text: Written at its upper edge, such as "dent 0.87"; empty: nothing is written.
        color: As `#RRGGBB`; see `class_colors`.
        is_dashed: Drawn with gaps: what a model says, beside what a person drew.
    """

    box_xyxy_px: tuple[float, float, float, float]
    text: str = ""
    color: str = _UNKNOWN_COLOR
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One photo of a grid.

    Attributes:
        jpeg: The picture, boxes and all; None: it can't be shown (forgotten, or lost), and the tile says so.
        alt: What it shows, in words, for whoever does not see it.
        caption: Lines of Markdown below it.
    """

    jpeg: bytes | None
    alt: str
    caption: str = ""


def box_of(box: dict[str, float]) -> tuple[float, float, float, float]:
    """Return the API's box (`x_min`, `y_min`, `x_max`, `y_max`) as a tuple."""
    return box["x_min"], box["y_min"], box["x_max"], box["y_max"]


def thumbnail(image_id: int, size: int = TILE_PX) -> bytes:
    """Return the small JPEG of an image, from the cache where this key has seen it.

    Raises:
        DamageloopError: Of the client, such as NotFoundError for a forgotten image.
    """
    found: bytes = _thumbnail(session.client(), session.cache_key(), image_id, size)
    return found


@st.cache_data(max_entries=_CACHED, show_spinner=False)
def _thumbnail(_client: DamageloopClient, _who: str, image_id: int, size: int) -> bytes:
    return _client.get_bytes(f"/v1/images/{image_id}/thumbnail", size=size)


def class_colors() -> dict[str, str]:
    """Return the color of each damage class, as the labeling page has it."""
    found: dict[str, str] = _class_colors(session.client(), session.cache_key())
    return found


@st.cache_data(ttl=60, show_spinner=False)
def _class_colors(_client: DamageloopClient, _who: str) -> dict[str, str]:
    return {item["name"]: item["color"] for item in _client.get("/v1/parameters")["classes"]}


def boxes_on(jpeg: bytes, size_wh: tuple[int, int], marks: Sequence[Mark]) -> bytes:
    """Return a picture with boxes drawn on it, as JPEG.

    Args:
        jpeg: The photo or a smaller one of it, in any format that Pillow reads.
        size_wh: Width and height of the stored photo, in whose pixels the boxes are.
        marks: In the order in which they are drawn.
    """
    if not marks:
        return jpeg
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    pencil, scale = ImageDraw.Draw(picture), (picture.width / size_wh[0], picture.height / size_wh[1])
    font = ImageFont.load_default(size=max(11, picture.width // 28))
    for mark in marks:
        _draw(pencil, mark, scale, font, max(2, picture.width // 160))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def shrunk(photo: bytes, longest_px: int = 900) -> bytes:
    """Return a photo upright and no larger than a page shows it, as JPEG; bytes that are no photo come back as such."""
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return photo
    picture.thumbnail((longest_px, longest_px))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def grid(tiles: Sequence[Tile], columns: int = 4, below: Callable[[int], None] | None = None) -> None:
    """Show photos in rows of `columns`.

    Args:
        tiles: What is shown; the caller pages, some dozens at most.
        columns: 4 suits 1280 px, 6 suits 1920 px.
        below: Draws what belongs under a tile, such as its buttons, given its place in `tiles`; its widgets want a
            `key=` of their own.
    """
    for start in range(0, len(tiles), columns):
        for place, column in enumerate(st.columns(columns), start=start):
            if place < len(tiles):
                with column:
                    photo(tiles[place])
                    if below is not None:
                        below(place)


def photo(tile: Tile) -> None:
    """Show one photo as wide as there is room."""
    if tile.jpeg is None:
        st.info("This photo can't be shown: it was forgotten, or its file is gone.")
    else:
        st.image(tile.jpeg, width="stretch", alt=tile.alt)
    if tile.caption:
        st.markdown(tile.caption)


def _draw(
    pencil: ImageDraw.ImageDraw,
    mark: Mark,
    scale: tuple[float, float],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> None:
    x_min, y_min, x_max, y_max = mark.box_xyxy_px
    left, top, right, bottom = x_min * scale[0], y_min * scale[1], x_max * scale[0], y_max * scale[1]
    # White below: black and yellow boxes stay visible on any paint.
    for color, thickness in (("#FFFFFF", width + 2), (mark.color, width)):
        for line in _sides(left, top, right, bottom, mark.is_dashed):
            pencil.line(line, fill=color, width=thickness)
    if mark.text:
        _write(pencil, mark, (left, top), font)


def _sides(
    left: float, top: float, right: float, bottom: float, is_dashed: bool
) -> list[tuple[float, float, float, float]]:
    sides = [
        (left, top, right, top),
        (right, top, right, bottom),
        (right, bottom, left, bottom),
        (left, bottom, left, top),
    ]
    if not is_dashed:
        return sides
    return [piece for side in sides for piece in _dashes(side)]


def _dashes(side: tuple[float, float, float, float], length: float = 7.0) -> list[tuple[float, float, float, float]]:
    x, y, x_end, y_end = side
    whole = max(abs(x_end - x), abs(y_end - y))
    n = max(1, int(whole / (2 * length)))
    step_x, step_y = (x_end - x) / n, (y_end - y) / n
    return [(x + i * step_x, y + i * step_y, x + (i + 0.5) * step_x, y + (i + 0.5) * step_y) for i in range(n)]


def _write(
    pencil: ImageDraw.ImageDraw,
    mark: Mark,
    corner: tuple[float, float],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    _, _, wide, high = pencil.textbbox((0, 0), mark.text, font=font)
    left, top = corner[0], corner[1] - high - 4 if corner[1] > high + 4 else corner[1]
    pencil.rectangle((left, top, left + wide + 6, top + high + 4), fill=mark.color)
    pencil.text((left + 3, top + 1), mark.text, fill=_ink(mark.color), font=font)


def _ink(color: str) -> str:
    """Return black or white, whichever is easier to read on a color."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "#FFFFFF"
