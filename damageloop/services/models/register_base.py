"""Make the base weights version 1, so that pre-labels exist in the first minute; or say why they can't be.

A base whose head knows other classes still sees: its network is released for embeddings alone, so that the first
rounds are chosen by what photos look like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.domain.promotion import PromotionReason
from damageloop.domain.release import MANIFEST, ReleaseManifest
from damageloop.params import NO_BASE, Params
from damageloop.ports import BaseExport, Clock, ExportBase, ModelRegistry, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.feature_source import BASE_FEATURES
from damageloop.services.models.make_champion import check_release, make_champion

# The store of the release that gives the embeddings of a source; its only version is 0, none of ours.
FeatureReleases = Callable[[str], ReleaseStore]
FEATURE_VERSION = 0


@dataclass(frozen=True, slots=True)
class RegisterBase:
    """Exports, registers and promotes the base once."""

    units: UnitOfWorkFactory
    export: ExportBase
    registry: ModelRegistry
    releases: ReleaseStore
    feature_releases: FeatureReleases
    clock: Clock
    params: Params

    def __call__(self) -> str:
        """Register the base if it knows our classes; return in a sentence what was done."""
        with self.units(read_only=True) as work:
            champion = work.models.champion()
        if champion:
            return f"Version {champion.model_version} is champion."
        model = self.params.model
        if model.base == NO_BASE:
            return (
                "model.base is none, so trainings start from nothing: until a trained model is promoted there is no "
                "champion, pre-labels are empty, and photos are told apart by color and texture."
            )
        base = self.export(model.base, model.image_size, self.params.labels.classes)
        if base.labels != self.params.labels.classes:
            self._release_for_features(base)
            return (
                f"{self.params.model.base} knows other classes ({_few(base.labels)}), so its head is replaced in the "
                "first training: until a trained model is promoted there is no champion and pre-labels are empty, and "
                "photos are told apart by its embeddings."
            )
        version = self._register(base)
        return f"{self.params.model.base} is version {version} and champion until something better is proven."

    def _release_for_features(self, base: BaseExport) -> None:
        source = f"base-{base.sha256[:12]}"
        origin = {"base": self.params.model.base, "base_sha256": base.sha256}
        self.feature_releases(source).publish(
            FEATURE_VERSION, base.files, self._manifest(FEATURE_VERSION, base.labels, origin)
        )
        with self.units() as work:
            work.facts.set(BASE_FEATURES, source)
            work.commit()

    def _register(self, base: BaseExport) -> int:
        key = f"base:{base.sha256[:16]}:{self.params.model.image_size}"
        with self.units() as work:
            version = work.models.allot(key, None, self.clock.now())
            work.commit()
        source = {"base": self.params.model.base, "base_sha256": base.sha256}
        run_id = self.registry.start_run(f"base-{version}", {"training_key": key, **source}, {})
        self.releases.publish(version, base.files, self._manifest(version, base.labels, source))
        manifest = self.releases.folder(version) / MANIFEST
        self.registry.finish_run(run_id, {}, {**base.files, MANIFEST: manifest})
        number = self.registry.register(run_id, version, {"base_sha256": base.sha256})
        release = check_release(self.releases, version)
        with self.units() as work:
            work.models.record(version, run_id, number, {})
            if work.models.champion() is None:
                make_champion(work, version, PromotionReason.FIRST_MODEL, release, self.clock.now())
            work.commit()
        self.registry.set_champion(number)
        return version

    def _manifest(self, version: int, classes: tuple[str, ...], source: dict[str, str]) -> ReleaseManifest:
        return ReleaseManifest(
            model_version=version,
            labels=classes,
            image_size=self.params.model.image_size,
            precision="f32",
            files={},
            thresholds=dict.fromkeys(classes, self.params.serving.default_threshold),
            none_calibration=None,
            source=dict(source),
        )


def _few(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
