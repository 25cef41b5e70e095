"""A served photo that is kept, so that it can enter the pool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ProductionPhoto:
    """One kept photo.

    Attributes:
        vehicle: What its request called the car, or the request itself: photos of one car stay in one split.
        store_key: Where its bytes are until it is in the pool.
    """

    request_id: str
    position: int
    vehicle: str
    store_key: str
    kept_at: datetime


def is_drawn(request_id: str, share: float) -> bool:
    """Tell whether a request is among those whose photos are kept, whoever asks and however often.

    Requests are drawn and not photos: photos of one car look alike. By a hash, which is uniform: of many requests the
    share is drawn; with 0 none is and with 1 all are.
    """
    digest = hashlib.sha256(f"production:{request_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
