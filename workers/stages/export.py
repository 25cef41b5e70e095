"""Last stage: the files of a release, once what was exported has been shown to agree with torch."""

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
# Other formats are looked at in every shape of input.
_CHECKED_IN_EACH_SHAPE = 4


def export() -> None:
    """Write model.xml, model.bin, weights.pt, agreement.json and precision.json into `build/export/`.

    With model.onnx and model.torchscript where `export` in params.yaml asks for them.

    Raises:
        DamageloopError: If an exported model says something else than torch on the val images.
    """
    from workers.stages.graph_formats import ONNX_FILE, TORCHSCRIPT_FILE, export_formats
    from workers.stages.openvino_export import export_openvino
    from workers.stages.precision import choose_release

    params = stage_params()
    tell("export", 0.0, "exporting to OpenVINO")
    entries, size = snapshot_entries(), params.model.image_size
    images = [load_image(entry, params) for entry in spread(of_split(entries, Split.VAL), MAX_CHECKED_IMAGES)]
    export_openvino(WEIGHTS, size, EXPORT, images)
    wanted = {ONNX_FILE: params.export.onnx, TORCHSCRIPT_FILE: params.export.torchscript}
    export_formats(
        WEIGHTS,
        size,
        EXPORT,
        [name for name, is_wanted in wanted.items() if is_wanted],
        images[:_CHECKED_IN_EACH_SHAPE],
    )
    shutil.copyfile(WEIGHTS, EXPORT / "weights.pt")
    choose_release(params, entries)
    tell("export", 1.0, "exported")


if __name__ == "__main__":
    run_stage(export)
