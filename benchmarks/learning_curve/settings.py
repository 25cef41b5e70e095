"""What a run is made of. Two runs with the same settings give the same cells and can be merged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

# Of yolo11n: up to its last backbone layer. The neck reads layers 4, 6 and 10.
BACKBONE_LAYERS = 11


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that changes a cell.

    Attributes:
        initial: Random images of round 0, the same for all arms of a seed.
        query_size: Images chosen in each later round.
        rounds: How many rounds follow round 0.
        image_size: Side of the square that the network sees, in pixels.
        iterations: Training steps of each round, always from the base; no early stop, last EMA weights.
        batch_size: Images of a step.
        learning_rate: Peak, reached after `warmup` steps and then falling as a cosine.
        n_frozen: Leading layers that do not learn.
    """

    initial: int = 100
    query_size: int = 100
    rounds: int = 3
    image_size: int = 320
    iterations: int = 150
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 5e-4
    warmup: int = 50
    ema_decay: float = 0.98
    n_frozen: int = BACKBONE_LAYERS
    confidence_floor: float = 0.05
    evaluation_floor: float = 0.01
    nms_iou: float = 0.6
    max_detections: int = 100
    display_threshold: float = 0.25

    def hash(self, *parts: str) -> str:
        """Return a short name of these settings together with what else defines a run."""
        content = json.dumps([asdict(self), *parts], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]
