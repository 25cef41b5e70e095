"""What is remembered of an answer that was given to a pricing service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from damageloop.domain.served_image import ServedImage


@dataclass(frozen=True, slots=True)
class Evidence:
    """One answer with what it was made by.

    Attributes:
        content: `answer` as it was given, `vehicle_id`, `image_sha256` of the files, `thresholds`, `default_threshold`,
            `precision`, `damage_prevalence`, and `photos`: for each image of the answer its `embedding` and, for each
            of its detections, its `features`, as `feature_text` writes them, or null.
        api_key_id: Who asked; None where nobody needed a key.
        served: What is remembered of each decoded photo beside the answer.
    """

    request_id: str
    model_version: int
    content: Mapping[str, Any]
    api_key_id: int | None
    answered_at: datetime
    served: tuple[ServedImage, ...] = ()
