"""Keep ultralytics to itself: no calls home, no downloads, no package installs, no files in the user's home.

Call `quiet_ultralytics` before anything imports ultralytics; nothing here imports it at the top.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

_FOLDER_PREFIX = "damageloop-ultralytics-"
_LOGGING_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")


def quiet_ultralytics() -> Path:
    """Import ultralytics with a settings folder of its own and return that folder; safe to repeat.

    Analytics, crash reports, experiment trackers (they would write a stray `mlflow.db`), update checks,
    package installs and the download of plot fonts are off. Weights are loaded as data, never as code.

    Raises:
        RuntimeError: If ultralytics was imported before: it reads the environment then and never again.
    """
    already = os.environ.get("YOLO_CONFIG_DIR", "")
    if "ultralytics" in sys.modules:
        if Path(already).name.startswith(_FOLDER_PREFIX):
            return Path(already)
        raise RuntimeError("quiet_ultralytics() must be called before ultralytics is imported.")
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    atexit.register(_remove, folder, os.getpid())
    _set_environment(folder)
    _provide_fonts(folder / "Ultralytics")
    _set_settings(folder)
    return folder


def _set_environment(folder: Path) -> None:
    os.environ.update(
        YOLO_CONFIG_DIR=str(folder),
        YOLO_OFFLINE="true",
        YOLO_AUTOINSTALL="false",
        ULTRALYTICS_SAFE_LOAD="true",
        NO_ALBUMENTATIONS_UPDATE="1",
    )
    os.environ.pop("ULTRALYTICS_API_KEY", None)
    # Importing ultralytics would set one thread for torch, whatever the machine has.
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))


def _set_settings(folder: Path) -> None:
    ultralytics = _imported_silently()
    folders = {f"{name}_dir": str(folder / name) for name in ("datasets", "weights", "runs")}
    off = dict.fromkeys(("sync", "vscode_msg", "openvino_msg", *_LOGGING_INTEGRATIONS), False)
    ultralytics.settings.update({**folders, **off, "api_key": "", "openai_api_key": ""})


def _imported_silently() -> Any:
    """Import ultralytics without its greeting, and take back its `PIL.Image.open`.

    Its own installs a HEIF plugin when a file is no image, and fails in another way where it may not.
    """
    before, open_image = logging.root.manager.disable, Image.open
    logging.disable(logging.INFO)
    try:
        return importlib.import_module("ultralytics")
    finally:
        logging.disable(before)
        Image.open = open_image


def _provide_fonts(config_folder: Path) -> None:
    """Put matplotlib's own font where ultralytics looks before it downloads Arial."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return
    source = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    config_folder.mkdir(parents=True, exist_ok=True)
    for name in _FONTS:
        (config_folder / name).symlink_to(source)


def _remove(folder: Path, owner: int) -> None:
    # A forked child inherits the registration and must leave its parent's folder alone.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
