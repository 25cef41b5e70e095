"""Asks a damageloop platform which damages photos of a car show, and what they mean for its price."""

from damageloop_client.async_client import AsyncDamageloopClient
from damageloop_client.client import DamageloopClient
from damageloop_client.errors import (
    ConflictError,
    ConnectionFailedError,
    DamageloopError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    ProblemError,
    TryLaterError,
    UnexpectedAnswerError,
)
from damageloop_client.models import (
    DAMAGED,
    NONE,
    UNSURE,
    UNUSABLE_IMAGE,
    Adjustment,
    Batch,
    BatchLine,
    Box,
    Damage,
    Deduction,
    FileError,
    ImageAnswer,
    Prediction,
    PriceRange,
    Valuation,
)
from damageloop_client.retries import Retries

__all__ = [
    "DAMAGED",
    "NONE",
    "UNSURE",
    "UNUSABLE_IMAGE",
    "Adjustment",
    "AsyncDamageloopClient",
    "Batch",
    "BatchLine",
    "Box",
    "ConflictError",
    "ConnectionFailedError",
    "Damage",
    "DamageloopClient",
    "DamageloopError",
    "Deduction",
    "FileError",
    "ImageAnswer",
    "InvalidRequestError",
    "NotAllowedError",
    "NotFoundError",
    "Prediction",
    "PriceRange",
    "ProblemError",
    "Retries",
    "TryLaterError",
    "UnexpectedAnswerError",
    "Valuation",
]
