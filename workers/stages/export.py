"""Last stage: the files of a release, once the OpenVINO model has been shown to agree with torch."""

from __future__ import annotations

import shutil

from damageloop.domain.split import Split
from workers.stages.stage import (
    EXPORT,
    WEIGHTS,
    load_image,
    of_split,
    run_stage,
    snapshot_entries,
    spread,
    stage_params,
    tell,
)

MAX_CHECKED_IMAGES = 24


def export() -> None:
    """Write model.xml, model.bin, weights.pt and agreement.json into `build/export/`.

    Raises:
        DamageloopError: If the OpenVINO model says something else than torch on the val images.
    """
    from workers.stages.openvino_export import export_openvino

    params = stage_params()
    tell("export", 0.0, "exporting to OpenVINO")
    checked = spread(of_split(snapshot_entries(), Split.VAL), MAX_CHECKED_IMAGES)
    images = [load_image(entry, params) for entry in checked]
    export_openvino(WEIGHTS, params.model.image_size, EXPORT, images)
    shutil.copyfile(WEIGHTS, EXPORT / "weights.pt")
    tell("export", 1.0, "exported")


if __name__ == "__main__":
    run_stage(export)
