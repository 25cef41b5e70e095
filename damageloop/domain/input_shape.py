"""Which shape of a network's input a photo is seen through: a landscape photo need not pay for a square's padding."""

from __future__ import annotations

from collections.abc import Sequence

from damageloop.domain.release import InputShape, ReleaseManifest

# Of the largest scale: so little smaller a photo may be seen, or one a few pixels off 4:3 would pay for a square.
_SCALE_TOLERANCE = 0.01


def choose_shape(size_wh: tuple[int, int], image_size: int, offered: Sequence[InputShape]) -> InputShape:
    """Return the shape whose letterbox wastes least, of those that show the photo no smaller than the others do.

    It depends on nothing but the arguments, so that a photo is always answered through the same shape. Of equal ones
    it is the first of `InputShape`. A photo of 1280 x 960 at 640 px is seen at half its size through the square and
    through landscape, 640 x 480, which has a quarter less input; one of 1000 x 900 would be seen at 0.53 instead of
    0.64 of its size through landscape, and keeps the square.

    Args:
        size_wh: Size of the photo itself, also where a reduced copy is looked at.
        image_size: The longer side of the input.
        offered: At least one shape.
    """
    shapes = [shape for shape in InputShape if shape in offered]
    scales = {shape: _scale(size_wh, shape.size_hw(image_size)) for shape in shapes}
    least = (1.0 - _SCALE_TOLERANCE) * max(scales.values())
    return min((shape for shape in shapes if scales[shape] >= least), key=lambda shape: _area(shape, image_size))


def released_shapes(manifest: ReleaseManifest, allowed: Sequence[InputShape]) -> tuple[InputShape, ...]:
    """Return which of the `allowed` shapes a release may be seen through: the square, and those that held on val.

    What is said of a photo depends on the shape, so one that nobody judged for this model is not used: releases of
    base weights and older ones have the square alone.
    """
    shapes = manifest.card.get("precision", {}).get("shapes", {}).get("released", ())
    return tuple(shape for shape in allowed if shape is InputShape.SQUARE or shape.value in shapes)


def _scale(size_wh: tuple[int, int], input_hw: tuple[int, int]) -> float:
    return min(input_hw[0] / size_wh[1], input_hw[1] / size_wh[0])


def _area(shape: InputShape, image_size: int) -> int:
    height, width = shape.size_hw(image_size)
    return height * width
