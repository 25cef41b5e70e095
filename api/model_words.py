"""What services know of model versions, as the schemas of their routes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from api.routers.models import model_schema
from api.schemas.model_review import (
    ComparedDetectionSchema,
    ComparedTruthSchema,
    ComparisonSchema,
    DifferingImageSchema,
    ErrorImageSchema,
    ErrorsSchema,
    FigureDifferenceSchema,
    FigureSchema,
    GateTestSchema,
    JudgedDetectionSchema,
    JudgedTruthSchema,
    JudgmentSchema,
    KindErrorsSchema,
    ModelDetailsSchema,
    ReleaseSchema,
    ShortfallSchema,
    ValCountsSchema,
    ValReportSchema,
)
from api.schemas.operations import DecisionSchema
from api.schemas.pricing import BoxSchema
from damageloop.bootstrap.api import ApiServices
from damageloop.domain.box_matching import MatchedImage
from damageloop.domain.confusion import BACKGROUND, Cell, KindTally, cells
from damageloop.domain.geometry import Box
from damageloop.domain.promotion import Decision
from damageloop.domain.release import manifest_to_json
from damageloop.errors import ConflictError
from damageloop.services.insight.model_review import DifferenceReport, DifferingImage, ErrorReport, ValCounts, ValReport
from damageloop.services.insight.val_images import JudgedImage
from damageloop.services.serving.answering_rules import answering_rules


def details_schema(services: ApiServices, version: int) -> ModelDetailsSchema:
    """Return all that is known of a version. Raises NotFoundError."""
    model, review = services.browse.model(version), services.model_review
    manifest = manifest_to_json(review.release(version))
    answering = answering_rules(review.release(version).none_calibration, services.params.serving)
    report, note = _val(services, version)
    return ModelDetailsSchema(
        model=model_schema(model),
        release=ReleaseSchema.model_validate(
            {name: manifest[name] for name in ReleaseSchema.model_fields if name in manifest}
            | {"answering": answering, "card": manifest.get("card")}
        ),
        decisions=[judgment_schema(decision) for decision in review.decisions(version)],
        val=report,
        val_note=note,
    )


def _val(services: ApiServices, version: int) -> tuple[ValReportSchema | None, str | None]:
    try:
        report: ValReport = services.model_review.figures(version)
    except ConflictError as exc:
        return None, str(exc)
    figures = [FigureSchema.model_validate(asdict(row)) for row in report.rows]
    return ValReportSchema(counts=counts_schema(report.counts), figures=figures), None


def compared_schema(services: ApiServices, first: int, second: int) -> ComparisonSchema:
    """Return two versions side by side. Raises NotFoundError."""
    review = services.model_review
    one, other = review.release(first), review.release(second)
    report: DifferenceReport | None = None
    note = None
    try:
        report = review.compare(first, second)
    except ConflictError as exc:
        note = str(exc)
    gate = review.gate_about(first, second)
    return ComparisonSchema(
        first=str(first),
        second=str(second),
        first_thresholds=one.thresholds,
        second_thresholds=other.thresholds,
        counts=counts_schema(report.counts) if report else None,
        figures=[FigureDifferenceSchema.model_validate(asdict(row)) for row in report.rows] if report else [],
        val_note=note,
        gate=judgment_schema(gate) if gate else None,
    )


def judgment_schema(decision: Decision) -> JudgmentSchema:
    """Return a decision with its evidence as a table, the decisive rules first."""
    evidence = decision.evidence
    tests = [_test(name, found) for name, found in evidence.get("tests", {}).items()]
    return JudgmentSchema.model_validate(
        DecisionSchema.model_validate(decision).model_dump()
        | {
            "asked_by": decision.asked_by,
            "note": decision.note,
            "tests": sorted(tests, key=lambda test: not test.is_decisive),
            "not_judged": [_shortfall(found) for found in evidence.get("not_judged", [])],
            "test_images": evidence.get("counts", {}).get("images"),
        }
    )


def _test(name: str, found: dict[str, Any]) -> GateTestSchema:
    return GateTestSchema.model_validate(
        {"name": name} | {field: found.get(field) for field in GateTestSchema.model_fields if field != "name"}
    )


def _shortfall(found: dict[str, Any]) -> ShortfallSchema:
    return ShortfallSchema.model_validate({name: found[name] for name in ShortfallSchema.model_fields})


def counts_schema(counts: ValCounts) -> ValCountsSchema:
    """Return which val images a report is about."""
    return ValCountsSchema.model_validate(asdict(counts))


def errors_schema(version: int, report: ErrorReport) -> ErrorsSchema:
    """Return the table of a version's errors."""
    names = [*report.confusion.classes, BACKGROUND]
    n_images = report.confusion.images
    return ErrorsSchema(
        model_version=str(version),
        counts=counts_schema(report.counts),
        thresholds=report.thresholds,
        names=names,
        boxes=[list(row) for row in report.confusion.rows()],
        images=[[n_images.get((truth, shown), 0) for shown in names] for truth in names],
        kinds=[_kind(name, found) for name, found in report.kinds.items()],
    )


def _kind(name: str, found: KindTally) -> KindErrorsSchema:
    findings = {finding.value: n for finding, n in found.findings.items()}
    counts = {"images": found.images, "wrong_images": found.wrong_images, "boxes": found.boxes}
    return KindErrorsSchema.model_validate({"kind": name, **counts, **findings})


def error_image_schema(item: JudgedImage, cell: Cell) -> ErrorImageSchema:
    """Return an image of a cell with what humans drew and what the model shows."""
    matched = item.matched
    return ErrorImageSchema(
        **_image(item),
        n_boxes=cells(matched).count(cell),
        truths=[
            JudgedTruthSchema(damage_class=truth.damage_class, box=_box(truth.box), finding=finding)
            for truth, finding in zip(matched.truths, matched.truth_findings(), strict=True)
        ],
        detections=[JudgedDetectionSchema(**found) for found in _shown(matched)],
    )


def differing_schema(item: DifferingImage, first: int, second: int) -> DifferingImageSchema:
    """Return an image on which two versions differ."""
    diff = item.difference
    matched = item.first.matched
    found = [{m.truth for m in side.matched.matches if m.finding == "found"} for side in (item.first, item.second)]
    return DifferingImageSchema(
        **_image(item.first),
        n_differences=diff.size,
        truths=[
            ComparedTruthSchema(
                damage_class=truth.damage_class,
                box=_box(truth.box),
                found_by=[str(v) for v, places in zip((first, second), found, strict=True) if index in places],
            )
            for index, truth in enumerate(matched.truths)
        ],
        first=_compared(matched, diff.wrong_of_first),
        second=_compared(item.second.matched, diff.wrong_of_second),
    )


def _compared(matched: MatchedImage, wrong: tuple[int, ...]) -> list[ComparedDetectionSchema]:
    return [
        ComparedDetectionSchema(**found, is_difference=index in wrong) for index, found in enumerate(_shown(matched))
    ]


def _shown(matched: MatchedImage) -> list[dict[str, Any]]:
    return [
        {"damage_class": d.damage_class, "confidence": d.confidence, "box": _box(d.box), "finding": finding}
        for d, finding in zip(matched.shown, matched.shown_findings(), strict=True)
    ]


def _image(item: JudgedImage) -> dict[str, Any]:
    image = item.image
    return {
        "image_id": image.id,
        "file_name": image.file_name,
        "width": image.size_wh[0],
        "height": image.size_wh[1],
        "vehicle": image.vehicle,
        "brightness": image.stored.quality.brightness,
    }


def _box(box: Box) -> BoxSchema:
    return BoxSchema(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max)
