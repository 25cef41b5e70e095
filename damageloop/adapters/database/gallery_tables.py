"""Tables that find images fast, by the classes drawn and predicted on them: made of other rows, never the truth."""

from __future__ import annotations

from sqlalchemy import Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from damageloop.adapters.database.base import Base


class AnnotationClassRow(Base):
    """A class that a human drew on an image, in an annotation that is not deleted."""

    __tablename__ = "annotation_classes"
    damage_class: Mapped[str] = mapped_column(String(128), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True, index=True)


class PredictionClassRow(Base):
    """A class that a model version found on an image, with its highest score."""

    __tablename__ = "prediction_classes"
    __table_args__ = (Index("ix_prediction_classes_score", "model_version", "damage_class", "top_score", "image_id"),)
    model_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    damage_class: Mapped[str] = mapped_column(String(128), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True, index=True)
    top_score: Mapped[float] = mapped_column(Float)
