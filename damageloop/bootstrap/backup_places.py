"""Where each part of a backup lies with these settings, and what lies outside and is left out. Copies nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters.backup.file_copies import Tree
from damageloop.adapters.workspace import cache_dir
from damageloop.settings import Settings

BACKUPS = "backups"
DATABASE, WORKSPACE, DVC_CACHE, IMAGES = "database", "workspace", "dvc-cache", "images"
# In the home, but neither backed up nor moved aside by a restore.
KEPT = frozenset({BACKUPS})
ASIDE = "before-restore-"


@dataclass(frozen=True, slots=True)
class Places:
    """What there is to copy.

    Attributes:
        trees: In the order in which they must be copied; see `bootstrap.backup`.
        outside: What lies elsewhere, with a sentence for people.
    """

    trees: tuple[Tree, ...]
    outside: dict[str, str]

    def folder(self, part: str) -> Path | None:
        """Return where a part lies here; None when it lies outside, or when this release does not know it."""
        return next((tree.folder for tree in self.trees if tree.part == part), None)


def places(settings: Settings, with_images: bool = True) -> Places:
    """Return what is to be backed up."""
    root, workspace = settings.root, settings.workspace_dir
    trees = [
        # The cache is a part of its own: it only grows, and needs no lock.
        Tree(WORKSPACE, workspace, (".dvc/tmp", ".dvc/cache", "build"), has_drafts=False),
        # No drafts of ours: the secret key that its sessions and tokens hang on is in label-studio/.env.
        Tree("label-studio", root / "label-studio", has_drafts=False),
        Tree("mlflow", root / "mlflow", has_drafts=False),
        Tree(DVC_CACHE, cache_dir(workspace)),
        Tree("dvc-remote", Path(settings.dvc_remote)),
        Tree("releases", Path(settings.release_store)),
        Tree("features", Path(settings.feature_store)),
        Tree("sweeps", root / "sweeps", ("runs",)),
        # What annotators are shown of them lies in the image store, and is made anew from these.
        Tree("examples", settings.examples_dir),
        Tree(IMAGES, settings.image_folder or root / "images"),
        Tree("weights", root / "weights"),
        Tree("secrets", settings.secrets_dir),
    ]
    outside = _outside(settings)
    if not with_images:
        outside[IMAGES] = "left out as asked for; a restore needs the image store as it is"
    return Places(tuple(tree for tree in trees if tree.part not in outside), outside)


def settings_that_are_set() -> tuple[str, ...]:
    """Return the names of our environment variables; their values may be secrets."""
    return tuple(sorted(name for name, value in os.environ.items() if name.startswith("DAMAGELOOP_") and value))


def _outside(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = {}
    if settings.label_studio_url:
        found["label-studio"] = f"its server at {settings.label_studio_url} is not ours: back up its database and media"
    if settings.mlflow_uri:
        found["mlflow"] = f"its server at {settings.mlflow_uri} is not ours: back up its database and artifacts"
    stores = {
        "dvc-remote": settings.dvc_remote,
        "features": settings.feature_store,
        "releases": settings.release_store,
        IMAGES: settings.image_store,
    }
    for part, url in stores.items():
        if "://" in url and not url.startswith("file://"):
            found[part] = "it lies in a bucket: use that store's own versions or replication"
    return found
