"""What people ask about model versions, for the API and the command line."""

from __future__ import annotations

from collections.abc import Callable

from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.model_review import ModelReview
from damageloop.services.insight.val_images import ValImages


def make_model_review(units: UnitOfWorkFactory, releases: ReleaseStore, params: Callable[[], Params]) -> ModelReview:
    """Return the service, on the parameters of the moment; it remembers what it was asked last."""
    return ModelReview(units, releases, ValImages(units, releases, params), params)
