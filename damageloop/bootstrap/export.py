"""What `damageloop export` and `damageloop report` use: labels that count, from the database or from a snapshot."""

from __future__ import annotations

from damageloop.bootstrap.core import Core
from damageloop.services.images.subsets import Subsets
from damageloop.services.snapshots.export_labels import ExportLabels


def make_export_labels(core: Core) -> ExportLabels:
    return ExportLabels(core.units, core.snapshots, Subsets(core.units, core.clock, core.params), core.params)
