"""What annotators are told to draw as a class, where the parameters do not say it."""

from __future__ import annotations

_TEXTS = {
    "scratch": "A line or a patch where the paint is scraped, chipped or gone. The surface is hurt, the shape is not. "
    "One box for each scratch; scratches that touch or run side by side are one.",
    "dent": "A place where the sheet metal is pushed in or out, seen by reflections that bend around it. The box goes "
    "around all that is bent, not only the deepest point.",
    "crack": "A split in plastic, paint or a lamp with an edge on both sides. The box goes around its whole length.",
    "rust": "Brown or orange corrosion, or paint that blisters over it. Dirt that could be wiped off is no rust.",
    "paint": "Paint that peels, flakes or has faded in a patch, without a scraped line.",
    "glass shatter": "Glass that is broken or holds a net of cracks. The box goes around all broken glass of a pane.",
    "lamp broken": "A lamp with a broken, cracked or missing cover. The box goes around the whole lamp.",
    "tire flat": "A tire that has lost its air or is torn. The box goes around the whole tire.",
    "missing part": "A part that should be there and is not. The box goes around its empty place.",
}


def default_definition(damage_class: str) -> str:
    """Return the definition of a class that is known by this name, in whatever way it is written, else a plain one.

    `glass_shatter`, `Glass shatter` and `glass-shatter` are one name.
    """
    known = damage_class.lower().replace("_", " ").replace("-", " ")
    plain = f"Every {known} that you would show to a buyer of the car. One box for each, tight around what can be seen."
    return _TEXTS.get(known, plain)
