"""The services that look after images and annotations, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.params import Params
from damageloop.ports import FeatureStore, MapStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.embed_crops import SimilarCrops
from damageloop.services.embedding_map import EmbeddingMaps
from damageloop.services.label_errors import LabelErrors
from damageloop.services.ledger import Ledger
from damageloop.services.request_images import RequestImages
from damageloop.services.subsets import Subsets


@dataclass(frozen=True, slots=True)
class Curation:
    """Saved subsets, doubtful annotations, the embedding map, and boxes that look alike."""

    subsets: Subsets
    label_errors: LabelErrors
    maps: EmbeddingMaps
    similar_crops: SimilarCrops


def make_curation(
    units: UnitOfWorkFactory,
    ledger: Ledger,
    params: Params,
    load_features: Callable[[], FeatureStore],
    maps: MapStore,
) -> Curation:
    """Return the services; nothing is read or loaded before one is called."""
    return Curation(
        subsets=Subsets(units, ledger.clock),
        label_errors=LabelErrors(units, RequestImages(units, ledger.clock), ledger),
        maps=EmbeddingMaps(units, maps, ledger, params),
        similar_crops=SimilarCrops(units, load_features),
    )
