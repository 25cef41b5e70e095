"""The damage classes that people draw and models predict, and the two choices for a photo without boxes."""

from __future__ import annotations

NO_DAMAGE = "no damage"
UNUSABLE = "unusable photo"

# Okabe and Ito's palette: eight colors that people with the common kinds of color blindness can tell apart.
CLASS_COLORS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")


def class_color(index: int) -> str:
    """Return the color of the class at `index`; with more than eight classes colors repeat."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]
