"""Settings -> adapters -> services for the watch over production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from damageloop.adapters.production_store import FileProductionStore
from damageloop.bootstrap.core import Core
from damageloop.ports import FeatureStore
from damageloop.ports.monitoring import DriftComparison
from damageloop.services.images.ingest_images import IngestImages
from damageloop.services.images.request_images import RequestImages
from damageloop.services.loop.triggers import Triggers
from damageloop.services.monitoring.drift_reference import ReadReference
from damageloop.services.monitoring.expected_performance import ExpectedPerformance
from damageloop.services.monitoring.follow_feedback import FollowFeedback
from damageloop.services.monitoring.measure_again import MeasureAgain
from damageloop.services.monitoring.respond_to_drift import RespondToDrift
from damageloop.services.monitoring.take_in_production import TakeInProduction
from damageloop.services.monitoring.watch_drift import WatchDrift
from damageloop.services.rounds.ask_for_round import AskForRound


def make_watch_drift(core: Core) -> WatchDrift:
    """Return the handler of jobs of kind CHECK_DRIFT."""

    def features() -> FeatureStore:
        return core.features

    def comparison() -> DriftComparison:
        # Evidently takes seconds to import.
        from damageloop.adapters.evidently import EvidentlyComparison

        return EvidentlyComparison()

    reference = ReadReference(features, core.releases, core.params)
    expect = ExpectedPerformance(core.releases, core.params)
    return WatchDrift(core.units, reference, comparison, core.clock, core.params, expect)


def make_take_in_production(core: Core) -> TakeInProduction:
    """Return the handler of jobs of kind TAKE_IN_PRODUCTION."""
    ingest = IngestImages(core.units, core.images, core.clock, core.params)
    return TakeInProduction(core.units, FileProductionStore(core.settings.production_store), ingest, core.clock)


def make_follow_feedback(core: Core) -> FollowFeedback:
    """Return what puts remarked photos before annotators."""
    return FollowFeedback(core.units, RequestImages(core.units, core.clock))


def make_respond_to_drift(core: Core) -> RespondToDrift:
    """Return what acts on an open drift event."""

    def write_params(values: Mapping[str, Any]) -> None:
        from damageloop.adapters.params_file import changed_text, replace_text
        from damageloop.params import load_params

        path = core.settings.params_file
        text = changed_text(path, values, addable=frozenset(values))
        if text != path.read_text():
            replace_text(path, text)
        load_params(path)

    return RespondToDrift(
        core.units,
        Triggers(core.units, core.clock, core.params, core.ledger.nudge),
        AskForRound(core.units, core.ledger, core.clock, core.params),
        MeasureAgain(core.releases, core.params),
        write_params,
        core.clock,
        core.params,
    )
