"""Which embeddings selection reads now: the champion's, else those of the base, else color and texture."""

from __future__ import annotations

from damageloop.params import NO_BASE, Params
from damageloop.ports.persistence import UnitOfWork

# Color and texture of `adapters.photos.pixel_features`; the number rises when the features change.
PIXELS = "pixels-1"
# The source whose network `RegisterBase` released for embeddings only, since its head knows other classes.
BASE_FEATURES = "features.base"


def feature_source(work: UnitOfWork, params: Params) -> str | None:
    """Return the feature store's table to read embeddings from; None before any can be made.

    The champion's version where there is one; else `base-<first 12 digits of its hash>` of the released base; else,
    with `model.base: none`, `pixels-1`. None between the first photo and the base's export.
    """
    promotion = work.models.champion()
    if promotion is not None:
        return str(promotion.model_version)
    if params.model.base == NO_BASE:
        return PIXELS
    source: str | None = work.facts.get(BASE_FEATURES)
    return source
