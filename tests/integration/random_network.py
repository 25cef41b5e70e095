"""A network that was never trained and yet finds boxes: engines are compared on it without weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers.stages.quiet import quiet_ultralytics


def save_random_network(path: Path, labels: tuple[str, ...], size: int) -> None:
    """Write a checkpoint with random weights whose scores lie around one half, so that there are detections."""
    quiet_ultralytics()
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.set_num_threads(1)  # on a busy machine more threads spend their time waiting for one another
    torch.manual_seed(0)
    network: Any = DetectionModel("yolo11n.yaml", nc=len(labels), verbose=False)
    network.names = dict(enumerate(labels))
    for branch in (*network.model[-1].cv2, *network.model[-1].cv3):
        torch.nn.init.normal_(branch[-1].weight, std=0.1)
        torch.nn.init.zeros_(branch[-1].bias)
    # Batch norm learns its statistics from noise; without them random layers fade to a constant.
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(4, 3, size, size))
    torch.save({"model": network.eval(), "train_args": {}}, path)
