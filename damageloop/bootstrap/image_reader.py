"""Makes the reader of photos that are answered and not kept, for the API and for workers that answer batches."""

from __future__ import annotations

from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.params import Params


def make_image_reader(params: Params) -> LimitedImageReader:
    """Return the reader of photos to answer: a small one is `unusable_image`, not a file that can't be read."""
    return LimitedImageReader(ImageLimits(params.ingest.max_file_bytes, params.ingest.max_pixels, min_side_px=1))
