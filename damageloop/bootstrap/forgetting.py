"""What forgets put together, for workers and the command line."""

from __future__ import annotations

from damageloop.bootstrap.batches import make_batches
from damageloop.bootstrap.core import Core
from damageloop.services.images.forget import Forget, ForgetEverywhere
from damageloop.services.images.retention import ApplyRetention
from damageloop.services.serving.batches import Batches

# Below the home: where trainings, searches for label errors and sweeps lay out photos.
_RUN_FOLDERS = ("runs", "folds", "sweeps/runs")


def make_forget(core: Core) -> Forget:
    return Forget(core.units, core.clock)


def make_forget_everywhere(core: Core) -> ForgetEverywhere:
    def forget_copies(sha256: str) -> int:
        from damageloop.adapters.run_folder import forget_image

        return forget_image([core.settings.root / name for name in _RUN_FOLDERS], sha256)

    return ForgetEverywhere(
        core.units, core.images, core.features, core.maps, lambda: core.tool, forget_copies, core.clock
    )


def make_retention(core: Core) -> ApplyRetention:
    return ApplyRetention(core.units, make_forget(core), core.clock, core.params, make_core_batches(core).expire)


def make_core_batches(core: Core) -> Batches:
    return make_batches(core.settings, core.params, core.units, core.ledger, core.clock)
