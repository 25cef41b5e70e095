"""The reliability of a model's probability of damage as an SVG drawing, from the figures of its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_SIDE, _LEFT, _TOP = 360, 60, 50
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + 60
# Okabe and Ito's blue, which stands out for every kind of color vision.
_INK = "#0072B2"
_STYLE = "font-family='sans-serif' font-size='12' fill='#222'"


def reliability_svg(bins: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return a square plot: P(damage) said across, share of damaged photos up, with intervals and the diagonal.

    Args:
        bins: `card["none"]["reliability"]`.
        title: Above the plot.
    """
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' role='img'>",
        f"<title>{escape(title)}</title>",
        "<rect width='100%' height='100%' fill='white'/>",
        f"<text x='{_LEFT}' y='24' {_STYLE}>{escape(title)}</text>",
        f"<rect x='{_LEFT}' y='{_TOP}' width='{_SIDE}' height='{_SIDE}' fill='none' stroke='#222'/>",
        *_ticks(),
        _line((0.0, 0.0), (1.0, 1.0), "stroke='#888' stroke-dasharray='4 4'"),
        *(mark for part in bins for mark in _marks(part)),
        f"<text x='{_LEFT + _SIDE / 2}' y='{_HEIGHT - 14}' text-anchor='middle' {_STYLE}>P(damage) said</text>",
        _upward("share of damaged photos"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _upward(text: str) -> str:
    middle = _TOP + _SIDE / 2
    turn = f"transform='rotate(-90 16 {middle})'"
    return f"<text x='16' y='{middle}' text-anchor='middle' {_STYLE} {turn}>{text}</text>"


def _ticks() -> list[str]:
    ticks = []
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        (x, _), (_, y) = _place(step, 0.0), _place(0.0, step)
        ticks.append(f"<text x='{x:.1f}' y='{_TOP + _SIDE + 18}' text-anchor='middle' {_STYLE}>{step:g}</text>")
        ticks.append(f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' {_STYLE}>{step:g}</text>")
    return ticks


def _marks(part: Mapping[str, Any]) -> list[str]:
    said, seen = part["predicted"], part["observed"]
    x, y = _place(said, seen["value"])
    told = f"said {said:.3f}, seen {seen['value']:.3f} of {seen['count']} ({seen['low']:.3f} to {seen['high']:.3f})"
    return [
        _line((said, seen["low"]), (said, seen["high"]), f"stroke='{_INK}' stroke-width='1.5'"),
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{_INK}'><title>{escape(told)}</title></circle>",
    ]


def _line(start: tuple[float, float], end: tuple[float, float], style: str) -> str:
    (x1, y1), (x2, y2) = _place(*start), _place(*end)
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' {style}/>"


def _place(across: float, up: float) -> tuple[float, float]:
    return _LEFT + across * _SIDE, _TOP + (1.0 - up) * _SIDE
