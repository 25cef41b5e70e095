"""Figures about people's work."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class QualitySchema(BaseModel):
    """Read from the values of the service."""

    model_config = ConfigDict(from_attributes=True)


class QualityShareSchema(QualitySchema):
    """A share with 90 % limits; null where there are too few photos to tell."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    photos: int
    is_enough: bool


class AlphaSchema(QualitySchema):
    """Krippendorff's alpha: 1 full agreement, 0 as by chance; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    photos: int


class DifferenceSchema(QualitySchema):
    """One share minus another with 90 % limits."""

    value: float | None
    low: float | None
    high: float | None


class KnownFiguresSchema(QualitySchema):
    """Answers of known items beside the truth."""

    verdict_right: QualityShareSchema
    found: QualityShareSchema
    drawn_right: QualityShareSchema


class RatesSchema(QualitySchema):
    """What became of pre-labels, of a class or of a person."""

    name: str
    accepted: QualityShareSchema
    edited: QualityShareSchema
    deleted: QualityShareSchema
    added: QualityShareSchema


class AgreementSchema(QualitySchema):
    """Agreement of people on the same photo."""

    verdict_alpha: AlphaSchema
    same_verdict: QualityShareSchema
    box_f1: QualityShareSchema


class AutomationBiasSchema(QualitySchema):
    """Answers where the champion's boxes were shown (explored) and where they were hidden (audited)."""

    same_shown: QualityShareSchema
    same_hidden: QualityShareSchema
    same_difference: DifferenceSchema
    added_shown: QualityShareSchema
    added_hidden: QualityShareSchema
    added_difference: DifferenceSchema


class AnnotatorQualitySchema(QualitySchema):
    """One person's figures."""

    annotator: str
    photos: int
    known: KnownFiguresSchema
    agreement: AgreementSchema
    rates: RatesSchema
    automation_bias: AutomationBiasSchema


class QualityReportSchema(QualitySchema):
    """Everybody's figures together, and each person's in the order of their names."""

    newest: int
    known: KnownFiguresSchema
    agreement: AgreementSchema
    by_class: list[RatesSchema]
    automation_bias: AutomationBiasSchema
    by_annotator: list[AnnotatorQualitySchema]
