"""The services that look after images and annotations, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.params import Params
from damageloop.ports import FeatureStore, MapStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.embed_crops import SimilarCrops
from damageloop.services.images.embedding_map import EmbeddingMaps
from damageloop.services.images.request_images import RequestImages
from damageloop.services.images.subsets import Subsets
from damageloop.services.insight.duplicates import Duplicates
from damageloop.services.insight.summarize_data import SummarizeData
from damageloop.services.loop.ledger import Ledger
from damageloop.services.reviews.label_errors import LabelErrors


@dataclass(frozen=True, slots=True)
class Curation:
    """Saved subsets, doubtful annotations, the embedding map, what looks alike, and the data in numbers."""

    subsets: Subsets
    label_errors: LabelErrors
    maps: EmbeddingMaps
    similar_crops: SimilarCrops
    summarize_data: SummarizeData
    duplicates: Duplicates


def make_curation(
    units: UnitOfWorkFactory,
    ledger: Ledger,
    params: Params,
    load_features: Callable[[], FeatureStore],
    maps: MapStore,
) -> Curation:
    """Return the services; nothing is read or loaded before one is called."""
    return Curation(
        subsets=Subsets(units, ledger.clock, params),
        label_errors=LabelErrors(units, RequestImages(units, ledger.clock), ledger, params),
        maps=EmbeddingMaps(units, maps, ledger, params),
        similar_crops=SimilarCrops(units, load_features, params),
        summarize_data=SummarizeData(units, params),
        duplicates=Duplicates(units),
    )
