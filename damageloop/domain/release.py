"""A release: the folder a serving process loads, described by its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from damageloop.domain.labels import FormerNames
from damageloop.domain.outcome import NoneCalibration, ScoreFeature

# Its name in the release's folder, and among the run's files in the registry.
MANIFEST = "manifest.json"
# The largest stride of the networks: both sides of an input are multiples of it.
STRIDE_PX = 32


class Precision(StrEnum):
    """What the numbers of a model are computed in."""

    F32 = "f32"
    BF16 = "bf16"
    INT8 = "int8"


class InputShape(StrEnum):
    """Shapes of a network's input: a side of `image_size`, the other as long or three quarters of it."""

    SQUARE = "square"
    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"

    def size_hw(self, image_size: int) -> tuple[int, int]:
        """Return height and width in pixels: of 640 px (640, 640), (480, 640) or (640, 480).

        The shorter side is rounded up to what the network's strides divide; of 256 px it is 192.
        """
        shorter = -(-image_size * 3 // 4 // STRIDE_PX) * STRIDE_PX
        if self is InputShape.SQUARE:
            return image_size, image_size
        return (shorter, image_size) if self is InputShape.LANDSCAPE else (image_size, shorter)


@dataclass(frozen=True, slots=True)
class ReleaseManifest:
    """What `manifest.json` of a release says.

    Attributes:
        files: sha256 by file name; a file that differs is refused.
        thresholds: Working threshold by class, set on `val`.
        source: Where it came from: snapshot, git tag, MLflow run and version, code revision, base weights.
        card: What people should know of it; see `domain.model_card`. Empty in releases from before there were cards.
    """

    model_version: int
    labels: tuple[str, ...]
    image_size: int
    precision: str
    files: dict[str, str]
    thresholds: dict[str, float]
    none_calibration: NoneCalibration | None
    source: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)


def with_current_names(manifest: ReleaseManifest, former: FormerNames) -> ReleaseManifest:
    """Return the manifest with renamed classes under their present names; removed ones keep theirs.

    What a model can see stays, in the order of its columns; who reads its answers leaves out what nobody looks for.
    """
    labels = tuple(former.renamed.get(name, name) for name in manifest.labels)
    thresholds = {former.renamed.get(name, name): value for name, value in manifest.thresholds.items()}
    return replace(manifest, labels=labels, thresholds=thresholds)


def manifest_to_json(manifest: ReleaseManifest) -> dict[str, Any]:
    """Return the manifest as plain JSON values."""
    fit = manifest.none_calibration
    return {
        "model_version": str(manifest.model_version),
        "labels": list(manifest.labels),
        "image_size": manifest.image_size,
        "precision": manifest.precision,
        "files": dict(manifest.files),
        "thresholds": dict(manifest.thresholds),
        "none_calibration": calibration_to_json(fit),
        "source": dict(manifest.source),
        # Left out where there is none: manifests from before there were cards keep their hash.
        **({"card": dict(manifest.card)} if manifest.card else {}),
    }


def manifest_from_json(content: dict[str, Any]) -> ReleaseManifest:
    """Return the manifest that `manifest_to_json` wrote."""
    return ReleaseManifest(
        model_version=int(content["model_version"]),
        labels=tuple(content["labels"]),
        image_size=int(content["image_size"]),
        precision=content["precision"],
        files=dict(content["files"]),
        thresholds={name: float(value) for name, value in content["thresholds"].items()},
        none_calibration=calibration_from_json(content["none_calibration"]),
        source=dict(content["source"]),
        card=dict(content.get("card", {})),
    )


def calibration_to_json(fit: NoneCalibration | None) -> dict[str, Any] | None:
    """Return the fit as plain JSON values."""
    if fit is None:
        return None
    values = {"intercept": fit.intercept, "slope": fit.slope, "n_damaged": fit.n_damaged, "n_clean": fit.n_clean}
    # Left out where it is what it was before there was a choice: older manifests keep their hash.
    return values if fit.feature is ScoreFeature.TOP_SCORE else {**values, "feature": fit.feature.value}


def calibration_from_json(content: dict[str, Any] | None) -> NoneCalibration | None:
    """Return the fit that `calibration_to_json` wrote."""
    if not content:
        return None
    return NoneCalibration(**{**content, "feature": ScoreFeature(content.get("feature", ScoreFeature.TOP_SCORE))})
