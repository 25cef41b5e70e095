"""The damage classes that people draw and models predict, and the two choices for a photo without boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_DAMAGE = "no damage"
UNUSABLE = "unusable photo"
# Why a photo is skipped or can't be used, where the parameters name nothing else.
REASONS = ("too dark", "blurred", "no car", "not sure")

# Okabe and Ito's palette: eight colors that people with the common kinds of color blindness can tell apart.
CLASS_COLORS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")


def class_color(index: int) -> str:
    """Return the color of the class at `index`; with more than eight classes colors repeat."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


@dataclass(frozen=True, slots=True)
class FormerNames:
    """What became of classes that older annotations and models still name.

    Attributes:
        renamed: The present name by each former one; never a chain.
        removed: Classes that nobody looks for any more.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def current(self, name: str) -> str | None:
        """Return what a class is called now, or None when it was removed; a name without a past stays as it is."""
        return None if name in self.removed else self.renamed.get(name, name)

    def written(self, name: str) -> str:
        """Return what the annotation tool writes for a class: the first name that it ever had.

        Regions that people drew keep that text, and new ones get it too, so that one class has one text in the tool.
        """
        return next((former for former, present in self.renamed.items() if present == name), name)


NO_FORMER_NAMES = FormerNames()
